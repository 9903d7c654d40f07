# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Units as systemd sees them. Private to the collection.

Everything takes many units and costs the same few processes however many they are.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core import run
from .._core.lines import lines_of
from . import bus, unit_files


@dataclasses.dataclass(frozen=True)
class UnitState:
    """A unit as systemd sees it. What is not loaded is inactive."""

    name: str
    load: str = "not-loaded"
    active: str = "inactive"
    sub: str = "dead"
    job: str = ""
    """The kind of job that waits or runs for it: start, stop, restart, …"""
    file: str = "disabled"
    """enabled, enabled-runtime, masked, or disabled"""
    drop_ins: tuple[str, ...] = ()
    """Its own, not those that it shares with its template."""
    frozen: bool = False

    @property
    def enabled(self) -> bool:
        return self.file == "enabled"

    @property
    def running(self) -> bool:
        return self.active not in ("inactive", "failed")


@dataclasses.dataclass(frozen=True)
class Details:
    """What systemd knows besides; dear for many units, so only asked for the few of interest."""

    result: str = ""
    main_pid: int = 0
    exit_code: int = 0
    exit_status: int = 0
    invocation: str = ""
    needs_reload: bool = False
    drop_ins: tuple[str, ...] = ()
    control_group: str = ""


def snapshot(units: t.Sequence[str]) -> dict[str, UnitState]:
    """The state of many units with one call and a look into a few directories.

    systemctl show would take 25 ms for each unit, as it asks for all properties and throws most
    of them away.
    """
    listed = _listed(units)
    files = _file_states()
    return {unit: _state(unit, listed.get(unit), files) for unit in units}


def _listed(units: t.Sequence[str]) -> dict[str, t.Sequence[t.Any]]:
    """The rows of the units that are loaded."""
    patterns = sorted({re.sub(r"@.+\.", "@*.", unit) for unit in units})
    if not patterns:
        return {}
    (rows,) = bus.call(
        bus.SYSTEMD, "ListUnitsByPatterns", "asas", "0", str(len(patterns)), *patterns
    )
    return {row[0]: row for row in rows}


def _state(unit: str, row: t.Sequence[t.Any] | None, files: t.Mapping[str, str]) -> UnitState:
    file = files.get(unit, "disabled")
    drop_ins = _drop_ins(unit)
    if row is None:
        return UnitState(unit, file=file, drop_ins=drop_ins)
    load, active, sub, job = row[2], row[3], row[4], row[8]
    frozen = active == "active" and _is_frozen(unit)
    return UnitState(unit, load, active, sub, job, file, drop_ins, frozen)


def _file_states() -> dict[str, str]:
    """What is enabled, and what is masked: the links that say so."""
    found: dict[str, str] = {}
    for directory, word in (
        (unit_files.RUNTIME_DIRECTORY, "enabled-runtime"),
        (unit_files.DIRECTORY, "enabled"),
    ):
        for entry in _entries(directory):
            if entry.name.endswith((".wants", ".requires", ".upholds")):
                found.update({link.name: word for link in _entries(entry.path)})
            elif entry.is_symlink() and os.readlink(entry.path) == "/dev/null":
                found[entry.name] = "masked"
    return found


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _drop_ins(unit: str) -> tuple[str, ...]:
    return tuple(
        entry.path
        for directory in (unit_files.DIRECTORY, unit_files.RUNTIME_DIRECTORY)
        for entry in _entries(f"{directory}/{unit}.d")
        if entry.name.endswith(".conf")
    )


def _is_frozen(unit: str) -> bool:
    """Whether its processes are stopped by the freezer, which the list of units does not tell."""
    try:
        with open(f"/sys/fs/cgroup/machine.slice/{unit}/cgroup.events", encoding="ascii") as events:
            return "frozen 1" in events.read()
    except OSError:
        # Not in the usual slice, or just gone. Few are, so the dear way is good enough.
        where = bus.object_path("/org/freedesktop/systemd1/unit", unit)
        found = bus.properties(
            bus.SYSTEMD, "FreezerState", path=where, interface="org.freedesktop.systemd1.Unit"
        )
        return bool(found["FreezerState"] == "frozen")


def details(units: t.Sequence[str]) -> dict[str, Details]:
    """More about a few units."""
    if not units:
        return {}
    wanted = (
        "Id,Result,MainPID,ExecMainCode,ExecMainStatus,InvocationID,NeedDaemonReload,DropInPaths,"
        "ControlGroup"
    )
    stdout = run.run(["systemctl", "show", f"--property={wanted}", "--", *units]).stdout
    found: dict[str, Details] = {}
    for block in stdout.split("\n\n"):
        shown = dict(line.split("=", 1) for line in lines_of(block) if "=" in line)
        found[shown.get("Id", "")] = Details(
            result=shown.get("Result", ""),
            main_pid=int(shown.get("MainPID") or 0),
            exit_code=int(shown.get("ExecMainCode") or 0),
            exit_status=int(shown.get("ExecMainStatus") or 0),
            invocation=shown.get("InvocationID", ""),
            needs_reload=shown.get("NeedDaemonReload") == "yes",
            drop_ins=tuple(shown.get("DropInPaths", "").split()),
            control_group=shown.get("ControlGroup", ""),
        )
    return {unit: found.get(unit, Details()) for unit in units}


def unloadable(units: t.Sequence[str]) -> dict[str, str]:
    """Those of the units that systemd refuses to load, and its word for why."""
    real = [unit for unit in units if "@." not in unit]
    if not real:
        return {}
    (rows,) = bus.call(bus.SYSTEMD, "ListUnitsByNames", "as", str(len(real)), *real)
    return {row[0]: row[2] for row in rows if row[2] in ("bad-setting", "error")}


def younger_than_start(unit: str, paths: t.Iterable[str]) -> bool:
    """Whether one of the files was changed after the unit was started.

    systemd makes a link when it starts a unit. The files are judged by the change of their
    inodes: one that is moved into place keeps its old time of modification.
    """
    started = _changed(f"/run/systemd/units/invocation:{unit}")
    if started is None:
        return False
    return any((_changed(path) or 0) > started for path in paths)


def _changed(path: str) -> int | None:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return None
