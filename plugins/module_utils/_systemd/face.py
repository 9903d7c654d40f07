# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules C(unit_override) and C(drop_in) call. Private to the collection."""

from __future__ import annotations

import os
import typing as t

from .._core import module as core_module
from . import (
    daemon_drop_ins,
    forward_policy,
    machined,
    network_files,
    reverse_path,
    unit_drop_ins,
)

Module = core_module.Module


def converge_units(module: Module) -> t.NoReturn:
    """The module C(unit_override)."""

    def body() -> dict[str, t.Any]:
        wanted = unit_drop_ins.wanted_of(module.params, machined.systemd_version())
        with core_module.holding(module, wanted.things):
            seen = unit_drop_ins.snapshot(wanted)
            plan = unit_drop_ins.plan(seen, wanted)
            return core_module.converge(
                module,
                plan,
                unit_drop_ins.VERBS,
                facts=lambda: unit_drop_ins.result(seen, wanted, plan),
            )

    core_module.run(module, body)


def converge_daemon(module: Module) -> t.NoReturn:
    """The module C(drop_in)."""

    def body() -> dict[str, t.Any]:
        wanted = daemon_drop_ins.wanted_of(module.params)
        with core_module.holding(module, wanted.things):
            seen = daemon_drop_ins.snapshot(wanted)
            plan = daemon_drop_ins.plan(seen, wanted)
            result = core_module.converge(module, plan, daemon_drop_ins.VERBS)
        for surprise in daemon_drop_ins.surprises(seen, wanted):
            module.warn(surprise)
        names = [os.path.basename(name) for name in wanted.files if wanted.text is not None]
        if network_files.LINKS.keys() & set(names):
            found, links = network_files.there(), network_files.in_force()
            for surprise in network_files.surprises(names, found, links):
                module.warn(surprise)
            for surprise in reverse_path.surprises(reverse_path.snapshot()):
                module.warn(surprise)
            for surprise in forward_policy.surprises(forward_policy.dropping()):
                module.warn(surprise)
        return result

    core_module.run(module, body)
