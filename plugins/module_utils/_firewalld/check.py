# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Everything that can be found wrong with what is wanted before anything is changed.

Private to the collection. Pure.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import typing as t

from .._core.plan import Failure
from .model import (
    BINDINGS,
    POLICY,
    SYMBOLIC_ZONES,
    TARGETS,
    ZONE,
    Goals,
    Items,
    Key,
    Settings,
    dotted,
    forward_fields,
    identity,
    is_name,
    items_of,
    longest_name,
    port_problem,
    properties_of,
    without,
)
from .rich_rules import rule_nodes
from .seen import Snapshot
from .wanted import Wanted

Problems = t.Iterator[str]


def check_wanted(seen: Snapshot, wanted: t.Sequence[Wanted]) -> dict[Key, Wanted]:
    """Check what is wanted of each zone or policy; return it by key."""
    problems: list[str] = []
    named: dict[Key, Wanted] = {}
    for one in wanted:
        if one.key in named:
            problems.append(f"{one.key}: is given twice")
        named[one.key] = one
        problems += [f"{one.key}: {problem}" for problem in _problems(seen, one)]
    problems += _shared_names(seen, named)
    problems += _double_claims(named)
    _refuse(problems)
    return named


def check_goals(seen: Snapshot, named: t.Mapping[Key, Wanted], goals: Goals) -> None:
    """Check what would come out of it: references, use, and what firewalld itself refuses."""
    problems: list[str] = []
    after = {key: entry.settings for key, entry in seen.entries.items() if key not in goals}
    after.update({key: goal for key, goal in goals.items() if goal is not None})
    for key, goal in goals.items():
        if goal is None:
            if key in seen.entries:
                problems += [f"{key}: {problem}" for problem in _in_use(seen, key, goals, after)]
        elif key.kind == POLICY and key in named:
            problems += [f"{key}: {problem}" for problem in _policy_problems(seen, goal, after)]
    _refuse(problems)


def _refuse(problems: t.Sequence[str]) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise Failure(problems[0])
    raise Failure("\n".join([f"{len(problems)} things are wrong:", *problems]))


# --- one zone or policy ---------------------------------------------------------------------


def _problems(seen: Snapshot, wanted: Wanted) -> Problems:
    yield from _name_problems(seen, wanted.key)
    table = properties_of(wanted.key.kind)
    for name, value in wanted.settings.items():
        if table[name].since > seen.version:
            yield (
                f"{name} needs firewalld {dotted(table[name].since)} or later, "
                f"this host has {dotted(seen.version)}"
            )
        yield from _value_problems(seen, wanted.key.kind, name, value)
    for name, items in wanted.without.items():
        clash = without(table[name].shape, items, _rest(wanted, name, items))
        if clash:
            yield f"{name}: {', '.join(clash)} cannot be both given and removed"


def _rest(wanted: Wanted, name: str, items: Items) -> Items:
    """Those of O(items) that are not wanted as well."""
    shape = properties_of(wanted.key.kind)[name].shape
    return without(shape, items, items_of(wanted.settings, name))


def _name_problems(seen: Snapshot, key: Key) -> Problems:
    name, longest = key.name, longest_name(key.kind, seen.version)
    if key.kind == ZONE and name in SYMBOLIC_ZONES:
        yield "HOST and ANY are firewalld's own words and cannot be the name of a zone"
    if not name:
        yield "the name is empty"
    elif "/" in name:
        yield "a name with / (one part of a combined configuration) is not supported"
    elif not is_name(name):
        yield "a name consists of letters, digits, - and _"
    elif len(name) > longest:
        why = "" if seen.version >= (2, 4) else " (longer names need firewalld 2.4 or later)"
        yield (
            f"the name has {len(name)} characters, firewalld {dotted(seen.version)} takes "
            f"{longest} for a {key.kind}{why}"
        )


def _value_problems(seen: Snapshot, kind: str, name: str, value: t.Any) -> Problems:
    texts = value if isinstance(value, tuple) else (str(value),)
    for text in texts:
        if not text.isprintable():
            yield f"{name}: {text!r} has a control character in it, or one that nobody sees"
            return
    if name == "target" and value not in TARGETS[kind]:
        yield f"target {value} is not one of {', '.join(TARGETS[kind])}"
    elif name.endswith("priority"):
        if not -32768 <= value <= 32767:
            yield f"{name} {value} is not between -32768 and 32767"
        elif kind == POLICY and value == 0:
            yield "priority 0 is reserved by firewalld: use -1 or 1"
    elif name in _ITEM_CHECKS:
        for item in value:
            problem = _ITEM_CHECKS[name](seen, item)
            if problem:
                yield f"{name}: {item}: {problem}"


