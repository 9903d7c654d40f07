# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host has told, as far as it can be believed. Private to the collection. Pure.

A host may be in somebody else's hands, and a machine always is. All of it is data: of the right
kind, not too long, and nothing that does something to the screen that it is shown on.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import typing as t

from ...module_utils._core.plan import Failure
from ...module_utils._core.printable import printable
from ...module_utils._systemd import machined

STATES = ("running", "paused", "starting", "stopping", "stopped", "failed", "image")
MOST = 10000
_WORD = 256
_ADDRESSES = 64
_TEXTS = ("class", "service", "unit", "os", "os_version", "os_name", "zone", "type", "image")
_TIMES = ("started", "created", "modified", "image_changed")


class NoAnswer(Exception):
    """What came from a host is none."""


@dataclasses.dataclass(frozen=True)
class Found:
    """A machine or an image of one host."""

    host: str
    name: str
    state: str
    facts: t.Mapping[str, t.Any]
    """By the names that they have as variables, without the prefix."""
    variables: t.Mapping[str, t.Any]
    """Those that were declared for it."""

    @property
    def is_image(self) -> bool:
        return self.state == "image"

    @property
    def is_running(self) -> bool:
        """Whether one gets into it as into a machine that runs, now or soon."""
        return self.state not in ("stopped", "failed", "image")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one host has told, and when, in seconds since 1970."""

    asked: float
    found: tuple[Found, ...]
    doubts: tuple[str, ...]
    """What was told and is left out."""


def line_of(text: bytes, hello: str) -> t.Any:
    """The answer in what a command has said; there may be anything around it."""
    begin = text.rfind(f"{hello} ".encode())
    if begin < 0:
        raise NoAnswer("it said nothing that could be its answer")
    line = text[begin + len(hello) + 1 :].partition(b"\n")[0]
    try:
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise NoAnswer("its answer is cut off, or none") from None


def answer_of(host: str, raw: t.Any) -> Answer:
    """What can be believed of an answer, fresh or from the cache."""
    if not isinstance(raw, dict):
        raise NoAnswer("its answer is none")
    if raw.get("error"):
        raise NoAnswer(_text(raw["error"]) or "it could not tell")
    told = raw.get("found")
    if not isinstance(told, list):
        raise NoAnswer("its answer names no machines")
    found: dict[str, Found] = {}
    doubts: list[str] = []
    for one in told[:MOST]:
        try:
            machine = _found(host, one)
        except Failure as error:
            doubts.append(printable(error.message)[:_WORD])
        else:
            found.setdefault(machine.name, machine)
    return Answer(_number(raw.get("asked")) or 0, tuple(found.values()), tuple(doubts))


def _found(host: str, told: t.Any) -> Found:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise Failure("something without a name")
    name, state = told["name"], told.get("state")
    if state not in STATES:
        raise Failure(f"machine {name!r}: it is in no state that there is")
    if state == "image":
        machined.check_image_name(name)
    else:
        machined.check_name(name)
    facts: dict[str, t.Any] = {key: _text(told.get(key)) for key in _TEXTS}
    facts.update({key: _number(told.get(key)) for key in _TIMES})
    facts["addresses"] = _addresses(told.get("addresses"))
    facts.update({key: _flag(told.get(key)) for key in ("read_only", "declared")})
    facts["owner"] = _text(told.get("owner"))
    variables = told.get("vars")
    return Found(host, name, state, facts, variables if isinstance(variables, dict) else {})


def _text(value: t.Any) -> t.Optional[str]:
    return printable(value[:_WORD])[: 2 * _WORD] if isinstance(value, str) and value else None


def _flag(value: t.Any) -> t.Optional[bool]:
    return value if isinstance(value, bool) else None


def _number(value: t.Any) -> t.Optional[int]:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53
    return int(value) if fits else None


def _addresses(value: t.Any) -> t.Optional[list[str]]:
    if not isinstance(value, list):
        return None
    found = []
    for one in value[:_ADDRESSES]:
        try:
            found.append(str(ipaddress.ip_address(one if isinstance(one, str) else "")))
        except ValueError:
            continue
    return found
