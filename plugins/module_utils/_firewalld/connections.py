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
import typing as t

from .._core import files, memory
from .._core.plan import Failure, Plan, Step, Verbs, identities
from .._core.run import find, run
from . import record as firewalld_record
from .model import is_name

DIRECTORY = memory.of("connections")

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
    """A connection of those that are wanted or were changed before."""

    uuid: str
    zone: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is there, and the zones that connections had before an earlier call."""

    connections: t.Mapping[str, Connection] = dataclasses.field(default_factory=dict)
    before: Zones = dataclasses.field(default_factory=dict)
    recording: t.Optional[str] = None


def snapshot(zones: Zones, recording: t.Optional[str]) -> Seen:
    before = _read(recording) if recording else {}
    names = {*zones, *before}
    if not names:
        return Seen(recording=recording)
    there = _there()
    _refuse_unknown(zones, there)
    # One that is gone has no zone to be given back.
    connections = {
        name: Connection(there[name][0], _zone_of(there[name][0])) for name in names & set(there)
    }
    return Seen(connections, before, recording)


def _there() -> dict[str, list[str]]:
    """The UUIDs of all connections by their names."""
    if find("nmcli") is None:
        return {}
    said = run(
        ["nmcli", "--terse", "--escape", "no", "--fields", "UUID,NAME", "connection", "show"]
    )
    return listed(said.stdout)


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


def _zone_of(uuid: str) -> str:
    said = run(["nmcli", "--get-values", "connection.zone", "connection", "show", "uuid", uuid])
    return said.stdout.strip()


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
            arguments = {"uuid": seen.connections[name].uuid, "zone": goals[name]}
            states = {"zone": now[name]}, {"zone": goals[name]}
            steps.append(Step("assign", f"connection {name}", arguments, *states, needs))
    if seen.recording and last != first:
        steps.append(_record("forget", seen.recording, last, identities(*steps)))
    return tuple(steps)


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


VERBS: Verbs = {"remember": _write, "assign": _assign, "forget": _write}
