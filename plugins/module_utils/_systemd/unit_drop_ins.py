# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Drop-ins of units: wanted, seen, plan, act, all for the module C(unit_override).

Private to the collection. What a drop-in says is known to C(unit_text).
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core import files as core_files
from .._core import locks, masks
from .._core.plan import Failure, Plan, Step, Verbs, identities, ordered
from . import journal, machined, unit_files, unit_text
from . import units as systemd_units
from .units import UnitState

# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the drop-in of these units shall say; nothing: there shall be none."""

    units: tuple[str, ...]
    drop_in: str
    text: str | None

    @property
    def things(self) -> list[locks.Thing]:
        """What nobody else may work on meanwhile: who declares a machine writes its drop-in too."""
        paths = (unit_files.drop_in_path(unit, self.drop_in) for unit in self.units)
        machines = filter(None, map(machined.machine_of, self.units))
        return [*map(locks.file, paths), *map(locks.machine, machines)]


def wanted_of(params: t.Mapping[str, t.Any], version: int) -> Wanted:
    """Check everything that the user gave, before anything is looked at or changed."""
    units = _units_of(params)
    unit_files.check_drop_in(params["drop_in"])
    settings = params["settings"] or {}
    if params["state"] == "absent":
        if settings:
            raise Failure("state=absent takes away the whole drop-in; leave settings out")
        return Wanted(units, params["drop_in"], None)
    text = unit_text.render(settings)
    if not text:
        raise Failure("settings: a drop-in without settings does nothing; use state=absent")
    for unit in units:
        unit_text.check(unit_text.normalise(settings), unit, version)
    return Wanted(units, params["drop_in"], text)


def _units_of(params: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    for name in params["name"] or ():
        machined.check_name(name)
    for unit in params["unit"] or ():
        unit_files.check_unit(unit)
    units = [*map(machined.unit_of, params["name"] or ()), *(params["unit"] or ())]
    if not units:
        raise Failure("name: expected at least one machine")
    return tuple(dict.fromkeys(units))


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Seen:
    unit: str
    path: str
    text: str | None = None
    mode: int = 0o644
    running: bool = False
    outdated: bool = False
    """It runs, and the drop-in was changed after its start."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    units: tuple[Seen, ...]
    unread: bool = False
    """An earlier run was cut off before systemd read what it had written."""


def snapshot(wanted: Wanted) -> Snapshot:
    states = systemd_units.snapshot(wanted.units)
    return Snapshot(
        tuple(_seen(unit, wanted.drop_in, states[unit]) for unit in wanted.units),
        unit_files.unread(),
    )


def _seen(unit: str, drop_in: str, state: UnitState) -> Seen:
    path = unit_files.drop_in_path(unit, drop_in)
    return Seen(
        unit=unit,
        path=path,
        text=core_files.read(path),
        mode=core_files.mode_of(path),
        running=state.running,
        outdated=state.running and systemd_units.younger_than_start(unit, [path]),
    )


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    steps = [step for step in (_step(one, wanted.text) for one in seen.units) if step]
    if steps or seen.unread:
        reload = Step(
            "reload",
            "systemd",
            {"changed": tuple(steps)},
            before={"unit files": "as read before"},
            after={"unit files": "read anew"},
            needs=identities(*steps),
        )
        steps.append(reload)
    return ordered(steps)


def _step(seen: Seen, text: str | None) -> Step | None:
    change = masks.change(seen.text, seen.mode, text)
    if change is None:
        return None
    _mode, before, after = change
    return Step(
        "remove" if text is None else "write",
        seen.path,
        {"unit": seen.unit, "text": text, "old": seen.text},
        before=before,
        after=after,
    )


# --- act ------------------------------------------------------------------------------------


def _put(path: str, text: str | None) -> None:
    unit_files.mark_unread()
    if text is None:
        core_files.remove(path)
        core_files.remove_empty_directory(os.path.dirname(path))
    else:
        core_files.write(path, text, mode=masks.mode_of(text, core_files.mode_of(path)))


def _change(step: Step) -> None:
    _put(step.subject, step.arguments["text"])


def _reload(step: Step) -> None:
    """Have systemd read the drop-ins; take back those with which it refuses the unit."""
    unit_files.daemon_reload()
    changed = {one.arguments["unit"]: one for one in step.arguments["changed"]}
    refused = systemd_units.unloadable(list(changed))
    if not refused:
        return
    for unit in refused:
        _put(changed[unit].subject, changed[unit].arguments["old"])
    unit_files.daemon_reload()
    unit, word = next(iter(refused.items()))
    reasons = journal.tail(unit, 3)
    raise Failure(
        f"systemd refused {', '.join(refused)} with the new drop-in ({word}), which was taken"
        f" back. It said: {' '.join(reasons[-1:])}",
        refused=sorted(refused),
        journal=reasons,
    )


VERBS: Verbs = {"write": _change, "remove": _change, "reload": _reload}


def result(seen: Snapshot, wanted: Wanted, done: Plan) -> dict[str, t.Any]:
    """What the module returns beside the plan."""
    changed = {step.subject for step in done}
    units = {
        one.unit: {
            "path": one.path,
            "exists": wanted.text is not None,
            "running": one.running,
            "restart_needed": one.running and (one.outdated or one.path in changed),
        }
        for one in seen.units
    }
    restart = [unit for unit, state in units.items() if state["restart_needed"]]
    return {"units": units, "restart_needed": restart}
