# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The zones of NetworkManager's connections: wanted, seen, plan, act.

Private to the collection. A connection says itself in which zone its interface is, so neither
firewalld nor its files can be told. Connections are found by their names and changed by their
UUIDs: a name may be given twice, and a local user may have chosen it.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
import time
import typing as t

from .._core import files, memory
from .._core.lines import lines_of
from .._core.plan import Failure, Plan, Step, Verbs, identities
from .._core.run import CommandFailed, find, run
from . import record as firewalld_record
from .daemon import FIREWALLD, ZONES, ask
from .model import ZONE, Key, Settings, freeze, is_name, items_of

DIRECTORY = memory.of("connections")
PATIENCE = 20.0

Zones = t.Mapping[str, str]
"""Zones by the names of connections. An empty one stands for the host's default zone."""

_LISTED = re.compile(r"^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):", re.MULTILINE)


# --- wanted ---------------------------------------------------------------------------------


def wanted(params: t.Mapping[str, t.Any]) -> Zones:
    """What is given, checked; a zone may be one that is made only later."""
    zones: dict[str, str] = {}
    for name, zone in (params["connections"] or {}).items():
        if not isinstance(name, str) or not name or not name.isprintable():
            raise Failure(f"connections: {name!r} is no name of a connection")
        zone = "" if zone is None else zone
        if not isinstance(zone, str) or (zone and not is_name(zone)):
            raise Failure(
                f"connections: {name}: what it is given is no name of a zone; expected letters,"
                " digits, - and _, or nothing for the host's default zone"
            )
        zones[name] = zone
    return zones


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Connection:
    """A connection of those that are wanted or were changed before, or that has a link we claim."""

    uuid: str
    zone: str
    links: tuple[str, ...] = ()
    """The interfaces that it is for, or that it has right now."""
    up: tuple[str, ...] = ()
    """The interfaces that it has right now."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is there, and the zones that connections had before an earlier call."""

    connections: t.Mapping[str, Connection] = dataclasses.field(default_factory=dict)
    before: Zones = dataclasses.field(default_factory=dict)
    recording: t.Optional[str] = None
    others: t.Mapping[str, Connection] = dataclasses.field(default_factory=dict)
    """More connections that are up, on interfaces which zones shall have by their names."""


def snapshot(
    zones: Zones, recording: t.Optional[str], claimed: t.Collection[str] = frozenset()
) -> Seen:
    """O(claimed): interfaces that zones shall have."""
    before = _read(recording) if recording else {}
    names = {*zones, *before}
    if not names and not claimed:
        return Seen(recording=recording)
    there = _listing("UUID,NAME")
    _refuse_unknown(zones, there)
    # One that is gone has no zone to be given back.
    connections = {name: _connection(there[name][0]) for name in names & set(there)}
    known = {one.uuid for one in connections.values()}
    active = _listing("UUID,DEVICE", "--active") if claimed and there else {}
    others = {
        name: _connection(uuid)
        for name, uuids in there.items()
        for uuid in uuids
        if uuid not in known and any(uuid in active.get(link, ()) for link in claimed)
    }
    return Seen(connections, before, recording, others)


def _listing(fields: str, *which: str) -> dict[str, list[str]]:
    """The UUIDs of all connections by their names, or by what else is asked for."""
    if find("nmcli") is None:
        return {}
    argv = ["nmcli", "--terse", "--escape", "no", "--fields", fields, "connection", "show", *which]
    return listed(run(argv).stdout)


def listed(text: str) -> dict[str, list[str]]:
    """The UUIDs by names, from lines that begin with a UUID; a name may be several lines long."""
    found: dict[str, list[str]] = {}
    _nothing, *parts = _LISTED.split(text)
    for uuid, name in zip(parts[::2], parts[1::2]):
        found.setdefault(name[:-1] if name.endswith("\n") else name, []).append(uuid)
    return found


