# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who may use the socket of Docker or Podman inside of machines: wanted, seen, plan.

Private to the collection. What a machine says is parsed as something that a stranger has written.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import re
import stat
import typing as t

from .._core.plan import Failure, Plan, Step, identities
from .._core.printable import printable
from .._inside import commands
from .._systemd import machined
from . import memory
from .memory import Record
from .wanted import engine_of

GROUP = "dockerx"
DEADLINE = 30
LIMIT = 1 << 16
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?")
_UNIT = re.compile(r"[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]{0,199}\.(socket|service)")

# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The socket in one machine; not O(present): nothing of it shall be left."""

    machine: str
    source: str = ""
    destination: str = ""
    group: str = GROUP
    members: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    shared_gid: bool = False
    present: bool = True


def wanted_of(entries: t.Sequence[t.Mapping[str, t.Any]], *, present: bool) -> list[Wanted]:
    """What the entries of C(machines) want, without having looked."""
    names = [entry["name"] for entry in entries]
    for name in names:
        machined.check_name(name)
        if names.count(name) > 1:
            raise Failure(f"{name}: wanted more than once; give each machine one entry")
    return [_one(entry) if present else Wanted(entry["name"], present=False) for entry in entries]


def _one(entry: t.Mapping[str, t.Any]) -> Wanted:
    here = f"machine {entry['name']}"
    share = engine_of(entry, here)
    engine = "podman" if "podman" in share.source else "docker"
    units = entry.get("mask")
    return Wanted(
        entry["name"],
        share.source,
        share.destination,
        group=_checked(entry.get("group") or GROUP, _NAME, f"{here}, group", "the name of a group"),
        members=tuple(
            _checked(member, _NAME, f"{here}, members", "the name of a user")
            for member in dict.fromkeys(entry.get("members") or ())
        ),
        mask=tuple(
            _checked(unit, _UNIT, f"{here}, mask", "the name of a socket or service")
            for unit in dict.fromkeys([f"{engine}.socket"] if units is None else units)
        ),
        shared_gid=bool(entry.get("shared_gid")),
    )


