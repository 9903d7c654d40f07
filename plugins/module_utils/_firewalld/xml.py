# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The XML files in which firewalld keeps zones and policies.

Private to the collection. Pure: texts in, texts out.

Files are edited, not written anew: elements that nobody asked to change, unknown ones and
comments stay.
"""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from .._core.plan import Failure
from .model import (
    POLICY,
    ZONE,
    Property,
    Settings,
    Value,
    coalesced,
    defaults_of,
    forward_fields,
    forward_text,
    freeze,
    identity,
    items_of,
    properties_of,
    same,
    without,
)
from .rich_rules import ATTRIBUTES_OF, rule_from, rule_nodes, rule_text

_ATTRIBUTE = {
    "target": "target",
    "priority": "priority",
    "ingress_priority": "ingress-priority",
    "egress_priority": "egress-priority",
}
_FLAG = {
    "disable": "disable",
    "icmp_block_inversion": "icmp-block-inversion",
    "masquerade": "masquerade",
    "forward": "forward",
}
_TEXT = {"short": "short", "description": "description"}
_WORD = {
    "ingress_zones": ("ingress-zone", "name"),
    "egress_zones": ("egress-zone", "name"),
    "interfaces": ("interface", "name"),
    "services": ("service", "name"),
    "protocols": ("protocol", "value"),
    "icmp_blocks": ("icmp-block", "name"),
}
_PORT = {"ports": "port", "source_ports": "source-port"}

REJECT = {ZONE: "%%REJECT%%", POLICY: "REJECT"}
"""firewalld spells the same target in two ways."""


class NotUnderstood(ValueError):
    """A file that is no zone or policy of firewalld."""


# --- read -----------------------------------------------------------------------------------


def read(kind: str, text: str) -> Settings:
    """The settings in a file, those not given with firewalld's defaults."""
    root = _parse(kind, text)
    settings = defaults_of(kind)
    for name, one in properties_of(kind).items():
        value = _read_property(kind, root, name, one)
        if value is not None:
            settings[name] = value
    return freeze(settings)


def _parse(kind: str, text: str) -> ET.Element:
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    try:
        root = ET.fromstring(text.encode("utf-8", "surrogateescape"), parser)
    except ET.ParseError as error:
        raise NotUnderstood(f"not XML: {error}") from None
    if root.tag != kind:
        raise NotUnderstood(f"expected <{kind}>, found <{root.tag}>")
    return root


def _read_property(kind: str, root: ET.Element, name: str, one: Property) -> t.Optional[Value]:
    if name in _ATTRIBUTE:
        text = root.get(_ATTRIBUTE[name])
        if not text:
            return None
        if one.shape == "number":
            return int(text)
        return "REJECT" if text == REJECT[kind] else text
    if name in _FLAG:
        return root.find(_FLAG[name]) is not None
    if name in _TEXT:
        return (root.findtext(_TEXT[name]) or "").replace("\n", " ")
    found = [_read_item(name, element) for element in root if _holds(name, element)]
    if one.shape == "ports":
        return coalesced(found)
    return tuple(dict.fromkeys(found))


def _holds(name: str, element: ET.Element) -> bool:
    """Whether an element is one item of a list property. A comment's tag is no text."""
    if name in _WORD:
        return bool(element.tag == _WORD[name][0])
    if name in _PORT:
        return bool(element.tag == _PORT[name])
    return bool(
        element.tag == {"sources": "source", "forward_ports": "forward-port"}.get(name, "rule")
    )


def _read_item(name: str, element: ET.Element) -> str:
    if name in _WORD:
        return element.get(_WORD[name][1], "")
    if name in _PORT:
        return f"{element.get('port', '')}/{element.get('protocol', '')}"
    if name == "sources":
        ipset = element.get("ipset")
        return f"ipset:{ipset}" if ipset else element.get("address", "")
    if name == "forward_ports":
        fields = [element.get(key, "") for key in ("port", "protocol", "to-port", "to-addr")]
        return forward_text(*fields)
    return _read_rule(element)


def _read_rule(element: ET.Element) -> str:
    raw: list[tuple[str, dict[str, str], dict[str, str]]] = [("rule", dict(element.attrib), {})]
    for child in element:
        if isinstance(child.tag, str):
            limit = child.find("limit")
            raw.append((child.tag, dict(child.attrib), {} if limit is None else dict(limit.attrib)))
    try:
        return rule_text(rule_from(raw))
    except (KeyError, ValueError):
        # Newer than this collection, or wrong: it is kept, and never equal to anything wanted.
        return ET.tostring(element, encoding="unicode").strip()