def _refuse_unknown(zones: Zones, there: t.Mapping[str, t.Sequence[str]]) -> None:
    for name in zones:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"; near it is {near[0]}" if near else ""
            raise Failure(f"connections: NetworkManager has no connection {name}{hint}")
        if len(there[name]) > 1:
            raise Failure(
                f"connections: NetworkManager has {len(there[name])} connections {name}: give"
                f" them different names ({', '.join(there[name])})"
            )


def _connection(uuid: str) -> Connection:
    asked = "connection.zone,connection.interface-name,GENERAL.DEVICES"
    argv = ["nmcli", "--terse", "--escape", "no", "--fields", asked]
    said = run([*argv, "connection", "show", "uuid", uuid]).stdout
    found = dict(line.partition(":")[::2] for line in lines_of(said))
    up = tuple(filter(None, found.get("GENERAL.DEVICES", "").split(",")))
    links = filter(None, (found.get("connection.interface-name"), *up))
    return Connection(uuid, found.get("connection.zone", ""), tuple(dict.fromkeys(links)), up)


# --- check ----------------------------------------------------------------------------------


def check(zones: Zones, there: t.Collection[str]) -> None:
    """Refuse zones that there are none of: NetworkManager takes any word for one.

    O(there): the zones that there will be.
    """
    for name, zone in zones.items():
        if zone and zone not in there:
            if not there:
                raise Failure(
                    f"connections: {name}: firewalld is not installed on this host, so there is no"
                    f" zone {zone}"
                )
            near = difflib.get_close_matches(zone, there, n=1)
            raise Failure(
                f"connections: {name}: there is no zone {zone} on this host"
                + (f" (did you mean {near[0]}?)" if near else "")
                + "; declare it (zones), or name one of: "
                + ", ".join(sorted(there))
            )


def contested(
    seen: Seen, zones: Zones, bound: t.Mapping[str, t.Collection[str]], default: str
) -> t.Iterator[str]:
    """Interfaces that a connection puts into another zone than the one that has them by name.

    O(bound): the interfaces of zones, as they will be; O(default): the host's default zone.
    """
    every = {**seen.others, **seen.connections}
    goals = {**{name: one.zone for name, one in every.items()}, **zones}
    for name, one in sorted(every.items()):
        goal = goals[name] or default
        for zone, links in sorted(bound.items()):
            for link in one.links:
                if zone != goal and link in links:
                    yield (
                        f"{link} is in two zones: in {goal} by NetworkManager's connection {name}"
                        f" and in {zone} by its name, and whoever comes last has it. Say the same"
                        f" in both (connections: {{{name}: {zone}}}), or take {link} out of"
                        f" {zone} (remove: interfaces)"
                    )


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Seen, zones: Zones) -> Plan:
    """Give connections their zones; those that are not wanted any more get theirs back."""
    now = {name: one.zone for name, one in seen.connections.items()}
    before = {name: zone for name, zone in seen.before.items() if name in now}
    goals = {**before, **zones}
    first = {**{name: now[name] for name in zones}, **before}
    last = {name: zone for name, zone in first.items() if name in zones}
    steps: list[Step] = []
    if seen.recording and first != seen.before:
        steps.append(_record("remember", seen.recording, first))
    needs = identities(*steps)
    for name in sorted(goals):
        if goals[name] != now[name]:
            one = seen.connections[name]
            arguments = {"uuid": one.uuid, "zone": goals[name], "links": one.up}
            states = {"zone": now[name]}, {"zone": goals[name]}
            steps.append(Step("assign", f"connection {name}", arguments, *states, needs))
    if seen.recording and last != first:
        steps.append(_record("forget", seen.recording, last, identities(*steps)))
    return tuple(steps)