def _service(seen: Snapshot, item: str) -> t.Optional[str]:
    return _known(item, seen.services, "service")


def _icmp_type(seen: Snapshot, item: str) -> t.Optional[str]:
    return _known(item, seen.icmp_types, "ICMP type")


def _known(item: str, known: t.AbstractSet[str], what: str) -> t.Optional[str]:
    if item in known:
        return None
    return f"firewalld knows no such {what}{_nearest(item, known)}"


def _nearest(item: str, known: t.Iterable[str]) -> str:
    near = difflib.get_close_matches(item.lower(), sorted(known), n=3, cutoff=0.6)
    near = near or [name for name in sorted(known) if item and name.startswith(item)][:3]
    return f"; near it are {', '.join(near)}" if near else ""


def _interface(_seen: Snapshot, item: str) -> t.Optional[str]:
    if "*" in item:
        return f"firewalld's wildcard is a + at the end: say {item.split('*')[0]}+"
    if "+" in item[:-1]:
        return "the wildcard + can only stand at the end"
    if not item or len(item) > 15:
        return (
            "an interface has 1 to 15 characters; networkd and nspawn shorten longer names, "
            "see ip link, or use a wildcard such as ve-+"
        )
    if re.search(r"[\s/!:]", item):
        return "an interface's name has no space, /, ! or :"
    return None


def _source(_seen: Snapshot, item: str) -> t.Optional[str]:
    if re.fullmatch(r"ipset:[^\s:/]+|(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", item):
        return None
    try:
        ipaddress.ip_network(item, strict=False)
    except ValueError:
        return "expected an address, a network (192.0.2.0/24), a hardware address or ipset:NAME"
    return None


def _port(_seen: Snapshot, item: str) -> t.Optional[str]:
    return port_problem(item)


def _protocol(_seen: Snapshot, item: str) -> t.Optional[str]:
    if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", item):
        return None
    return "expected a protocol as in /etc/protocols, such as icmp or gre"


def _forward_port(_seen: Snapshot, item: str) -> t.Optional[str]:
    port, protocol, to_port, to_addr = forward_fields(item)
    problem = port_problem(f"{port}/{protocol}")
    if not problem and to_port:
        problem = port_problem(f"{to_port}/{protocol}")
    if not problem and not to_port and not to_addr:
        problem = "to_port or to_addr is needed"
    if not problem and to_addr:
        try:
            ipaddress.ip_address(to_addr)
        except ValueError:
            problem = f"to_addr {to_addr} is not an address"
    return problem


def _rich_rule(seen: Snapshot, item: str) -> t.Optional[str]:
    try:
        nodes = rule_nodes(item)
    except ValueError as error:
        return str(error)
    for node in nodes:
        attributes = dict(node.attributes)
        if node.tag == "service":
            problem = _service(seen, attributes.get("name", ""))
            if problem:
                return f"{attributes.get('name', '')}: {problem}"
        if node.tag in ("port", "source-port", "forward-port"):
            port = f"{attributes.get('port', '')}/{attributes.get('protocol', '')}"
            problem = port_problem(port)
            if problem:
                return f"{port}: {problem}"
        if dict(node.limit).get("burst") and seen.version < (2, 2):
            return f"burst needs firewalld 2.2 or later, this host has {dotted(seen.version)}"
        if node.tag == "nflog" and seen.version < (1, 1):
            return f"nflog needs firewalld 1.1 or later, this host has {dotted(seen.version)}"
    return None


_ITEM_CHECKS: t.Mapping[str, t.Callable[[Snapshot, str], t.Optional[str]]] = {
    "services": _service,
    "icmp_blocks": _icmp_type,
    "interfaces": _interface,
    "sources": _source,
    "ports": _port,
    "source_ports": _port,
    "protocols": _protocol,
    "forward_ports": _forward_port,
    "rich_rules": _rich_rule,
}


