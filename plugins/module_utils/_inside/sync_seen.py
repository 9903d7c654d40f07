# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is in a directory of the host and in one of a machine. Private to the collection.

Both are looked at by descriptors, from the host and below their own roots; whose numbers are whose
is told by the kernel and by the machine's own files.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core import descriptors, takeout
from .._core.beneath import Root
from .._core.patience import Stop
from .._core.plan import Failure
from .._core.printable import printable
from .._core.walk import Entry, Kind, Limits, Walk
from . import into
from . import leader as leaders
from .sync import Excluded, Snapshot, Thing, Tree, Wanted


def snapshot(wanted: Wanted) -> Snapshot:
    if wanted.to_machine:
        return _seen_to(wanted)
    return _seen_from(wanted)


def _seen_to(wanted: Wanted) -> Snapshot:
    with leaders.root(wanted.machine, deadline=wanted.timeout) as root:
        with leaders.held(wanted.machine) as leader:
            users, groups = (_ranges(leader.read(name)) for name in ("uid_map", "gid_map"))
        owner = owner_of(wanted, root)
        source = _source_to(wanted)
        excluded = Excluded(wanted.exclude)
        found = root.find(wanted.destination, follow=False)
        seen = _destination(found, wanted, source, excluded)
    inside = {
        path: dataclasses.replace(
            thing, owner=(_number(users, thing.owner[0]), _number(groups, thing.owner[1]))
        )
        for path, thing in seen.items()
    }
    return Snapshot(source, inside, owner, frozenset(excluded.above))