def moved(
    plan_: Plan, live: t.Mapping[Key, Settings], there: t.Collection[str], default: str
) -> dict[Key, Settings]:
    """The running firewall as zones find it: with the links where connections have taken them.

    O(there): the zones that there are already; O(default): the host's default zone.
    """
    goals = {
        link: Key(ZONE, step.arguments["zone"] or default)
        for step in plan_
        if step.verb == "assign" and not _is_late(step, there)
        for link in step.arguments["links"]
    }

    def bound(key: Key, settings: Settings) -> Settings:
        links = [link for link in items_of(settings, "interfaces") if link not in goals]
        links += [link for link, goal in goals.items() if goal == key]
        return freeze({**settings, "interfaces": tuple(links)})

    reached = {goal: live.get(goal, freeze({})) for goal in goals.values()}
    return {
        key: bound(key, settings) if "interfaces" in settings or key in reached else settings
        for key, settings in {**reached, **live}.items()
    }


def leaving(plan_: Plan, there: t.Collection[str]) -> frozenset[str]:
    """Links that connections take along only when zones have been made for them."""
    late = [step for step in plan_ if step.verb == "assign" and _is_late(step, there)]
    return frozenset(link for step in late for link in step.arguments["links"])


def _is_late(step: Step, there: t.Collection[str]) -> bool:
    return step.arguments["zone"] not in ("", *there)


def around(plan_: Plan, other: Plan, there: t.Collection[str]) -> Plan:
    """This plan and that of zones: before those that go, and after those that are made.

    O(there): the zones that there are already.
    """
    late = [
        step
        for step in plan_
        if step.verb == "forget" or (step.verb == "assign" and _is_late(step, there))
    ]
    early = tuple(step for step in plan_ if step not in late)
    zones = _after(early, other)
    return (*early, *zones, *_after(zones, late))


def _after(first: t.Iterable[Step], then: t.Iterable[Step]) -> Plan:
    needs = identities(*first)
    return tuple(dataclasses.replace(step, needs=step.needs | needs) for step in then)


def _record(verb: str, recording: str, zones: Zones, needs: frozenset[str] = frozenset()) -> Step:
    arguments = {"recording": recording, "zones": zones}
    return Step(verb, f"zones of connections for {recording}", arguments, needs=needs)


# --- act ------------------------------------------------------------------------------------


def _path_of(recording: str) -> str:
    firewalld_record.check_name(recording)
    return os.path.join(DIRECTORY, f"{recording}.json")


def _read(recording: str) -> Zones:
    path = _path_of(recording)
    text = files.read(path)
    if text is None:
        return {}
    try:
        return {str(name): str(zone) for name, zone in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise Failure(
            f"{path} is no record of connections ({error}). Without it they cannot have their"
            " zones back: restore the file, or remove it and set them by hand"
        ) from None


def _write(step: Step) -> None:
    path = _path_of(step.arguments["recording"])
    if step.arguments["zones"]:
        memory.write(path, json.dumps(step.arguments["zones"], indent=2, sort_keys=True) + "\n")
    else:
        memory.forget(path)


def _assign(step: Step) -> None:
    uuid, zone = step.arguments["uuid"], step.arguments["zone"]
    run(["nmcli", "connection", "modify", "uuid", uuid, "connection.zone", zone])
    _await(step.arguments["links"], zone)


def _await(links: t.Iterable[str], zone: str) -> None:
    """Wait until what is up is there: NetworkManager tells firewalld when it has a moment."""
    try:
        goal = zone or ask(FIREWALLD, "getDefaultZone")
        end = time.monotonic() + PATIENCE
        for link in links:
            while ask(ZONES, "getZoneOfInterface", "s", link) != goal:
                if time.monotonic() > end:
                    raise Failure(
                        f"NetworkManager has not put {link} into the zone {goal} within"
                        f" {PATIENCE:g} s: see journalctl -u NetworkManager -u firewalld"
                    )
                time.sleep(0.1)
    except CommandFailed:
        # firewalld does not run; it will hear of it from NetworkManager when it does.
        return


VERBS: Verbs = {"remember": _write, "assign": _assign, "forget": _write}
