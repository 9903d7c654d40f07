# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Copies between a host and a machine that runs: wanted, seen, plan, act.

Private to the collection; all for the module C(machine_copy). Into a machine its own programs
write (C(into)); out of it nothing is taken but contents (C(takeout)).
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core import locks, masks, takeout
from .._core.plan import Failure, Plan, Step, Verbs
from .._core.printable import printable
from .._core.walk import Limits, TooMuch
from .._systemd import machined
from . import commands, into
from . import leader as leaders
from .into import Look

# What nobody shall become or keep by a file that came out of a machine.
_POWERS = 0o7000


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
    links: bool = False
    """Out of a machine: whether links come along as what they are."""
    limits: Limits = dataclasses.field(default_factory=Limits)
    timeout: float = 3600

    @property
    def rules(self) -> takeout.Rules:
        return takeout.Rules(
            links=self.links,
            limits=self.limits,
            mode=int(self.mode, 8) if self.mode else None,
            deadline=self.timeout,
        )

    @property
    def thing(self) -> locks.Thing:
        """What nobody else may work on meanwhile."""
        if self.to_machine:
            return locks.Thing("file", f"{self.machine}:{self.destination}")
        return locks.file(self.destination)


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    return check(
        Wanted(
            machine=params["machine"],
            source=params["src"],
            destination=params["dest"],
            to_machine=params["direction"] == "to",
            mode=params["mode"],
            force=params["force"],
            links=params["links"] == "keep",
            limits=Limits(size=params["max_size"], count=params["max_files"]),
            timeout=params["timeout"],
        )
    )


def check(wanted: Wanted) -> Wanted:
    """Refuse what names no place; complete a destination that names only a directory."""
    machined.check_name(wanted.machine)
    for word, path in (("src", wanted.source), ("dest", wanted.destination)):
        if not path.startswith("/") or "\0" in path:
            raise Failure(f"{word}: {path!r}: expected an absolute path")
    for word, number in (("max_size", wanted.limits.size), ("max_files", wanted.limits.count)):
        if number < 1:
            raise Failure(f"{word}: {number}: expected a number above 0")
    commands.check_timeout(wanted.timeout)
    destination = wanted.destination
    if destination.endswith("/"):
        destination += os.path.basename(wanted.source.rstrip("/"))
    destination = os.path.normpath(destination)
    if destination == "/":
        raise Failure("dest: '/': expected a file or a directory below it")
    return dataclasses.replace(wanted, destination=destination, mode=_checked_mode(wanted))


def _checked_mode(wanted: Wanted) -> t.Optional[str]:
    """As stat prints it."""
    mode = wanted.mode
    if mode is None:
        return None
    if not 3 <= len(mode) <= 5 or set(mode) - set("01234567") or int(mode, 8) > 0o7777:
        raise Failure(f"mode: {mode!r}: expected octal digits such as '0644', in quotes")
    if not wanted.to_machine and int(mode, 8) & _POWERS:
        raise Failure(
            f"mode: {mode!r}: what comes out of a machine gives nobody somebody else's rights; "
            "expected three digits"
        )
    return f"{int(mode, 8):o}"


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Both ends of a copy."""

    source: Look
    destination: Look
    left_out: int = 0
    told: tuple[str, ...] = ()
    """What would not come along, and why; not all of it when it is much."""


def snapshot(wanted: Wanted) -> Snapshot:
    if wanted.to_machine:
        return Snapshot(
            into.look(wanted.source, wanted.limits, wanted.timeout),
            into.look_inside(wanted.machine, wanted.destination, wanted.timeout),
        )
    with leaders.root(wanted.machine, deadline=wanted.timeout) as root:
        summary = takeout.summary(root, wanted.source, wanted.rules)
    taken = summary.taken if summary else takeout.Taken()
    return Snapshot(
        _look_of(summary), _present(wanted.destination, wanted.rules), taken.left_out, taken.told
    )


def _look_of(summary: t.Optional[takeout.Summary]) -> Look:
    if summary is None:
        return Look("nothing")
    return Look(summary.kind.value, f"{summary.mode:o}", summary.digest)


def _present(destination: str, rules: takeout.Rules) -> Look:
    try:
        return _look_of(takeout.present(destination, rules))
    except TooMuch:
        # More than would be copied cannot be the same.
        return Look("directory" if os.path.isdir(destination) else "file", digest="too much")


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    """At most one step: the copy takes its place at once, or not at all."""
    source, destination = seen.source, seen.destination
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
        if (source.kind, destination.kind) != ("file", "file"):
            raise Failure(
                f"dest: {subject}: there is a {_WORDS[destination.kind]} already, which is not the "
                "same; only a file is replaced, by a file. Remove it first"
            )
    return (
        Step(
            "copy",
            subject,
            {"wanted": wanted, "mode": target.mode if source.kind == "file" else ""},
            before=_shown(destination),
            after=_shown(target, destination),
        ),
    )


_WORDS: t.Mapping[str, str] = {
    "file": "file",
    "directory": "directory",
    "link": "symbolic link",
    "other": "thing that is neither file nor directory",
}


def _shown(look: Look, before: t.Optional[Look] = None) -> dict[str, t.Any]:
    """What may be shown of it: no digest, from which a short secret could be guessed."""
    if look.kind == "nothing":
        return {"kind": None}
    shown: dict[str, t.Any] = {"kind": look.kind, "mode": look.mode}
    if look.kind == "file":
        is_another = before is not None and before.kind == "file" and before.digest != look.digest
        shown["content"] = masks.ANOTHER if is_another else masks.MASK
    return shown


def warnings(seen: Snapshot, wanted: Wanted) -> list[str]:
    """What the user has to know of a copy that is not all of it."""
    if not seen.left_out:
        return []
    more = seen.left_out - len(seen.told)
    rest = f", and {more} more" if more else ""
    source = f"{wanted.machine}:{printable(wanted.source)}"
    told = "; ".join(seen.told)
    return [f"{source}: {seen.left_out} of what is in it is not taken along: {told}{rest}"]


# --- act ------------------------------------------------------------------------------------


def _copy(step: Step) -> None:
    wanted: Wanted = step.arguments["wanted"]
    if wanted.to_machine:
        into.put(
            wanted.machine,
            wanted.source,
            wanted.destination,
            step.arguments["mode"],
            wanted.limits,
            wanted.timeout,
        )
        return
    with leaders.root(wanted.machine, deadline=wanted.timeout) as root:
        takeout.copy(root, wanted.source, wanted.destination, wanted.rules, replace=wanted.force)


VERBS: Verbs = {"copy": _copy}