# --- all together ---------------------------------------------------------------------------


def _shared_names(seen: Snapshot, named: t.Mapping[Key, Wanted]) -> Problems:
    for key, wanted in named.items():
        other = Key(ZONE if key.kind == POLICY else POLICY, key.name)
        if not wanted.present:
            continue
        if other in named:
            if named[other].present and key.kind == ZONE:
                yield (
                    f"{key} and {other}: a zone and a policy cannot share a name; "
                    f"name the policy {key.name}-policy, for example"
                )
        elif other in seen.entries:
            yield f"{key}: a {other.kind} of that name exists, and the two cannot share a name"


def _double_claims(named: t.Mapping[Key, Wanted]) -> Problems:
    for name in BINDINGS:
        shape = properties_of(ZONE)[name].shape
        owner: dict[t.Hashable, Key] = {}
        for key, wanted in named.items():
            if key.kind != ZONE or not wanted.present:
                continue
            for item in items_of(wanted.settings, name):
                first = owner.setdefault(identity(shape, item), key)
                if first != key:
                    yield f"{name}: {item} is given in {first} and {key}, it can be in one only"


# --- outcomes -------------------------------------------------------------------------------


def _in_use(seen: Snapshot, key: Key, goals: Goals, after: t.Mapping[Key, Settings]) -> Problems:
    entry = seen.entries[key]
    if entry.vendor is not None:
        yield f"comes with firewalld and cannot be removed (a {key.kind} of its own files)"
    if key.kind != ZONE:
        return
    if key.name == seen.default_zone:
        yield "is the default zone: make another the default first"
    users = sorted(
        other.name
        for other, settings in after.items()
        if other.kind == POLICY
        and key.name in (*items_of(settings, "ingress_zones"), *items_of(settings, "egress_zones"))
    )
    if users:
        yield f"is used by {_named('policy', 'policies', users)}: remove or change that first"
    ours = seen.record[key].deltas if key in seen.record else {}
    for name in BINDINGS:
        shape = properties_of(ZONE)[name].shape
        live = without(
            shape, items_of(seen.live.get(key, {}), name), items_of(entry.settings, name)
        )
        if name in ours:  # a call that was cut off may have left it in the running firewall only
            live = without(shape, live, ours[name].added)
        elsewhere = tuple(item for settings in after.values() for item in items_of(settings, name))
        held = without(shape, live, elsewhere)
        if held:
            yield (
                f"the running firewall has {name} {', '.join(held)} in it that somebody else "
                "bound: bind them to another zone first"
            )


def _named(one: str, many: str, names: t.Sequence[str]) -> str:
    return f"{one if len(names) == 1 else many} {', '.join(names)}"


def _policy_problems(seen: Snapshot, goal: Settings, after: t.Mapping[Key, Settings]) -> Problems:
    sides = {name: items_of(goal, name) for name in ("ingress_zones", "egress_zones")}
    zones = sorted(key.name for key in after if key.kind == ZONE)
    for name, side in sides.items():
        if not side:
            yield f"{name} is empty: without ingress_zones and egress_zones it does nothing"
        for zone in side:
            if zone not in SYMBOLIC_ZONES and zone not in zones:
                yield f"{name}: there is no zone {zone}{_nearest(zone, zones)}"
        if len(side) > 1 and set(side) & set(SYMBOLIC_ZONES):
            yield f"{name}: HOST or ANY must stand alone, found {', '.join(side)}"
    ingress, egress = sides["ingress_zones"], sides["egress_zones"]
    if "HOST" in ingress and "HOST" in egress:
        yield "HOST can be in ingress_zones or in egress_zones, not in both"
    if goal["masquerade"]:
        if "HOST" in (*ingress, *egress):
            yield "masquerade is not possible from or to HOST"
        bound = [zone for zone in ingress if items_of(after.get(Key(ZONE, zone), {}), "interfaces")]
        if seen.backend != "nftables" and bound:
            yield (
                f"masquerade needs FirewallBackend=nftables as zone {bound[0]} has interfaces, "
                f"found {seen.backend}"
            )
    for item in items_of(goal, "forward_ports"):
        if "HOST" not in egress and not forward_fields(item)[3]:
            yield f"forward_ports: {item} needs to_addr unless egress_zones is HOST"
