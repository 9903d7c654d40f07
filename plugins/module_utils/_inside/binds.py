# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Directories and files of the host bound into a machine that runs: wanted, seen, plan, act.

Private to the collection; all for the module C(machine_bind).
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core import files as core_files
from .._core import run
from .._core.lines import lines_of
from .._core.plan import Failure, Plan, Step, Verbs
from .._systemd import machined
from . import leader as leaders

# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A bind mount that shall be there."""

    machine: str
    source: str
    destination: str
    read_only: bool = False
    mkdir: bool = False


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    return check(
        Wanted(
            machine=params["machine"],
            source=params["src"],
            destination=params["dest"] or params["src"],
            read_only=params["read_only"],
            mkdir=params["mkdir"],
        )
    )


def check(wanted: Wanted) -> Wanted:
    machined.check_name(wanted.machine)
    for word, path in (("src", wanted.source), ("dest", wanted.destination)):
        if not path.startswith("/") or "\0" in path:
            raise Failure(f"{word}: {path!r}: expected an absolute path")
    return dataclasses.replace(
        wanted,
        source=os.path.realpath(wanted.source),
        destination=os.path.normpath("/" + wanted.destination.lstrip("/")),
    )


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Mount:
    """One line of a mountinfo."""

    point: str
    device: str
    root: str
    """The directory of that file system which is mounted."""
    read_only: bool


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What matters for a bind mount."""

    private_users: bool
    inside: tuple[Mount, ...]
    outside: tuple[Mount, ...]
    source_exists: bool


def snapshot(wanted: Wanted) -> Snapshot:
    with leaders.held(wanted.machine) as leader:
        uid_map, mountinfo = leader.read("uid_map"), leader.read("mountinfo")
    return Snapshot(
        private_users=is_mapped(uid_map),
        inside=mounts(mountinfo),
        outside=mounts(core_files.read("/proc/self/mountinfo") or ""),
        source_exists=os.path.exists(wanted.source),
    )


def is_mapped(uid_map: str) -> bool:
    """Whether the machine's root is another user on the host."""
    words = uid_map.split()
    return len(words) >= 2 and words[:2] != ["0", "0"]


def mounts(mountinfo: str) -> tuple[Mount, ...]:
    # Names in it may have any blank but these two.
    rows = [line.split(" ") for line in lines_of(mountinfo)]
    return tuple(
        Mount(_unescaped(row[4]), row[2], _unescaped(row[3]), "ro" in row[5].split(","))
        for row in rows
        if len(row) > 5
    )


def _unescaped(path: str) -> str:
    """The kernel writes blanks, newlines and backslashes as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), path)


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    if not seen.source_exists:
        raise Failure(f"src: {wanted.source} does not exist on the host")
    # The last one counts: it lies over the others.
    there = [mount for mount in seen.inside if mount.point == wanted.destination]
    if there and _same(there[-1], place(seen.outside, wanted.source)):
        if there[-1].read_only == wanted.read_only:
            return ()
        raise Failure(
            f"{wanted.machine}: {wanted.source} is bound to {wanted.destination} already, "
            f"{'read-only' if there[-1].read_only else 'writable'}; a bind stays as it is until "
            "the machine stops"
        )
    if seen.private_users:
        raise Failure(f"{wanted.machine} has private users, {permanent(wanted)}")
    return (
        Step(
            "bind",
            f"{wanted.machine}:{wanted.destination}",
            {"wanted": wanted},
            before={"bound": None},
            after={"bound": wanted.source, "read_only": wanted.read_only},
        ),
    )


def permanent(wanted: Wanted) -> str:
    """Why it cannot be done now, and the way that works."""
    key = "BindReadOnly" if wanted.read_only else "Bind"
    return (
        "so the kernel lets nothing be bound into it while it runs. Declare it in its settings "
        f"and restart it - settings: {{Files: {{{key}: "
        f"['{wanted.source}:{wanted.destination}']}}}} of nspawn.machined.machines. With private "
        f"users '{wanted.source}:{wanted.destination}:idmap' lets the machine's users own files "
        "there"
    )


def place(outside: t.Sequence[Mount], path: str) -> tuple[str, str]:
    """Where a path lies whatever is mounted where: its file system, and the path in it."""
    best = Mount("/", "", "/", False)
    for mount in outside:
        below = mount.point.rstrip("/") + "/"
        if (path + "/").startswith(below) and len(mount.point) >= len(best.point):
            best = mount
    rest = os.path.relpath(path, best.point)
    return best.device, os.path.normpath(os.path.join(best.root, rest))


def _same(mount: Mount, where: tuple[str, str]) -> bool:
    return (mount.device, os.path.normpath(mount.root)) == where


# --- act ------------------------------------------------------------------------------------


def _bind(step: Step) -> None:
    wanted: Wanted = step.arguments["wanted"]
    argv = ["machinectl", "bind"]
    if wanted.read_only:
        argv.append("--read-only")
    if wanted.mkdir:
        argv.append("--mkdir")
    run.run([*argv, "--", wanted.machine, wanted.source, wanted.destination])


VERBS: Verbs = {"bind": _bind}
