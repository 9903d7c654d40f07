# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The text of an nsswitch.conf, read as glibc reads it, and changed by single words.

Private to the collection. Pure. What is not changed stays byte for byte: comments, spaces, the
order of lines and services, line ends.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._core.plan import Failure

ACCOUNTS = frozenset({"passwd", "group", "shadow", "gshadow", "initgroups"})
# What glibc does for a database that no line is about.
IMPLIED = {"hosts": ("files", "dns"), "networks": ("files", "dns")}

# The order of services for names of hosts that systemd's manual pages recommend.
HOSTS = ("mymachines", "resolve", "files", "myhostname", "dns")
MERGE = "[SUCCESS=merge]"
RETURN_UNLESS_DOWN = "[!UNAVAIL=return]"

_LINE = re.compile(r"(?P<head>[^\S\n]*(?P<name>[A-Za-z_]+)[^\S\n]*:)(?P<rest>[^#\n]*)")
_ONE = re.compile(r"[^\n]*\n|[^\n]+\Z")
_WORD = re.compile(r"\[[^\]]*\]|[^\s\[]+")


@dataclasses.dataclass(frozen=True)
class Service:
    """What is asked for a database."""

    name: str
    action: str = ""
    """What has to stand before it, C([SUCCESS=merge]); nothing when that was left open."""

    def __str__(self) -> str:
        return f"{self.action} {self.name}".strip()


@dataclasses.dataclass(frozen=True)
class Word:
    """A service or an action, and where in the text it stands."""

    text: str
    start: int
    end: int

    @property
    def is_action(self) -> bool:
        return self.text.startswith("[")


@dataclasses.dataclass(frozen=True)
class Line:
    """The line that counts for a database."""

    words: tuple[Word, ...]
    head_end: int
    """Where the colon is behind."""
    ended: bool = True
    """It has a line end. Some glibc do not heed a last line without one."""

    def index(self, service: str) -> t.Optional[int]:
        """The last place of a service: all that come before it are asked before."""
        found = [place for place, word in enumerate(self.words) if word.text == service]
        return found[-1] if found else None

    def action_after(self, place: int) -> t.Optional[Word]:
        following = self.words[place + 1 : place + 2]
        return following[0] if following and following[0].is_action else None

    def action_before(self, place: int) -> t.Optional[Word]:
        return self.words[place - 1] if place and self.words[place - 1].is_action else None


def lines(text: str) -> dict[str, Line]:
    """The lines that count, by their databases: of several for one the last."""
    found: dict[str, Line] = {}
    start = 0
    for line in _ONE.findall(text):
        match = _LINE.match(line)
        if match:
            offset = start + match.start("rest")
            words = tuple(
                Word(one.group(), offset + one.start(), offset + one.end())
                for one in _WORD.finditer(match.group("rest"))
            )
            found[match.group("name")] = Line(words, offset, line.endswith("\n"))
        start += len(line)
    return found


def services(text: t.Optional[str], database: str) -> list[str]:
    """Who is asked for a database, actions included, as it is written."""
    line = lines(text or "").get(database)
    return [word.text for word in line.words] if line else []


# --- to have a service ------------------------------------------------------------------------


def lacks(text: t.Optional[str], database: str, wanted: t.Iterable[Service]) -> list[Service]:
    """Those of some services that are not asked for a database as they shall be."""
    line = lines(text or "").get(database)
    if line is None or not line.ended:
        return list(wanted)
    return [service for service in wanted if not _has(line, service)]


def _has(line: Line, service: Service) -> bool:
    place = line.index(service.name)
    if place is None:
        return False
    before = line.action_before(place)
    return not service.action or (before is not None and _same(before.text, service.action))


def _same(one: str, other: str) -> bool:
    """Whether two actions mean the same: case and spaces do not matter."""
    return one[1:-1].upper().split() == other[1:-1].upper().split()


def with_services(text: t.Optional[str], database: str, wanted: t.Iterable[Service]) -> str:
    """The text with services added to a database where they belong."""
    result = text or ""
    for service in wanted:
        if lacks(result, database, [service]):
            result = _with(result, database, service)
    return result


def _with(text: str, database: str, service: Service) -> str:
    line = lines(text).get(database)
    if line is None:
        # What glibc does without a line has to be said now.
        implied = " ".join(IMPLIED.get(database, ("files",)))
        text = f"{_ended(text)}{database}: {implied}{_line_end(text)}"
    elif not line.ended:
        text = _ended(text)
    line = lines(text)[database]
    if _has(line, service):
        return text
    place = line.index(service.name)
    if place is None:
        return _inserted(text, database, line, service)
    before = line.action_before(place)
    if before is not None:
        raise Failure(
            f"{database}: {before.text} stands before {service.name}, not {service.action}; remove"
            " it from nsswitch.conf, or leave the action out"
        )
    if not place:
        raise Failure(
            f"{database}: {service.action} cannot stand before {service.name}, which is the first"
            " service; put another one before it in nsswitch.conf, or leave the action out"
        )
    start = line.words[place].start
    return f"{text[:start]}{service.action} {text[start:]}"


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + _line_end(text)


