# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The settings files of some machines: wanted, seen, plan, act.

Private to the collection; all for the module C(nspawn_settings). What one file says is known to
C(nspawn_file).
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from .._core import files as core_files
from .._core import locks, masks
from .._core.plan import Failure, Plan, Step, Verbs, ordered
from .._systemd import machined
from .._systemd import units as systemd_units
from . import nspawn_file
from .nspawn_file import Settings

# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the files of these machines shall say; nothing: there shall be none."""

    names: tuple[str, ...]
    settings: Settings | None
    exclusive: bool = False

    @property
    def things(self) -> list[locks.Thing]:
        """What nobody else may work on meanwhile: who declares a machine writes its file too."""
        paths = map(nspawn_file.path_of, self.names)
        return [*map(locks.file, paths), *map(locks.machine, self.names)]


def wanted_of(params: t.Mapping[str, t.Any], version: int) -> Wanted:
    """Check everything that the user gave, before anything is looked at or changed."""
    names = tuple(dict.fromkeys(params["name"]))
    if not names:
        raise Failure("name: expected at least one machine")
    for name in names:
        machined.check_name(name)
    if params["state"] == "absent":
        if params["settings"] or params["exclusive"] or params["defaults"]:
            raise Failure(
                "state=absent takes away the whole file; to remove one key, give it null as value"
                " with state=present"
            )
        return Wanted(names, None)
    settings = nspawn_file.normalise(params["settings"] or {})
    if params["defaults"]:
        settings = nspawn_file.with_defaults(settings)
    elif not settings and not params["exclusive"]:
        raise Failure("settings: expected at least one section with a key")
    nspawn_file.check(settings, version)
    return Wanted(names, settings, params["exclusive"])


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Seen:
    """The file of one machine, and whether the machine runs with it."""

    name: str
    text: str | None = None
    mode: int = 0o644
    running: bool = False
    outdated: bool = False
    """It runs, and the file was changed after its start."""
    shadowed: str | None = None
    """Another file for the machine, which is not read as long as there is ours."""

    @property
    def path(self) -> str:
        return nspawn_file.path_of(self.name)


def snapshot(wanted: Wanted) -> tuple[Seen, ...]:
    states = systemd_units.snapshot([machined.unit_of(name) for name in wanted.names])
    return tuple(_seen(name, states[machined.unit_of(name)]) for name in wanted.names)


def _seen(name: str, state: systemd_units.UnitState) -> Seen:
    path = nspawn_file.path_of(name)
    return Seen(
        name=name,
        text=core_files.read(path),
        mode=core_files.mode_of(path),
        running=state.running,
        outdated=state.running and systemd_units.younger_than_start(state.name, [path]),
        shadowed=_shadowed(name),
    )


def _shadowed(name: str) -> str | None:
    others = (
        f"{nspawn_file.RUNTIME_DIRECTORY}/{name}.nspawn",
        f"{machined.MACHINES_DIRECTORY}/{name}.nspawn",
    )
    return next((path for path in others if os.path.lexists(path)), None)


# --- plan -----------------------------------------------------------------------------------


def plan(seen: t.Sequence[Seen], wanted: Wanted) -> Plan:
    steps = (_step(one, text_of(one, wanted)) for one in seen)
    return ordered(step for step in steps if step)


def text_of(seen: Seen, wanted: Wanted) -> str | None:
    """The text that the file shall have."""
    if wanted.settings is None:
        return None
    text = nspawn_file.merge(seen.text, wanted.settings, wanted.exclusive, what=seen.path)
    # Without a word in it a file would do nothing but keep others from being read.
    return text if text or seen.text is not None else None


def _step(seen: Seen, text: str | None) -> Step | None:
    change = masks.change(seen.text, seen.mode, text)
    if change is None:
        return None
    mode, before, after = change
    verb = "remove" if text is None else "write"
    return Step(verb, seen.path, {"text": text, "mode": mode}, before=before, after=after)


def warnings(seen: t.Sequence[Seen], wanted: Wanted, version: int) -> list[str]:
    """What the user should know before it surprises them."""
    if wanted.settings is None:
        return []
    found = []
    for one in seen:
        text = text_of(one, wanted)
        found += [
            f"{one.path}: {hint}" for hint in nspawn_file.advice(_parsed(text, one.path), version)
        ]
        if one.text is None and text is not None and one.shadowed:
            found.append(f"{one.shadowed} is not read any more as soon as there is {one.path}")
    return found


# --- act ------------------------------------------------------------------------------------


def verbs(backup: bool, backups: dict[str, str]) -> Verbs:
    """How to change the files; O(backups) gets the copy of each that was there."""

    def write(step: Step) -> None:
        keep(step)
        core_files.write(step.subject, step.arguments["text"], mode=step.arguments["mode"])

    def remove(step: Step) -> None:
        keep(step)
        core_files.remove(step.subject)
        if os.path.dirname(step.subject) == nspawn_file.DIRECTORY:
            core_files.remove_empty_directory(nspawn_file.DIRECTORY)

    def keep(step: Step) -> None:
        if backup and step.before is not None:
            backups[step.subject] = _copied(step.subject)

    return {"write": write, "remove": remove}


def _copied(path: str) -> str:
    """Copy a file, for root alone: what was in it need not be public for being old."""
    copy = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~"
    core_files.write(copy, core_files.read(path) or "", mode=0o600)
    return copy


def result(
    seen: t.Sequence[Seen], wanted: Wanted, done: Plan, backups: t.Mapping[str, str]
) -> dict[str, t.Any]:
    """What the module returns beside the plan."""
    changed = {step.subject for step in done}
    machines = {}
    for one in seen:
        text = text_of(one, wanted)
        machines[one.name] = {
            "path": one.path,
            "exists": text is not None,
            "settings": masks.sections(_parsed(text, one.path)),
            "running": one.running,
            "restart_needed": one.running and (one.outdated or one.path in changed),
        }
        if one.path in backups:
            machines[one.name]["backup_file"] = backups[one.path]
    restart = [name for name, machine in machines.items() if machine["restart_needed"]]
    return {"machines": machines, "restart_needed": restart}


def _parsed(text: str | None, path: str) -> Settings:
    return nspawn_file.parse(text or "", path)
