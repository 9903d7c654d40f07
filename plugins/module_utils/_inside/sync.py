# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A directory of the host and one of a machine made the same: wanted and plan.

Private to the collection; all for the module C(machine_sync). How both ends are looked at is in
C(sync_seen), and how it is carried out in C(sync_act).
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
import typing as t

from .._core import locks, takeout
from .._core.plan import Failure, Plan, Step
from .._core.printable import printable
from .._core.walk import Kind, Limits
from .._systemd import machined
from . import commands

LISTED = 1000
"""So many of each kind are named in a result."""
_POWERS = 0o7000

# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A directory that shall be as another one is."""

    machine: str
    source: str
    destination: str
    to_machine: bool = True
    delete: bool = False
    checksum: bool = False
    exclude: tuple[str, ...] = ()
    owner: str = "root"
    group: t.Optional[str] = None
    """Nothing for the owner's own."""
    links: bool = False
    limits: Limits = dataclasses.field(default_factory=Limits)
    timeout: float = 3600

    @property
    def rules(self) -> takeout.Rules:
        return takeout.Rules(links=self.links, limits=self.limits, deadline=self.timeout)

    @property
    def thing(self) -> locks.Thing:
        """What nobody else may work on meanwhile."""
        if self.to_machine:
            return locks.Thing("file", self.place)
        return locks.file(self.destination)

    @property
    def place(self) -> str:
        """The destination, as it is called in messages."""
        return f"{self.machine}:{self.destination}" if self.to_machine else self.destination

    @property
    def origin(self) -> str:
        return self.source if self.to_machine else f"{self.machine}:{self.source}"


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    to_machine = params["direction"] == "to"
    for word in ("owner", "group"):
        if params[word] is not None and not to_machine:
            raise Failure(
                f"{word}: {params[word]!r}: what comes out of a machine belongs to who asked;"
                f" expected no {word} with direction=from"
            )
    return check(
        Wanted(
            machine=params["machine"],
            source=params["src"],
            destination=params["dest"],
            to_machine=to_machine,
            delete=params["delete"],
            checksum=params["checksum"],
            exclude=tuple(params["exclude"]),
            owner="root" if params["owner"] is None else params["owner"],
            group=params["group"],
            links=params["links"] == "keep",
            limits=Limits(size=params["max_size"], count=params["max_files"]),
            timeout=params["timeout"],
        )
    )


def check(wanted: Wanted) -> Wanted:
    """Refuse what names no place, and make the two paths plain."""
    machined.check_name(wanted.machine)
    paths = []
    for word, path in (("src", wanted.source), ("dest", wanted.destination)):
        if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
            raise Failure(f"{word}: {path!r}: expected an absolute path without '..'")
        paths.append("/" + os.path.normpath(path).strip("/"))
        if paths[-1] == "/":
            raise Failure(f"{word}: '/': expected a directory below it")
    for word, number in (("max_size", wanted.limits.size), ("max_files", wanted.limits.count)):
        if number < 1:
            raise Failure(f"{word}: {number}: expected a number above 0")
    for pattern in wanted.exclude:
        if not pattern.strip("/") or "\0" in pattern or ".." in pattern.split("/"):
            raise Failure(
                f"exclude: {pattern!r}: expected a name or a path below src, with * and ?"
            )
        try:
            Excluded([pattern])
        except re.error as error:
            raise Failure(f"exclude: {pattern!r}: expected a pattern: {error}") from None
    commands.check_timeout(wanted.timeout)
    source, destination = paths
    return dataclasses.replace(wanted, source=source, destination=destination)


class Excluded:
    """Which ways from the top are left alone, and what is above those that were met."""

    def __init__(self, patterns: t.Iterable[str]) -> None:
        words = [f"(?:{_expression(pattern)})" for pattern in patterns]
        self._expression = re.compile("|".join(words), re.DOTALL) if words else None
        self.above: set[str] = set()

    def __call__(self, path: str) -> bool:
        if self._expression is None or not self._expression.fullmatch(path):
            return False
        self.keep(path)
        return True

    def keep(self, path: str) -> None:
        """What is above this cannot go."""
        self.above.update(ways_above(path))


def ways_above(path: str) -> t.Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


# A run of stars, a question mark, a class, or a character that means itself.
_PIECES = re.compile(r"\*+|\?|\[!?\]?[^]/]*\]|.", re.DOTALL)


def _expression(pattern: str) -> str:
    """A name matches wherever it is, a way with a slash in it only from the top."""
    anywhere = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    parts = [part for part in pattern.split("/") if part]
    words = []
    for number, part in enumerate(parts, 1):
        is_last = number == len(parts)
        if part == "**":
            words.append(".+" if is_last else "(?:[^/]+/)*")
        else:
            words.append("".join(map(_piece, _PIECES.findall(part))) + ("" if is_last else "/"))
    return anywhere + "".join(words)


def _piece(piece: str) -> str:
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) < 2:
        return re.escape(piece)
    inside = piece[1:-1]
    is_not = inside.startswith("!")
    escaped = re.escape(inside[is_not:]).replace("\\-", "-")
    return f"(?!/)[{'^' if is_not else ''}{escaped}]"


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Thing:
    """One thing of a tree; equal when there is nothing to do."""

    kind: Kind
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    size: int = 0
    changed: int = 0
    """In seconds: archives keep no more."""
    target: str = ""
    digest: str = ""