def _seen_from(wanted: Wanted) -> Snapshot:
    with leaders.root(wanted.machine, deadline=wanted.timeout) as root:
        source, taken = _source_from(root, wanted)
    excluded = Excluded(wanted.exclude)
    try:
        found = os.open(wanted.destination, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        found = None
    seen = _destination(found, wanted, source, excluded)
    me = (os.geteuid(), os.getegid())
    kept = frozenset(excluded.above)
    return Snapshot(source, seen, me, kept, taken.left_out, taken.told)


def _source_to(wanted: Wanted) -> dict[str, Thing]:
    def work(stop: Stop) -> dict[str, Thing]:
        try:
            with into.opened(wanted.source) as found:
                walk = walk_of(found, printable(wanted.source), wanted, stop)
                return {path: _thing(entry, stop, wanted) for path, entry in usable(walk)}
        except (FileNotFoundError, NotADirectoryError):
            return {}

    return takeout.finished(work, printable(wanted.source), wanted.rules)


def usable(walk: Walk) -> t.Iterator[tuple[str, Entry]]:
    """All of a tree of the host that can be in a machine."""
    for entry in walk:
        if entry.kind is Kind.END:
            continue
        if entry.kind in (Kind.OTHER, Kind.MOUNT):
            what = "a place where something else is mounted"
            if entry.kind is Kind.OTHER:
                what = descriptors.kind(os.fstat(entry.descriptor).st_mode)
            raise Failure(
                f"src: {walk.shown(entry)} is {what}; expected files, directories and links."
                " Exclude it, or take it away. Nothing was changed"
            )
        yield walk.way(entry), entry


def _source_from(root: Root, wanted: Wanted) -> tuple[dict[str, Thing], takeout.Taken]:
    found = root.find(wanted.source, follow=False)
    if found is None:
        return {}, takeout.Taken()

    def work(stop: Stop) -> tuple[dict[str, Thing], takeout.Taken]:
        walk = walk_of(found, wanted.origin, wanted, stop)
        sieve = takeout.Sieve(walk, wanted.rules)
        things = {
            walk.way(entry): _thing(entry, stop, wanted)
            for entry in sieve
            if entry.kind is not Kind.END
        }
        return things, sieve.taken

    return takeout.finished(work, printable(wanted.origin), wanted.rules, found)


def walk_of(found: int, shown: str, wanted: Wanted, stop: Stop) -> Walk:
    """A walk through the source."""
    skip = Excluded(wanted.exclude)
    return Walk(found, shown, limits=wanted.limits, check=stop.check, skip=skip)


def _destination(
    found: t.Optional[int], wanted: Wanted, source: Tree, excluded: Excluded
) -> dict[str, Thing]:
    if found is None:
        return {}
    # Its contents are only read where they may be the same, and these have a limit.
    limits = Limits(size=1 << 62, count=wanted.limits.count)

    def work(stop: Stop) -> dict[str, Thing]:
        things: dict[str, Thing] = {}
        walk = Walk(found, printable(wanted.place), limits=limits, check=stop.check, skip=excluded)
        for entry in walk:
            if entry.kind is Kind.END:
                continue
            path = walk.way(entry)
            things[path] = _thing(entry, stop, wanted, source.get(path, Thing(Kind.OTHER)))
            if entry.kind is Kind.MOUNT:
                excluded.keep(path)
        return things

    return takeout.finished(work, printable(wanted.place), wanted.rules, found)


def _thing(entry: Entry, stop: Stop, wanted: Wanted, like: t.Optional[Thing] = None) -> Thing:
    status = os.fstat(entry.descriptor)
    is_file = entry.kind is Kind.FILE
    read = wanted.checksum and is_file
    if like is not None:
        read = read and (like.kind, like.size) == (Kind.FILE, entry.size)
    return Thing(
        entry.kind,
        entry.mode,
        (status.st_uid, status.st_gid),
        entry.size,
        entry.changed // 10**9 if is_file else 0,
        entry.target,
        takeout.digest(entry, stop) if read else "",
    )


# --- whose it shall be ----------------------------------------------------------------------

_Ranges = t.Sequence[tuple[int, int, int]]
_NOBODY = 65534


def _ranges(text: str) -> _Ranges:
    """What a map of the kernel's says: the first number inside, outside, and how many."""
    lines = [line.split() for line in text.split("\n") if line.strip()]
    return [(int(inside), int(outside), int(count)) for inside, outside, count in lines]


def _number(ranges: _Ranges, outside: int) -> int:
    for first, base, count in ranges:
        if base <= outside < base + count:
            return first + outside - base
    return _NOBODY


def owner_of(wanted: Wanted, root: Root) -> tuple[int, int]:
    """Owner and group in the machine's own numbers, by what its files say of them."""
    rows = [["root", "", "0", "0"]]
    if wanted.owner not in ("root", "0"):
        rows = _rows(root, "/etc/passwd")
    row = next((row for row in rows if len(row) > 3 and wanted.owner in (row[0], row[2])), None)
    if row is None and not wanted.owner.isdecimal():
        raise _unknown("owner", wanted.owner, wanted.machine, "/etc/passwd")
    user = _numbered(wanted.owner if row is None else row[2], "owner", wanted.owner)
    if wanted.group is None:
        if row is None:
            raise Failure(
                f"group: there is no user {wanted.owner} in /etc/passwd of {wanted.machine}, whose"
                " group it could be; expected a group"
            )
        return user, _numbered(row[3], "owner", wanted.owner)
    if wanted.group.isdecimal():
        return user, _numbered(wanted.group, "group", wanted.group)
    for row in _rows(root, "/etc/group"):
        if len(row) > 2 and row[0] == wanted.group:
            return user, _numbered(row[2], "group", wanted.group)
    raise _unknown("group", wanted.group, wanted.machine, "/etc/group")


def _rows(root: Root, path: str) -> list[list[str]]:
    text = root.read_text(path, limit=1 << 20) or ""
    return [line.split(":") for line in text.split("\n")]


def _numbered(text: str, word: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) >= 2**32 - 1:
        raise Failure(f"{word}: {name!r} has the number {printable(text[:40])!r}, which is none")
    return int(text)


def _unknown(word: str, name: str, machine: str, file: str) -> Failure:
    return Failure(
        f"{word}: {name!r} is not in {file} of {machine}; expected one that is, or a number"
    )
