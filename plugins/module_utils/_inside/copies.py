# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Copies between a host and a machine that runs: wanted, seen, plan, act.

Private to the collection; all for the module C(machine_copy).

Through machined, which enters the machine to open its files. The way through /proc would follow
the machine's links on the host, and under private users leave files that belong to nobody.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import typing as t

from .._core import run
from .._core.plan import Failure, Plan, Step, Verbs
from .._systemd import machined
from . import commands

TEMPORARY_SUFFIX = ".nspawn-machined-new"
COPY_TIMEOUT = 3600


# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A copy that shall be there."""

    machine: str
    source: str
    destination: str
    to_machine: bool = True
    mode: t.Optional[str] = None
    """In octal digits; nothing to keep the source's."""
    force: bool = True


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    return check(
        Wanted(
            machine=params["machine"],
            source=params["src"],
            destination=params["dest"],
            to_machine=params["direction"] == "to",
            mode=params["mode"],
            force=params["force"],
        )
    )


def check(wanted: Wanted) -> Wanted:
    """Refuse what names no place; complete a destination that names only a directory."""
    machined.check_name(wanted.machine)
    for word, path in (("src", wanted.source), ("dest", wanted.destination)):
        if not path.startswith("/") or "\0" in path:
            raise Failure(f"{word}: {path!r}: expected an absolute path")
    mode = wanted.mode
    if mode is not None and not _is_mode(mode):
        raise Failure(f"mode: {mode!r}: expected octal digits such as '0644', in quotes")
    destination = wanted.destination
    if destination.endswith("/"):
        destination += os.path.basename(wanted.source.rstrip("/"))
    destination = os.path.normpath(destination)
    if destination == "/":
        raise Failure("dest: '/': expected a file or a directory below it")
    return dataclasses.replace(
        wanted, destination=destination, mode=_shortest(mode) if mode else None
    )


def _is_mode(mode: str) -> bool:
    return 3 <= len(mode) <= 5 and set(mode) <= set("01234567") and int(mode, 8) <= 0o7777


def _shortest(mode: str) -> str:
    """As stat prints it."""
    return f"{int(mode, 8):o}"


# --- seen -----------------------------------------------------------------------------------

# Says what lies at a path, in the same words on the host and in the machine: kind, mode, digest.
_LOOK = """
export LC_ALL=C
if [ -d "$1" ]; then
    echo "directory $(stat -L -c %a -- "$1")"
    cd -- "$1" && find . -mindepth 1 -printf '%y %m %P -> %l\\n' | sort \\
        && find . -type f -exec sha256sum -b -- {} + | sort
elif [ -f "$1" ]; then
    echo "file $(stat -L -c %a -- "$1")" && sha256sum -b < "$1"
elif [ -e "$1" ] || [ -L "$1" ]; then
    echo "other 0"
else
    echo "nothing 0"
fi
"""


@dataclasses.dataclass(frozen=True)
class Look:
    """What lies at a path."""

    kind: str
    mode: str = ""
    contents: str = ""


class Snapshot(t.NamedTuple):
    """Both ends of a copy."""

    source: Look
    destination: Look


def snapshot(wanted: Wanted) -> Snapshot:
    inside = _look_inside(
        wanted.machine, wanted.destination if wanted.to_machine else wanted.source
    )
    outside = _look_outside(wanted.source if wanted.to_machine else wanted.destination)
    return Snapshot(outside, inside) if wanted.to_machine else Snapshot(inside, outside)


def _look_inside(machine: str, path: str) -> Look:
    result = commands.run(machine, commands.Command(("sh", "-c", _LOOK, "sh", path)))
    return look_of(result, f"{machine}:{path}")


def _look_outside(path: str) -> Look:
    result = run.run(["sh", "-c", _LOOK, "sh", path], check=False, timeout=COPY_TIMEOUT)
    return look_of(result, path)


def look_of(result: run.Result, path: str) -> Look:
    first, _newline, rest = result.stdout.partition("\n")
    kind, _space, mode = first.partition(" ")
    if result.rc != 0 or kind not in ("directory", "file", "other", "nothing"):
        raise Failure(f"{path} cannot be read: {result.stderr.strip() or first}")
    return Look(kind, mode, rest)


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    """At most one step: the copy takes its place at once, or not at all."""
    source, destination = seen
    here = f"{wanted.machine}:" if wanted.to_machine else ""
    there = "" if wanted.to_machine else f"{wanted.machine}:"
    if source.kind not in ("file", "directory"):
        raise Failure(
            f"src: {there}{wanted.source}: expected a file or a directory, found "
            f"{'nothing' if source.kind == 'nothing' else 'neither'}"
        )
    if wanted.mode is not None and source.kind == "directory":
        raise Failure("mode: is for a file; the files of a directory keep theirs")
    target = dataclasses.replace(source, mode=wanted.mode or source.mode)
    if destination == target:
        return ()
    subject = f"{here}{wanted.destination}"
    if destination.kind != "nothing":
        if not wanted.force:
            return ()
        if "directory" in (source.kind, destination.kind) or destination.kind == "other":
            raise Failure(
                f"dest: {subject}: there is a {destination.kind} already, which is not the same; "
                "only a file is replaced, by a file. Remove it first"
            )
    return (
        Step(
            "copy",
            subject,
            {"wanted": wanted, "mode": target.mode if source.kind == "file" else ""},
            before=_shown(destination),
            after=_shown(target),
        ),
    )


def _shown(look: Look) -> dict[str, t.Any]:
    if look.kind == "nothing":
        return {"kind": None}
    shown: dict[str, t.Any] = {"kind": look.kind, "mode": look.mode}
    if look.kind == "file":
        shown["sha256"] = look.contents.split(" ", 1)[0]
    return shown


# --- act ------------------------------------------------------------------------------------

_REPLACE = 'if [ -n "$3" ]; then chmod "$3" -- "$1"; fi && mv -fT -- "$1" "$2"'


def _copy(step: Step) -> None:
    wanted: Wanted = step.arguments["wanted"]
    (_copy_to if wanted.to_machine else _copy_from)(wanted, step.arguments["mode"])


def _beside(path: str) -> str:
    """A temporary name in the same directory, always the same for the same path."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{TEMPORARY_SUFFIX}")


def _copy_to(wanted: Wanted, mode: str) -> None:
    temporary = _beside(wanted.destination)
    # machined refuses to replace anything before systemd 254.
    _inside_or_fail(wanted, "rm", "-rf", "--", temporary)
    _machinectl("copy-to", wanted.machine, wanted.source, temporary)
    _inside_or_fail(wanted, "sh", "-c", _REPLACE, "sh", temporary, wanted.destination, mode)


def _inside_or_fail(wanted: Wanted, *argv: str) -> None:
    result = commands.run(wanted.machine, commands.Command(argv))
    if result.rc != 0:
        raise Failure(f"{wanted.machine}: {wanted.destination}: {result.stderr.strip()}")


def _copy_from(wanted: Wanted, mode: str) -> None:
    temporary = _beside(wanted.destination)
    _remove(temporary)
    try:
        _machinectl("copy-from", wanted.machine, wanted.source, temporary)
        if mode:
            os.chmod(temporary, int(mode, 8))
        os.rename(temporary, wanted.destination)
    finally:
        _remove(temporary)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _machinectl(verb: str, *words: str) -> None:
    run.run(["machinectl", verb, "--", *words], timeout=COPY_TIMEOUT)


VERBS: Verbs = {"copy": _copy}