def _checked(word: str, pattern: re.Pattern[str], what: str, expected: str) -> str:
    if not pattern.fullmatch(word):
        raise Failure(f"{what}: {printable(word)!r}: expected {expected}")
    return word


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Group:
    """A group as a machine knows it."""

    name: str
    gid: int
    members: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Inside:
    """What a machine shows and says of itself."""

    socket: t.Optional[tuple[int, int]] = None
    """The file that is its socket; nothing when there is none."""
    group: t.Optional[Group] = None
    with_gid: t.Optional[Group] = None
    """Who has the number that the group shall have."""
    missing: frozenset[str] = frozenset()
    """Wanted members whom it does not know."""
    masked: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Outside:
    """The socket on the host."""

    identity: tuple[int, int]
    gid: int


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All that the plan depends on. A machine that does not run is not in it."""

    inside: t.Mapping[str, Inside]
    outside: t.Mapping[str, Outside]
    records: t.Mapping[str, Record]


def snapshot(wanted: t.Sequence[Wanted]) -> Snapshot:
    outside = {}
    for source in {one.source for one in wanted if one.present}:
        try:
            status = os.stat(source)
        except OSError:
            continue
        if stat.S_ISSOCK(status.st_mode):
            outside[source] = Outside((status.st_dev, status.st_ino), status.st_gid)
    records = {one.machine: memory.read(one.machine) for one in wanted}
    running = set(machined.registered())
    asked = [
        one
        for one in wanted
        if one.machine in running
        and (one.source in outside if one.present else records[one.machine])
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda one: _look(one, outside.get(one.source)), asked)
        inside = {one.machine: seen for one, seen in zip(asked, found)}
    known = {name: record for name, record in records.items() if record is not None}
    return Snapshot(inside, outside, known)


# Each line begins with a word of ours; what comes after it is the machine's.
_LOOK = """
group=$1 gid=$2 path=$3 members=$4
shift 4
printf 'socket %s\n' "$(stat -L -c %d:%i -- "$path" 2>/dev/null)"
printf 'group %s\n' "$(getent group -- "$group")"
printf 'gid %s\n' "$(getent group -- "$gid")"
while [ "$members" -gt 0 ]; do
id -u -- "$1" >/dev/null 2>&1 || printf 'missing %s\n' "$1"
shift
members=$((members - 1))
done
for unit in "$@"; do
[ "$(systemctl is-enabled -- "$unit" 2>/dev/null)" = masked ] && printf 'masked %s\n' "$unit"
done
exit 0
"""


def _look(one: Wanted, outside: t.Optional[Outside]) -> Inside:
    gid = str(outside.gid) if outside else "-1"
    record = memory.read(one.machine) or Record()
    units = one.mask if one.present else record.masked
    group = one.group if one.present else record.group
    words = (
        "/bin/sh",
        "-c",
        _LOOK,
        "sh",
        group,
        gid,
        one.destination or "/",
        str(len(one.members)),
    )
    result = commands.run(
        one.machine,
        commands.Command((*words, *one.members, *units), timeout=DEADLINE, limit=LIMIT),
    )
    if result.rc:
        raise Failure(f"{one.machine} cannot be asked for its groups: {printable(result.stderr)}")
    return parsed(result.stdout, one.members, units)


def parsed(text: str, members: t.Collection[str], units: t.Collection[str]) -> Inside:
    """What a machine has said, as far as it is an answer to what it was asked."""
    said: dict[str, list[str]] = {}
    for line in text.split("\n"):
        word, _blank, rest = line.partition(" ")
        said.setdefault(word, []).append(rest)
    socket = re.fullmatch(r"(\d{1,20}):(\d{1,20})", (said.get("socket") or [""])[0])
    return Inside(
        (int(socket[1]), int(socket[2])) if socket else None,
        _group((said.get("group") or [""])[0]),
        _group((said.get("gid") or [""])[0]),
        frozenset(said.get("missing", ())) & frozenset(members),
        frozenset(said.get("masked", ())) & frozenset(units),
    )


def _group(line: str) -> t.Optional[Group]:
    fields = line.split(":")
    if (
        len(fields) != 4
        or not _NAME.fullmatch(fields[0])
        or not re.fullmatch(r"\d{1,10}", fields[2])
    ):
        return None
    return Group(fields[0], int(fields[2]), frozenset(filter(None, fields[3].split(","))))


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: t.Sequence[Wanted], *, checking: bool = False) -> Plan:
    """O(checking): a machine that is not there yet would have been made by an earlier task."""
    steps: list[Step] = []
    for one in wanted:
        if one.present:
            outside = _socket(one, seen)
            inside = seen.inside.get(one.machine, Inside() if checking else None)
            if inside is not None:
                steps += _present(one, seen, inside, outside)
        else:
            steps += _absent(one, seen)
    return tuple(steps)


def waiting(seen: Snapshot, wanted: t.Sequence[Wanted]) -> list[str]:
    """The machines that do not run, and for which nothing can be done."""
    return [one.machine for one in wanted if one.present and one.machine not in seen.inside]


def _socket(one: Wanted, seen: Snapshot) -> Outside:
    outside = seen.outside.get(one.source)
    if outside is None:
        raise Failure(
            f"{one.machine}: there is no socket {printable(one.source)} on the host. Install and"
            " start docker.socket or podman.socket there"
        )
    return outside


def _present(one: Wanted, seen: Snapshot, inside: Inside, outside: Outside) -> list[Step]:
    known = one.machine in seen.inside
    check(one, outside, inside, known)
    old = seen.records.get(one.machine, Record())
    draft = _Draft(one, inside, old)
    if known and inside.socket != outside.identity:
        # The host's was made anew since the machine has started.
        draft.add("restart", after={"socket": "the one that the host has now"})
    draft.group(outside.gid)
    draft.members()
    draft.masks()
    return draft.steps


def check(one: Wanted, outside: Outside, inside: Inside, known: bool) -> None:
    """Refuse what cannot be, or would let in more than were named."""
    here = one.machine
    if not outside.gid:
        raise Failure(
            f"{here}: {printable(one.source)} belongs to the group root of the host, so only root"
            " can be let in. Give the socket a group of its own: SocketGroup= in a drop-in of its"
            " unit"
        )
    if not known:
        return
    if inside.socket is None:
        raise Failure(
            f"{here} is not shown {printable(one.destination)}. Declare docker_socket with the"
            " module machines, and let it restart the machine"
        )
    if inside.missing:
        names = ", ".join(sorted(map(printable, inside.missing)))
        raise Failure(
            f"{here}: there is no user {names} in it. Make the user there, then run this again"
        )
    group, other = inside.group, inside.with_gid
    if group and group.gid != outside.gid:
        raise Failure(
            f"{here}: its group {one.group} has the number {group.gid}, and the socket's is"
            f" {outside.gid}. Name another group, or remove that one"
        )
    if other and other.name != one.group and not one.shared_gid:
        raise Failure(
            f"{here}: the socket's group has the number {outside.gid} on the host, which is"
            f" {printable(other.name)} in the machine: all that has this group there would be root"
            " of the host. Give the host's group another number, or say shared_gid: true"
        )


class _Draft:
    """The steps for one machine."""

    def __init__(self, one: Wanted, inside: Inside, old: Record) -> None:
        self.one, self.inside, self.old = one, inside, old
        self.steps: list[Step] = []

    def add(
        self,
        verb: str,
        group: str = "",
        *,
        before: t.Optional[t.Mapping[str, t.Any]] = None,
        after: t.Optional[t.Mapping[str, t.Any]] = None,
        record: t.Optional[Record] = None,
        **arguments: t.Any,
    ) -> None:
        """One more step, after all others; O(record) is what it makes us remember."""
        machine = self.one.machine
        if record is not None:
            self.old = record
        words = {**arguments, "machine": machine, "group": group, "record": self.old}
        subject = f"{machine}:{group}" if group else machine
        needs = identities(*self.steps[-1:])
        self.steps.append(Step(verb, subject, words, before or {}, after or {}, needs))

    def group(self, gid: int) -> None:
        one = self.one
        if self.old.group and self.old.group != one.group:
            self.leave()
        if self.inside.group is None:
            record = dataclasses.replace(self.old, group=one.group, made=True)
            after = {"group": f"{one.group} ({gid})"}
            shared = bool(self.inside.with_gid)
            self.add("group", one.group, after=after, record=record, gid=gid, shared=shared)
        elif self.old.group != one.group:
            self.old = dataclasses.replace(self.old, group=one.group)

    def members(self) -> None:
        there = self.inside.group.members if self.inside.group else frozenset()
        wanted = frozenset(self.one.members)
        more = wanted - there
        less = (frozenset(self.old.members) - wanted) & there
        if more or less:
            ours = (frozenset(self.old.members) | more) & wanted
            record = dataclasses.replace(self.old, members=tuple(sorted(ours)))
            self.add(
                "members",
                self.one.group,
                before={"members": sorted(there)},
                after={"members": sorted((there | more) - less)},
                record=record,
                more=sorted(more),
                less=sorted(less),
            )

    def masks(self) -> None:
        wanted = set(self.one.mask)
        less = [unit for unit in self.old.masked if unit not in wanted]
        more = [unit for unit in self.one.mask if unit not in self.inside.masked]
        if more or less:
            ours = [unit for unit in self.old.masked if unit in wanted] + more
            record = dataclasses.replace(self.old, masked=tuple(dict.fromkeys(ours)))
            after = {"masked": sorted({*self.inside.masked, *more} - set(less))}
            before = {"masked": sorted(self.inside.masked)}
            self.add("mask", before=before, after=after, record=record, more=more, less=less)

    def leave(self) -> None:
        """Nothing of the group stays that is ours."""
        old = self.old
        if old.members and not old.made:
            gone, less = dataclasses.replace(old, members=()), list(old.members)
            before = {"members": less}
            self.add("members", old.group, before=before, record=gone, more=[], less=less)
        if old.made:
            gone = dataclasses.replace(old, members=(), made=False, group="")
            self.add("ungroup", old.group, before={"group": old.group}, record=gone)


def _absent(one: Wanted, seen: Snapshot) -> list[Step]:
    old = seen.records.get(one.machine)
    if old is None:
        return []
    inside = seen.inside.get(one.machine)
    draft = _Draft(one, inside or Inside(), old)
    if inside is not None:
        if inside.group is not None:
            draft.leave()
        masked = [unit for unit in old.masked if unit in inside.masked]
        if masked:
            record = dataclasses.replace(draft.old, masked=())
            before = {"masked": masked}
            draft.add("mask", before=before, record=record, more=[], less=masked)
    draft.add("forget", before={"docker_socket": "remembered"})
    return draft.steps
