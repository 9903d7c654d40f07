# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules C(machine_exec), C(machine_copy), C(machine_sync) and C(machine_bind) call.

Private to the collection.
"""

from __future__ import annotations

import signal
import typing as t

from .._core import module as core_module
from . import binds, copies, execution

Module = core_module.Module


def execute(module: Module) -> t.NoReturn:
    """The module C(machine_exec)."""
    module.raw = frozenset(("stdout", "stderr"))

    def body() -> dict[str, t.Any]:
        _leave_in_order()
        wanted = execution.wanted_of(module.params)
        return execution.execute(wanted, check_mode=module.check_mode)

    core_module.run(module, body)


def copy(module: Module) -> t.NoReturn:
    """The module C(machine_copy)."""

    def body() -> dict[str, t.Any]:
        _leave_in_order()
        wanted = copies.wanted_of(module.params)
        with core_module.holding(module, [wanted.thing]):
            seen = copies.snapshot(wanted)
            for warning in copies.warnings(seen, wanted):
                module.warn(warning)
            plan = copies.plan(seen, wanted)
            result = core_module.converge(module, plan, copies.VERBS)
        return {**result, "dest": wanted.destination, "left_out": list(seen.told)}

    core_module.run(module, body)


def sync(module: Module) -> t.NoReturn:
    """The module C(machine_sync)."""
    # No other module needs them, and a target compiles what is imported for each task.
    from . import sync as syncs
    from . import sync_act, sync_seen

    def body() -> dict[str, t.Any]:
        _leave_in_order()
        wanted = syncs.wanted_of(module.params)
        with core_module.holding(module, [wanted.thing]):
            seen = sync_seen.snapshot(wanted)
            for warning in syncs.warnings(seen, wanted):
                module.warn(warning)
            plan = syncs.plan(seen, wanted)
            named = syncs.listed(syncs.changes(seen, wanted))
            result = core_module.converge(module, plan, sync_act.VERBS)
        return {**result, **named, "dest": wanted.destination, "left_out": list(seen.told)}

    core_module.run(module, body)


def bind(module: Module) -> t.NoReturn:
    """The module C(machine_bind)."""

    def body() -> dict[str, t.Any]:
        wanted = binds.wanted_of(module.params)
        plan = binds.plan(binds.snapshot(wanted), wanted)
        return core_module.converge(module, plan, binds.VERBS)

    core_module.run(module, body)


def _leave_in_order() -> None:
    """End what was started, and take away what was made, when somebody ends us."""

    def leave(number: int, _frame: object) -> t.NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
