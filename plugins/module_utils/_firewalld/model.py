# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What zones and policies of firewalld consist of, and how their values compare.

Private to the collection. Pure: knows values, no host.

One table of properties, from which reading, comparing, planning and writing all follow.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import types
import typing as t

from .._core.plan import Failure
from .rich_rules import rule_nodes

ZONE = "zone"
POLICY = "policy"

Items = tuple[str, ...]
Value = t.Union[str, bool, int, Items]
Settings = t.Mapping[str, Value]
Version = tuple[int, ...]


@dataclasses.dataclass(frozen=True, order=True)
class Key:
    """Which zone or policy."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


Goals = t.Mapping[Key, t.Optional[Settings]]
"""What zones and policies shall be in the end; nothing for those that shall not be."""


@dataclasses.dataclass(frozen=True)
class Property:
    """One property of a zone, a policy, or both."""

    name: str
    shape: str
    """words, sources, ports, forwards, rules: lists; flag, number, text: scalars."""
    kinds: tuple[str, ...] = (ZONE, POLICY)
    live: bool = True
    """Can be set in the running firewall; otherwise only a reload brings it there."""
    cosmetic: bool = False
    """Meant for people: no reason to reload."""
    since: Version = (0, 9)

    @property
    def is_list(self) -> bool:
        return self.shape in LIST_SHAPES


LIST_SHAPES = frozenset(["words", "sources", "ports", "forwards", "rules"])

PROPERTIES: tuple[Property, ...] = (
    Property("short", "text", live=False, cosmetic=True),
    Property("description", "text", live=False, cosmetic=True),
    Property("target", "text", live=False),
    Property("priority", "number", kinds=(POLICY,), live=False),
    Property("ingress_priority", "number", kinds=(ZONE,), live=False, since=(2, 0)),
    Property("egress_priority", "number", kinds=(ZONE,), live=False, since=(2, 0)),
    Property("disable", "flag", kinds=(POLICY,), since=(2, 4)),
    Property("ingress_zones", "words", kinds=(POLICY,)),
    Property("egress_zones", "words", kinds=(POLICY,)),
    Property("interfaces", "words", kinds=(ZONE,)),
    Property("sources", "sources", kinds=(ZONE,)),
    Property("services", "words"),
    Property("ports", "ports"),
    Property("protocols", "words"),
    Property("source_ports", "ports"),
    Property("forward_ports", "forwards"),
    Property("icmp_blocks", "words"),
    Property("icmp_block_inversion", "flag", kinds=(ZONE,)),
    Property("masquerade", "flag"),
    Property("forward", "flag", kinds=(ZONE,)),
    Property("rich_rules", "rules"),
)

BINDINGS = ("interfaces", "sources")
"""What can belong to one zone only: to name it in one takes it out of the other."""

SYMBOLIC_ZONES = ("HOST", "ANY")

TARGETS = {
    ZONE: ("default", "ACCEPT", "DROP", "REJECT"),
    POLICY: ("CONTINUE", "ACCEPT", "DROP", "REJECT"),
}


def properties_of(kind: str) -> dict[str, Property]:
    return {one.name: one for one in PROPERTIES if kind in one.kinds}


_NOTHING: dict[str, Value] = {"text": "", "flag": False, "number": 0}


def defaults_of(kind: str) -> dict[str, Value]:
    """What a new and empty zone or policy is like, all properties given."""
    empty: tuple[str, ...] = ()
    values = {name: _NOTHING.get(one.shape, empty) for name, one in properties_of(kind).items()}
    values["target"] = TARGETS[kind][0]
    if kind == POLICY:
        values["priority"] = -1
    return values


def freeze(settings: Settings) -> Settings:
    return types.MappingProxyType(dict(settings))


def items_of(settings: Settings, name: str) -> Items:
    return t.cast("Items", settings.get(name, ()))


# --- ports ----------------------------------------------------------------------------------

PORT_PROTOCOLS = ("tcp", "udp", "sctp", "dccp")
_PORT = re.compile(r"(\d+)(?:-(\d+))?/([a-z]+)")

Ranges = dict[str, list[tuple[int, int]]]


def port_problem(text: str) -> t.Optional[str]:
    """What is wrong with PORT/PROTOCOL or FIRST-LAST/PROTOCOL, in words."""
    match = _PORT.fullmatch(text)
    if not match:
        return "expected PORT/PROTOCOL or FIRST-LAST/PROTOCOL, such as 80/tcp or 5000-5010/udp"
    first, last = int(match[1]), int(match[2] or match[1])
    if match[3] not in PORT_PROTOCOLS:
        return f"the protocol is one of {', '.join(PORT_PROTOCOLS)}"
    if last > 65535:
        return "a port is at most 65535"
    if match[2] and first >= last:
        return "a range goes from the lower port to the higher"
    return None


def coalesced(ports: t.Iterable[str]) -> Items:
    """Ports with overlapping ranges joined, as firewalld itself keeps them."""
    ranges, others = _ranges_of(ports)
    return (*_texts_of({protocol: _joined(some) for protocol, some in ranges.items()}), *others)


def _subtracted(ports: Items, less: Items) -> Items:
    ranges, others = _ranges_of(ports)
    gone, gone_others = _ranges_of(less)
    left = {
        protocol: _cut(_joined(some), gone.get(protocol, [])) for protocol, some in ranges.items()
    }
    return (*_texts_of(left), *[one for one in others if one not in gone_others])


def _ranges_of(ports: t.Iterable[str]) -> tuple[Ranges, list[str]]:
    """Ranges by protocol, and what is no number: an old file may name a port by its service."""
    ranges: Ranges = {}
    others: list[str] = []
    for port in ports:
        match = _PORT.fullmatch(port)
        if match:
            ranges.setdefault(match[3], []).append((int(match[1]), int(match[2] or match[1])))
        elif port not in others:
            others.append(port)
    return ranges, others


def _joined(ranges: t.Iterable[tuple[int, int]], gap: int = 0) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + gap:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def _cut(
    ranges: t.Iterable[tuple[int, int]], gone: t.Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    left = list(ranges)
    for low, high in gone:
        pieces = [
            piece
            for first, last in left
            for piece in ((first, min(last, low - 1)), (max(first, high + 1), last))
            if piece[0] <= piece[1]
        ]
        left = list(dict.fromkeys(pieces))
    return left


def _texts_of(ranges: Ranges) -> t.Iterator[str]:
    for protocol in sorted(ranges):
        for first, last in ranges[protocol]:
            yield f"{first}/{protocol}" if first == last else f"{first}-{last}/{protocol}"


# --- forwarded ports ------------------------------------------------------------------------


def forward_text(port: str, protocol: str, to_port: str, to_addr: str) -> str:
    """A forwarded port in firewall-cmd's own notation."""
    return f"port={port}:proto={protocol}:toport={to_port}:toaddr={to_addr}"