# --- write ----------------------------------------------------------------------------------


def edit(kind: str, text: t.Optional[str], goal: Settings) -> str:
    """The file with the settings of O(goal); those equal in effect stay as they are written."""
    if text is None:
        root = ET.Element(kind)
        before: Settings = defaults_of(kind)
        if kind == POLICY:
            root.set("target", str(before["target"]))
    else:
        root = _parse(kind, text)
        before = read(kind, text)
    for name, one in properties_of(kind).items():
        if name in goal and not same(one.shape, before[name], goal[name]):
            _write_property(kind, root, name, one, goal)
    ET.indent(root, "  ")
    written = _head_of(text) + ET.tostring(root, encoding="unicode") + "\n"
    _refuse_garbled(kind, written, before, goal)
    return written


def _refuse_garbled(kind: str, text: str, before: Settings, goal: Settings) -> None:
    """Refuse what XML cannot carry, or what would be read as something else than was given."""
    try:
        found = read(kind, text)
    except (NotUnderstood, UnicodeEncodeError) as error:
        raise Failure(f"{kind}: firewalld's files cannot say what is wanted ({error})") from None
    for name, one in properties_of(kind).items():
        if name not in goal or same(one.shape, before[name], goal[name]):
            continue
        if one.is_list:
            # What was there already may be spelt differently now.
            new = without(one.shape, items_of(goal, name), items_of(before, name))
            lost: t.Collection[Value] = without(one.shape, new, items_of(found, name))
        else:
            lost = [] if found[name] == goal[name] else [goal[name]]
        if lost:
            words = ", ".join(map(repr, lost))
            raise Failure(f"{kind}: {name}: {words} would be read as something else again")


_HEAD = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)


def _head_of(text: t.Optional[str]) -> str:
    """What stands before the root element, comments included, which the parser drops."""
    head = _HEAD.match(text) if text else None
    return head[0] if head and head[0] else '<?xml version="1.0" encoding="utf-8"?>\n'


def _write_property(kind: str, root: ET.Element, name: str, one: Property, goal: Settings) -> None:
    value = goal[name]
    if name in _ATTRIBUTE:
        _write_attribute(kind, root, name, value)
    elif name in _FLAG:
        _drop(root, [child for child in root if child.tag == _FLAG[name]])
        if value:
            ET.SubElement(root, _FLAG[name])
    elif name in _TEXT:
        _drop(root, [child for child in root if child.tag == _TEXT[name]])
        if value:
            element = ET.Element(_TEXT[name])
            element.text = str(value)
            root.insert(
                1 if name == "description" and root.find("short") is not None else 0, element
            )
    else:
        _write_list(root, name, one, items_of(goal, name))


def _write_attribute(kind: str, root: ET.Element, name: str, value: Value) -> None:
    text = REJECT[kind] if value == "REJECT" else str(value)
    if kind == ZONE and value == defaults_of(kind)[name]:
        root.attrib.pop(_ATTRIBUTE[name], None)
    else:
        root.set(_ATTRIBUTE[name], text)


def _write_list(root: ET.Element, name: str, one: Property, items: t.Sequence[str]) -> None:
    wanted = {identity(one.shape, item): item for item in items}
    for element in [child for child in root if _holds(name, child)]:
        key = identity(one.shape, _read_item(name, element))
        if wanted.pop(key, None) is None:
            root.remove(element)
    for item in wanted.values():
        root.append(_element(name, item))


def _element(name: str, item: str) -> ET.Element:
    if name in _WORD:
        tag, attribute = _WORD[name]
        return ET.Element(tag, {attribute: item})
    if name in _PORT:
        port, _slash, protocol = item.partition("/")
        return ET.Element(_PORT[name], {"port": port, "protocol": protocol})
    if name == "sources":
        if item.startswith("ipset:"):
            return ET.Element("source", {"ipset": item[len("ipset:") :]})
        return ET.Element("source", {"address": item})
    if name == "forward_ports":
        fields = zip(ATTRIBUTES_OF["forward-port"], forward_fields(item))
        return ET.Element("forward-port", {key: value for key, value in fields if value})
    return _rule_element(item)


def _rule_element(text: str) -> ET.Element:
    rule, *nodes = rule_nodes(text)
    element = ET.Element("rule", dict(rule.attributes))
    for node in nodes:
        child = ET.SubElement(element, node.tag, dict(node.attributes))
        if node.limit:
            ET.SubElement(child, "limit", dict(node.limit))
    return element


def _drop(root: ET.Element, elements: t.Iterable[ET.Element]) -> None:
    for element in elements:
        root.remove(element)
