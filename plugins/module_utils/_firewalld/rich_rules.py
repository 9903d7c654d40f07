# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rich rules of firewalld: their language, read, ordered and written.

Private to the collection. Pure: texts in, texts out.
"""

from __future__ import annotations

import dataclasses
import shlex
import typing as t


@dataclasses.dataclass(frozen=True)
class Node:
    """One element of a rich rule, with the limit that can hang on it."""

    tag: str
    attributes: tuple[tuple[str, str], ...] = ()
    limit: tuple[tuple[str, str], ...] = ()


_MATCHES = ("source", "destination")
_ELEMENTS = (
    "service", "port", "protocol", "icmp-block", "icmp-type", "masquerade", "forward-port",
    "source-port", "tcp-mss-clamp",
)  # fmt: skip
_LOGS = ("log", "nflog")
_ACTIONS = ("accept", "reject", "drop", "mark")
_SLOTS: tuple[tuple[str, ...], ...] = (
    ("rule",), ("source",), ("destination",), _ELEMENTS, _LOGS, ("audit",), _ACTIONS,
)  # fmt: skip
_SLOT_OF = {tag: place for place, tags in enumerate(_SLOTS) for tag in tags}
_STANDS_ALONE = ("icmp-block", "masquerade", "forward-port", "tcp-mss-clamp")

ATTRIBUTES_OF: t.Mapping[str, tuple[str, ...]] = {
    "rule": ("priority", "family"),
    "source": ("invert", "address", "mac", "ipset"),
    "destination": ("invert", "address", "ipset"),
    "service": ("name",),
    "port": ("port", "protocol"),
    "protocol": ("value",),
    "icmp-block": ("name",),
    "icmp-type": ("name",),
    "masquerade": (),
    "forward-port": ("port", "protocol", "to-port", "to-addr"),
    "source-port": ("port", "protocol"),
    "tcp-mss-clamp": ("value",),
    "log": ("prefix", "level"),
    "nflog": ("group", "prefix", "queue-size"),
    "audit": (),
    "accept": (),
    "reject": ("type",),
    "drop": (),
    "mark": ("set",),
    "limit": ("value", "burst"),
}


def rule_nodes(text: str) -> tuple[Node, ...]:
    """A rich rule's text as elements, in the one order and spelling that compares.

    Raises ValueError that says what is wrong.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{error}") from None
    if not words or words[0] != "rule":
        raise ValueError("a rich rule begins with the word rule")
    raw: list[tuple[str, dict[str, str], dict[str, str]]] = []
    target: dict[str, str] = {}
    tag = ""
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            if name not in ATTRIBUTES_OF[tag]:
                known = ", ".join(ATTRIBUTES_OF[tag]) or "no attribute"
                raise ValueError(f"{tag} has no attribute {name}; it knows {known}")
            if not value or "=" in value or '"' in value:
                raise ValueError(f"{name} of {tag} has a value that firewalld cannot read: {word}")
            target[name] = value
        elif word in ("not", "NOT"):
            if tag not in _MATCHES:
                raise ValueError(f"{word} belongs to source or destination, not to {tag}")
            target["invert"] = "True"
        elif word == "limit":
            if tag not in (*_LOGS, "audit", *_ACTIONS):
                raise ValueError(f"limit belongs to a log, audit or action, not to {tag}")
            tag, target = word, raw[-1][2]
        elif word in _SLOT_OF and (word != "rule" or not raw):
            tag, target = word, {}
            raw.append((tag, target, {}))
        else:
            raise ValueError(f"unknown element {word}")
    return rule_from(raw)


def rule_from(
    raw: t.Iterable[tuple[str, t.Mapping[str, str], t.Mapping[str, str]]],
) -> tuple[Node, ...]:
    """Order, check and normalise a rule's elements, whether they come from text or a file."""
    slots: dict[int, Node] = {}
    for tag, attributes, limit in raw:
        slot = _SLOT_OF[tag]
        if slot in slots:
            raise ValueError(f"{slots[slot].tag} and {tag} cannot both be in one rule")
        slots[slot] = Node(tag, _normal(tag, attributes), _normal("limit", limit))
    nodes = tuple(slots[slot] for slot in sorted(slots))
    _check_rule(nodes)
    return nodes


def _normal(tag: str, attributes: t.Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    values = {name: attributes[name] for name in ATTRIBUTES_OF[tag] if attributes.get(name)}
    if values.get("priority") in ("0", "-0"):
        del values["priority"]
    if "invert" in values:
        if values["invert"].lower() in ("yes", "true"):
            values["invert"] = "True"
        else:
            del values["invert"]
    if values.get("burst") == "0":
        del values["burst"]  # written by firewalld 2.2 and 2.3 into every rule with a limit
    if tag == "limit" and "value" in values:
        rate, _slash, unit = values["value"].partition("/")
        values["value"] = f"{rate}/{unit.strip()[:1]}"
    return tuple(values.items())


def _check_rule(nodes: tuple[Node, ...]) -> None:
    by_tag = {node.tag: dict(node.attributes) for node in nodes}
    element = next((node.tag for node in nodes if node.tag in _ELEMENTS), None)
    action = next((node.tag for node in nodes if node.tag in _ACTIONS), None)
    family = by_tag.get("rule", {}).get("family")
    if family not in (None, "ipv4", "ipv6"):
        raise ValueError(f"family is ipv4 or ipv6, not {family}")
    addressed = any("address" in by_tag.get(tag, {}) for tag in _MATCHES)
    if not family and (addressed or element == "forward-port"):
        raise ValueError("a rule with an address or forward-port needs family=ipv4 or family=ipv6")
    if element in _STANDS_ALONE and action:
        raise ValueError(f"{element} and {action} cannot both be in one rule")
    says_something = action or any(tag in by_tag for tag in (*_LOGS, "audit"))
    if not says_something and element not in _STANDS_ALONE:
        raise ValueError("the rule has no action: end it with accept, reject, drop or mark")


def rule_text(nodes: t.Iterable[Node]) -> str:
    """A rule as text that firewalld understands."""
    words: list[str] = []
    for node in nodes:
        words.append(node.tag)
        for name, value in node.attributes:
            words.append("NOT" if name == "invert" else f'{name}="{value}"')
        if node.limit:
            words += ["limit", *[f'{name}="{value}"' for name, value in node.limit]]
    return " ".join(words)