Tree = t.Mapping[str, Thing]
"""By the way from the top, which is empty for the top itself."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Both ends."""

    source: Tree
    destination: Tree
    owner: tuple[int, int] = (0, 0)
    """Whose everything shall be: in a machine in its own numbers."""
    kept: frozenset[str] = frozenset()
    """Directories of the destination that hold what is left alone."""
    left_out: int = 0
    told: tuple[str, ...] = ()


# --- plan -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Changes:
    """Which ways are not as they shall be, those above before those below."""

    copied: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """Whole, with all that is below."""
    replaced: frozenset[str] = frozenset()
    """Of the removed those in whose place something else comes."""

    @property
    def sent(self) -> frozenset[str]:
        return frozenset((*self.copied, *self.updated))

    @property
    def gone(self) -> tuple[str, ...]:
        return tuple(path for path in self.removed if path not in self.replaced)


def changes(seen: Snapshot, wanted: Wanted) -> Changes:
    """What to do; a Failure when that cannot be."""
    _insist_on_directories(seen, wanted)
    copied: list[str] = []
    updated: list[str] = []
    removed: dict[str, None] = {}
    replaced: set[str] = set()
    for path, there in seen.destination.items():
        if any(way in removed for way in ways_above(path)):
            continue
        source = seen.source.get(path)
        if source is not None and source.kind is not there.kind:
            if not _may_go(path, there, seen):
                raise Failure(
                    f"{printable(wanted.place)}/{printable(path)} cannot become a"
                    f" {source.kind.value}: something is mounted there, or in it is what is"
                    " excluded. Remove it first"
                )
            removed[path] = None
            replaced.add(path)
        elif source is None and wanted.delete and _may_go(path, there, seen):
            removed[path] = None
    for path, source in seen.source.items():
        found = seen.destination.get(path)
        if found is None or any(way in removed for way in ways_above(path)):
            copied.append(path)
        elif path in replaced or not _same(source, found, seen.owner, wanted):
            updated.append(path)
    return Changes(tuple(copied), tuple(updated), tuple(removed), frozenset(replaced))


def _may_go(path: str, there: Thing, seen: Snapshot) -> bool:
    return there.kind is not Kind.MOUNT and path not in seen.kept


def _insist_on_directories(seen: Snapshot, wanted: Wanted) -> None:
    top = seen.source.get("")
    if top is None or top.kind is not Kind.DIRECTORY:
        found = "nothing" if top is None else f"a {top.kind.value}"
        raise Failure(
            f"src: {printable(wanted.origin)}: expected a directory, found {found}; for a file"
            " there is machine_copy"
        )
    top = seen.destination.get("")
    if top is not None and top.kind is not Kind.DIRECTORY:
        raise Failure(
            f"dest: {printable(wanted.place)}: expected a directory or nothing, found a"
            f" {top.kind.value}. Remove it first"
        )


def _same(source: Thing, found: Thing, owner: tuple[int, int], wanted: Wanted) -> bool:
    if source.kind is Kind.LINK:
        return (source.target, owner) == (found.target, found.owner)
    if (source.mode, owner) != (found.mode, found.owner):
        return False
    if source.kind is not Kind.FILE:
        return True
    if source.size != found.size:
        return False
    if wanted.checksum:
        return source.digest == found.digest
    return source.changed == found.changed


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    """At most two steps: what is in the way or too much goes first."""
    todo = changes(seen, wanted)
    before, after = _shown(seen, todo)
    arguments = {"wanted": wanted, "changes": todo, "owner": seen.owner}
    steps: list[Step] = []
    if todo.removed:
        steps.append(Step("remove from", wanted.place, arguments, before, after))
    if todo.sent:
        needs = frozenset(step.identity for step in steps)
        steps.append(Step("sync", wanted.place, arguments, before, after, needs))
    return tuple(steps)


def _shown(seen: Snapshot, todo: Changes) -> tuple[str, str]:
    """What differs, in words, and no digest of it."""
    before, after = [], []
    for path in sorted({*todo.sent, *todo.removed}):
        there, source = seen.destination.get(path), seen.source.get(path)
        old = _line(path, there, there.owner) if there is not None else ""
        new = _line(path, source, seen.owner) if source is not None and path in todo.sent else ""
        before.append(old)
        after.append(f"{new[:-1]} (other contents)\n" if new and new == old else new)
    return "".join(before), "".join(after)


def _line(path: str, thing: Thing, owner: tuple[int, int]) -> str:
    words = [printable(path or "."), thing.kind.value]
    if thing.kind is Kind.LINK:
        words.append(f"-> {printable(thing.target)}")
    else:
        words.append(f"{thing.mode:04o}")
    words.append("{}:{}".format(*owner))
    if thing.kind is Kind.FILE:
        moment = time.gmtime(min(max(thing.changed, 0), 2**40))
        words += [f"{thing.size} bytes", time.strftime("%Y-%m-%d %H:%M:%S", moment)]
    return " ".join(words) + "\n"


def listed(todo: Changes) -> dict[str, t.Any]:
    """The same in a result."""
    every = {"copied": todo.copied, "updated": todo.updated, "removed": todo.gone}
    named = {name: [path or "." for path in paths[:LISTED]] for name, paths in every.items()}
    return {**named, "counts": {name: len(paths) for name, paths in every.items()}}


def warnings(seen: Snapshot, wanted: Wanted) -> list[str]:
    """What the user has to know of what did not come along."""
    if not seen.left_out:
        return []
    more = seen.left_out - len(seen.told)
    rest = f", and {more} more" if more else ""
    told = "; ".join(seen.told)
    origin = printable(wanted.origin)
    return [f"{origin}: {seen.left_out} of what is in it is not taken along: {told}{rest}"]
