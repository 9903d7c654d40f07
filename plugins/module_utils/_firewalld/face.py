# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module C(firewalld) calls. Private to the collection."""

from __future__ import annotations

import dataclasses
import typing as t

from .._core import locks
from .._core import module as core_module
from . import act, connections
from . import plan as firewalld_plan
from . import seen as firewalld_seen
from . import wanted as firewalld_wanted
from .model import (
    POLICY,
    PORT_PROTOCOLS,
    TARGETS,
    ZONE,
    Property,
    dotted,
    items_of,
    properties_of,
)

Module = core_module.Module

# All of it is one thing: who binds an interface to one zone takes it out of another.
FIREWALL = locks.Thing("firewall", "firewalld")

Argument = dict[str, t.Any]

_SCALARS = {"text": "str", "flag": "bool", "number": "int"}


def _argument_of(one: Property) -> Argument:
    if one.shape == "forwards":
        return {"type": "list", "elements": "dict", "options": _forward_arguments()}
    if one.is_list:
        return {"type": "list", "elements": "str", "no_log": False}
    return {"type": _SCALARS[one.shape], "no_log": False}


def _forward_arguments() -> dict[str, Argument]:
    return {
        "port": {"type": "str", "required": True, "no_log": False},
        "protocol": {"type": "str", "default": "tcp", "choices": list(PORT_PROTOCOLS)},
        "to_port": {"type": "str", "default": "", "no_log": False},
        "to_addr": {"type": "str", "default": "", "no_log": False},
    }


def _arguments_of(kind: str) -> Argument:
    """The argument of zones or policies, from the table of their properties."""
    table = properties_of(kind)
    options: dict[str, Argument] = {
        "name": {"type": "str", "required": True, "no_log": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "exclusive": {"type": "bool"},
        "remove": {
            "type": "dict",
            "options": {name: _argument_of(one) for name, one in table.items() if one.is_list},
        },
    }
    options.update({name: _argument_of(one) for name, one in table.items()})
    options["target"]["choices"] = list(TARGETS[kind])
    return {"type": "list", "elements": "dict", "default": [], "options": options}


ZONES = _arguments_of(ZONE)
POLICIES = _arguments_of(POLICY)


def converge(module: Module) -> t.NoReturn:
    """Bring zones and policies into their wanted state, and end the module."""

    def body() -> dict[str, t.Any]:
        with core_module.holding(module, [FIREWALL]):
            return _converged(module)

    core_module.run(module, body)


def _converged(module: Module) -> dict[str, t.Any]:
    wanted = firewalld_wanted.wanted(module.params)
    zones = connections.wanted(module.params)
    links = [link for one in wanted if one.present for link in items_of(one.settings, "interfaces")]
    there = connections.snapshot(zones, module.params["record"], links)
    assignments = connections.plan(there, zones)
    seen = firewalld_seen.snapshot(wanted, module.params["record"])
    now = {key.name for key in seen.entries if key.kind == ZONE}
    seen = dataclasses.replace(
        seen,
        live=connections.moved(assignments, seen.live, now, seen.default_zone),
        leaving=connections.leaving(assignments, now),
    )
    binding = {"bind_uplinks": module.params["bind_uplinks"]}
    plan = firewalld_plan.plan(seen, wanted, **binding)
    after = firewalld_plan.zones_after(seen, wanted, **binding)
    connections.check(zones, after)
    bound = {name: items_of(settings, "interfaces") for name, settings in after.items()}
    for surprise in connections.contested(there, zones, bound, seen.default_zone):
        module.warn(surprise)
    plan = connections.around(assignments, plan, now)
    if plan and not seen.running:
        module.warn("firewalld is not running: only its permanent configuration is converged")

    def facts() -> dict[str, t.Any]:
        keys = [key for key, present in firewalld_plan.results(seen, wanted) if present]
        return {
            "version": dotted(seen.version),
            "running": seen.running,
            "default_zone": seen.default_zone,
            "zones": firewalld_seen.settings_of(keys, ZONE),
            "policies": firewalld_seen.settings_of(keys, POLICY),
        }

    # One at a time: firewalld works on one call after the other anyway.
    return core_module.converge(
        module,
        plan,
        {**act.verbs(seen), **connections.VERBS},
        workers=1,
        facts=facts,
    )
