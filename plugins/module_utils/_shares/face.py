# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module about sockets of the host calls. Private to the collection."""

from __future__ import annotations

import typing as t

from .._core import locks
from .._core import module as core_module
from . import engine, engine_act, memory

Module = core_module.Module


def let_in(module: Module) -> t.NoReturn:
    """The module C(docker_socket): who may use Docker's socket in which machines."""
    core_module.run(module, lambda: _let_in(module))


def _let_in(module: Module) -> dict[str, t.Any]:
    parameters = module.params
    present = parameters["state"] == "present"
    wanted = engine.wanted_of(parameters["machines"], present=present)
    named = {one.machine for one in wanted}
    if parameters["exclusive"]:
        left = [name for name in memory.names() if name not in named]
        wanted += [engine.Wanted(name, present=False) for name in left]
    things = [locks.Thing("docker socket", one.machine) for one in wanted]
    with core_module.holding(module, things):
        seen = engine.snapshot(wanted)
        steps = engine.plan(seen, wanted, checking=module.check_mode)
        waiting = [] if module.check_mode else engine.waiting(seen, wanted)
        for name in waiting:
            module.warn(f"{name} does not run, so nothing was done about the socket in it")
        result = core_module.converge(module, steps, engine_act.VERBS)
    return {**result, "waiting": waiting}