def _inserted(text: str, database: str, line: Line, service: Service) -> str:
    """With a service that is not there yet."""
    place = _place(line, database, service.name)
    before = service.action
    if before and (not place or line.words[place - 1].is_action):
        raise Failure(
            f"{database}: {service.name} belongs at the beginning of its line or behind an action,"
            f" where {before} cannot stand before it; leave the action out, or put it into"
            " nsswitch.conf by hand"
        )
    if place and (database, service.name) == ("group", "systemd"):
        before = before or MERGE
    # One action at most: the one that is there already counts.
    taken = place < len(line.words) and line.words[place].is_action
    after = RETURN_UNLESS_DOWN if _returns(database, service.name) and not taken else ""
    words = " ".join(filter(None, (before, service.name, after)))
    if place:
        position = line.words[place - 1].end
    elif line.words:
        position = line.words[0].start
        return f"{text[:position]}{words} {text[position:]}"
    else:
        position = line.head_end
    return f"{text[:position]} {words}{text[position:]}"


def _returns(database: str, service: str) -> bool:
    """resolve gets an action of its own where it belongs, so that it is the only one asked."""
    return (database, service) == ("hosts", "resolve")


def _place(line: Line, database: str, service: str) -> int:
    """Before which word a new service belongs."""
    if database in ACCOUNTS:
        return _behind(line, ("files", "compat"))
    if database == "hosts" and service in HOSTS:
        return _host_place(line, service)
    return _last(line)


def _last(line: Line) -> int:
    """Behind the last service, before its action."""
    count = len(line.words)
    return count - 1 if line.words and line.words[-1].is_action else count


def _behind(line: Line, anchors: t.Iterable[str]) -> int:
    """Right behind one of these, before its action, which the new one then has.

    Behind that action it might never be asked: C(files [NOTFOUND=return]).
    """
    places = [place for place in map(line.index, anchors) if place is not None]
    return max(places) + 1 if places else _last(line)


def _host_place(line: Line, service: str) -> int:
    if service == "myhostname" and line.index("files") is not None:
        return _behind(line, ("files",))
    rank = HOSTS.index(service)
    earlier = [place for place in map(line.index, HOSTS[:rank]) if place is not None]
    if service != "myhostname" and earlier:
        # Before what it has to come before, its predecessor's action left where it is.
        place = max(earlier) + 1
        return place + 1 if line.action_after(place - 1) else place
    later = [place for place in map(line.index, HOSTS[rank + 1 :]) if place is not None]
    return min(later) if later else (_last(line) if service == "myhostname" else 0)


# --- to have it no more -----------------------------------------------------------------------


def without_services(text: str, database: str, gone: t.Iterable[Service]) -> str:
    """The text without services, and without the actions that were theirs."""
    for service in gone:
        line = lines(text).get(database)
        while line is not None and line.index(service.name) is not None:
            text = _removed(text, database, line, service.name)
            line = lines(text).get(database)
    return text


def _removed(text: str, database: str, line: Line, name: str) -> str:
    place = line.index(name)
    if place is None:
        raise AssertionError(f"{name} is not asked for {database}")
    first = last = place
    before, after = line.action_before(place), line.action_after(place)
    if before and (database, name) == ("group", "systemd") and _same(before.text, MERGE):
        first -= 1
        before = None
    # An action belongs to what stands before it, and there can be one.
    if after and (
        before is not None
        or not first
        or (_returns(database, name) and _same(after.text, RETURN_UNLESS_DOWN))
    ):
        last += 1
    start, end = line.words[first].start, line.words[last].end
    if first:
        start = line.words[first - 1].end
    elif last + 1 < len(line.words):
        end = line.words[last + 1].start
    else:
        start = line.head_end
    return text[:start] + text[end:]


# --- whether it is ever asked -----------------------------------------------------------------


def unreachable(text: t.Optional[str], database: str, service: str) -> t.Optional[str]:
    """The action that keeps a service from being asked; nothing when it is asked."""
    line = lines(text or "").get(database)
    place = line.index(service) if line else None
    if line is None or place is None:
        return None
    for before in range(place):
        word = line.words[before]
        if word.is_action and "NOTFOUND=RETURN" in word.text[1:-1].upper().split():
            return f"{line.words[before - 1].text} {word.text}" if before else word.text
    return None
