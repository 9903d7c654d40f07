# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules about machines call. Private to the collection.

Each function imports what it calls when it is called: a target compiles what is imported anew for
each task, and for C(machine_info) that took three times as long with all that changes machines.
"""

from __future__ import annotations

import typing as t

from .._core import module as core_module
from .._core.plan import Failure

Module = core_module.Module

# What both modules that change machines ask in the same words.
WAITING: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "wait": {"type": "str", "choices": ["booted", "registered", "none"], "default": "booted"},
    "wait_timeout": {"type": "float", "default": 120},
    "force": {"type": "bool", "default": False},
}


def converge_declared(module: Module) -> t.NoReturn:
    """The module C(machines): machines as they are declared, from their image on."""
    from .._users import wanted as users_wanted
    from . import converge, wanted

    parameters = module.params

    def body() -> dict[str, t.Any]:
        rules = users_wanted.rules_of(
            parameters["users_home_roots"], parameters["users_private_group"] == "make"
        )
        return converge.converge(
            module,
            [wanted.wanted_of(entry, parameters) for entry in parameters["machines"]],
            rolling=parameters["rolling"],
            purge=parameters["purge"],
            limited=parameters["check_limits"],
            expected=parameters["images_expected"],
            rules=rules,
        )

    core_module.run(module, body)


def converge_named(module: Module) -> t.NoReturn:
    """The module C(machine): machines that are there already, running or not."""
    from . import converge, wanted

    parameters = module.params

    def body() -> dict[str, t.Any]:
        return converge.converge(
            module,
            wanted.named(parameters["name"], parameters),
            limited=parameters["check_limits"],
        )

    core_module.run(module, body)


def tell(module: Module) -> t.NoReturn:
    """The module C(machine_info): machines as they are."""
    from . import info

    parameters = module.params

    def body() -> dict[str, t.Any]:
        lines = parameters["logs"]
        if lines < 0:
            raise Failure(f"logs: {lines} lines cannot be had; say 0 or more")
        details = info.Details(
            parameters["stats"], parameters["health"], lines, parameters["since"]
        )
        return {"changed": False, "machines": info.tell(parameters["name"], details)}

    core_module.run(module, body)
