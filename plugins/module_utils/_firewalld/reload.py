# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Reloads firewalld, and puts back what others had set in the running firewall only.

Private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core.plan import Failure
from .._systemd import bus
from . import daemon
from .daemon import ask
from .model import (
    POLICY,
    ZONE,
    Key,
    Settings,
    Value,
    changed,
    freeze,
    items_of,
    properties_of,
    without,
)

# A reload with thousands of rules takes its time.
TIMEOUT = 300.0


def reload(planned: t.Mapping[Key, Settings]) -> None:
    """Reload, and put back what others had set in the running firewall only.

    firewalld forgets it: interfaces that somebody bound, addresses that somebody banned. What
    was set for a limited time only stays until the next reload.
    """
    goals: dict[Key, Settings] = {**_everything(), **planned}
    extras = _extras()
    bus.call(daemon.FIREWALLD, "reload", timeout=TIMEOUT)
    now = _everything()
    lost: list[str] = []
    for key, settings in lost_bindings(now, goals):
        _try(lost, f"{', '.join(settings)} of {key}", daemon.set_live, key, settings)
        now[key] = freeze({**now[key], **settings})
    for key, settings in lost_settings(now, goals):
        _try(lost, f"{', '.join(settings)} of {key}", daemon.set_live, key, settings)
    for what, service, method, arguments in _lost_extras(extras):
        _try(lost, what, bus.call, service, method, *arguments)
    if lost:
        raise Failure(
            "firewalld is reloaded, but could not put back what had been set in the running "
            f"firewall only: {'; '.join(lost)}"
        )


def _try(lost: list[str], what: str, do: t.Callable[..., object], *arguments: t.Any) -> None:
    """Put one thing back: what fails must not keep the rest from coming back."""
    try:
        do(*arguments)
    except Failure as failure:
        lost.append(f"{what} ({failure.message})")


def _everything() -> dict[Key, Settings]:
    keys = [Key(ZONE, name) for name in ask(daemon.ZONES, "getZones")]
    keys += [Key(POLICY, name) for name in ask(daemon.POLICIES, "getPolicies")]
    return {key: daemon.live(key) for key in keys}


Settled = list[tuple[Key, Settings]]


def lost_bindings(now: t.Mapping[Key, Settings], goals: t.Mapping[Key, Settings]) -> Settled:
    """Interfaces and sources that have to leave a zone before another can have them back."""
    result: Settled = []
    for key, goal in goals.items():
        if key.kind == ZONE and key in now:
            left: dict[str, Value] = {}
            for name, shape in (("interfaces", "words"), ("sources", "sources")):
                have = items_of(now[key], name)
                surplus = without(shape, have, items_of(goal, name))
                if surplus:
                    left[name] = without(shape, have, surplus)
            if left:
                result.append((key, left))
    return result


def lost_settings(now: t.Mapping[Key, Settings], goals: t.Mapping[Key, Settings]) -> Settled:
    """What of the goals the running firewall does not have, as far as it can be set there."""
    result: Settled = []
    for key, goal in goals.items():
        if key in now:
            table = properties_of(key.kind)
            lost = changed(key.kind, now[key], goal)
            settings = {name: value for name, value in lost.items() if table[name].live}
            if settings:
                result.append((key, settings))
    return result


Extras = dict[str, t.Any]


def _extras() -> Extras:
    """Direct rules and entries of sets, which a reload forgets as well."""
    return {
        "chains": ask(daemon.DIRECT, "getAllChains"),
        "rules": ask(daemon.DIRECT, "getAllRules"),
        "passthroughs": ask(daemon.DIRECT, "getAllPassthroughs"),
        "entries": {name: _entries_of(name) for name in ask(daemon.IPSETS, "getIPSets")},
    }


def _entries_of(ipset: str) -> list[str]:
    try:
        return t.cast("list[str]", ask(daemon.IPSETS, "getEntries", "s", ipset))
    except bus.CallFailed:
        return []  # one whose entries time out: the kernel has them, firewalld does not


Call = tuple[str, bus.Service, str, list[str]]


def _lost_extras(before: Extras) -> t.Iterator[Call]:
    """The calls that bring them back, each with what it brings."""
    now = _extras()
    for chain in before["chains"]:
        if chain not in now["chains"]:
            yield f"direct chain {' '.join(chain)}", daemon.DIRECT, "addChain", ["sss", *chain]
    for rule in before["rules"]:
        if rule not in now["rules"]:
            family, table, chain, priority, words = rule
            arguments = ["sssias", family, table, chain, str(priority), str(len(words)), *words]
            yield f"direct rule {' '.join(words)}", daemon.DIRECT, "addRule", arguments
    for family, words in before["passthroughs"]:
        if [family, words] not in now["passthroughs"]:
            arguments = ["sas", family, str(len(words)), *words]
            yield f"direct rule {' '.join(words)}", daemon.DIRECT, "addPassthrough", arguments
    for name, entries in before["entries"].items():
        if name in now["entries"] and set(entries) != set(now["entries"][name]):
            arguments = ["sas", name, str(len(entries)), *entries]
            yield f"entries of set {name}", daemon.IPSETS, "setEntries", arguments