_FORWARD = re.compile(r"port=([^:]*):proto=([^:]*):toport=([^:]*):toaddr=(.*)")


def forward_fields(text: str) -> tuple[str, str, str, str]:
    match = _FORWARD.fullmatch(text)
    if not match:
        raise ValueError(f"not a forwarded port: {text}")
    return match[1], match[2], match[3], match[4]


# --- comparing lists ------------------------------------------------------------------------


def identity(shape: str, item: str) -> t.Hashable:
    """What two spellings of the same element have in common."""
    if shape == "rules":
        try:
            return rule_nodes(item)
        except ValueError:
            return item  # firewalld's own, newer than this table
    if shape == "sources":
        return _source(item)
    return item


def _source(item: str) -> str:
    if item.startswith("ipset:"):
        return item
    try:
        return str(ipaddress.ip_network(item, strict=False))
    except ValueError:
        return item.upper()  # a hardware address


def joined(shape: str, have: Items, more: Items) -> Items:
    """Both lists' elements, those that were there first and spelled as they were."""
    if shape == "ports":
        both = coalesced((*have, *more))
        return tuple(
            [one for one in have if one in both] + [one for one in both if one not in have]
        )
    result = {identity(shape, item): item for item in reversed((*have, *more))}
    return tuple(sorted(result.values(), key=(*have, *more).index))


def without(shape: str, have: Items, less: Items) -> Items:
    if shape == "ports":
        left = _subtracted(have, less)
        return tuple(
            [one for one in have if one in left] + [one for one in left if one not in have]
        )
    gone = {identity(shape, item) for item in less}
    return tuple(item for item in have if identity(shape, item) not in gone)


def same(shape: str, one: Value, other: Value) -> bool:
    if shape not in LIST_SHAPES:
        return one == other
    return identities(shape, t.cast("Items", one)) == identities(shape, t.cast("Items", other))


def identities(shape: str, items: Items) -> frozenset[t.Hashable]:
    if shape == "ports":
        # Ranges that touch are two to firewalld, and the same ports as one.
        ranges, others = _ranges_of(items)
        spans = {protocol: tuple(_joined(some, 1)) for protocol, some in ranges.items()}
        return frozenset([*spans.items(), *others])
    return frozenset(identity(shape, item) for item in items)


def in_order(shape: str, items: Items) -> Items:
    """The same elements in the one way that compares: a record must not change by itself."""
    if shape == "ports":
        ranges, others = _ranges_of(items)
        spans = {protocol: _joined(some, 1) for protocol, some in ranges.items()}
        return (*_texts_of(spans), *sorted(others))
    return tuple(sorted(items))


def changed(kind: str, before: Settings, after: Settings) -> dict[str, Value]:
    """The properties of O(after) that differ from O(before)."""
    table = properties_of(kind)
    return {
        name: value
        for name, value in after.items()
        if name not in before or not same(table[name].shape, before[name], value)
    }


# --- names ----------------------------------------------------------------------------------


def is_name(name: str) -> bool:
    """Whether firewalld would take it, length aside."""
    return bool(name) and all(letter.isalnum() or letter in "_-" for letter in name)


def longest_name(kind: str, version: Version) -> int:
    """How long a name may be: before 2.4 it went into the names of chains."""
    if version >= (2, 4):
        return 128 if kind == POLICY else 96
    return 17 if kind == ZONE else 18


def dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)


def parse_version(text: str) -> Version:
    match = re.match(r"\d+(?:\.\d+)*", text)
    if not match:
        raise Failure(f"cannot make sense of firewalld's version {text!r}")
    return tuple(int(part) for part in match[0].split("."))
