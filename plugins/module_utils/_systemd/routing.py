# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a host routes packets, and whether that began with its first machine.

Private to the collection. networkd makes a router of the host when it sets up the first link of a
machine, and a table of nftables for masquerading; neither goes with the last machine. So what was
there before is remembered, and comes back with the role's end: a host that was no router is none
again, unless somebody else has begun to need one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .._core import files, memory
from .._core.lines import lines_of
from .._core.plan import Plan, Step, Verbs, identities
from .._core.run import find, run

RECORD = os.path.join(memory.of("routing"), "before.json")

PROC = "/proc/sys/net"
LINKS = "/sys/class/net"
# By the kernel's names: that of all of a host's links, and the one for links to come.
ALL, DEFAULT = "all", "default"
FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}
# systemd's own tables, of masquerading and of ports.
TABLES = {"ipv4": "ip", "ipv6": "ip6"}
TABLE = "io.systemd.nat"

SYSCTL_DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
)
# What the host's side of machines is called.
_MACHINES = ("ve-", "vz-")
# What the role network writes for network_forwarding.
OWN = "60-nspawn-machined-forwarding.conf"
_SYSCTLS = {
    "net.ipv4.ip_forward": "ipv4",
    "net.ipv4.conf.all.forwarding": "ipv4",
    "net.ipv6.conf.all.forwarding": "ipv6",
}
# Those set up forwarding for the links of machines alone, of which the kernel takes no notice.
_SHORT = ("256", "256.1", "256.2", "256.3", "256.4")
# From this one on networkd makes a router of the host once in its life, not for each link.
_ONCE = 256
NETWORKD = "systemd-networkd.service"

Switches = t.Mapping[str, t.Mapping[str, bool]]
"""By family and link whether packets are forwarded."""


@dataclasses.dataclass(frozen=True)
class Routing:
    """What a host forwards, and what there is for it."""

    switches: Switches = dataclasses.field(default_factory=dict)
    links: frozenset[str] = frozenset()
    tables: t.Mapping[str, bool] = dataclasses.field(default_factory=dict)
    """systemd's tables by family, and whether something is in them."""

    def routes(self, family: str) -> bool:
        return bool(self.switches.get(family, {}).get(ALL))


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is there, what was there before, and what the host's own files ask for."""

    now: Routing = dataclasses.field(default_factory=Routing)
    before: t.Optional[Routing] = None
    asked: t.Mapping[str, tuple[bool, str]] = dataclasses.field(default_factory=dict)
    """By family what a file for sysctl says, and which."""
    version: str = ""
    begun: bool = False
    """A run was cut off while it brought back what was before."""


# --- seen -----------------------------------------------------------------------------------


def snapshot(*, present: bool) -> Seen:
    """Not O(present): the role's own file is on its way out, also in check mode, where it stays."""
    text = files.read(RECORD)
    paths = [path for path in _sysctl_files() if present or os.path.basename(path) != OWN]
    texts = [(path, files.read(path) or "") for path in paths]
    return Seen(_now(), _parsed(text), asked(texts), _version(), is_begun(text or ""))


def _now() -> Routing:
    switches = {family: _switches(family) for family in FAMILIES}
    return Routing(
        {family: found for family, found in switches.items() if found},
        frozenset(os.listdir(LINKS)),
        {family: filled for family in FAMILIES for filled in _table(family)},
    )


def _switches(family: str) -> dict[str, bool]:
    directory = f"{PROC}/{family}/conf"
    found: dict[str, bool] = {}
    for link in os.listdir(directory) if os.path.isdir(directory) else ():
        try:
            text = files.read(_switch_of(family, link))
        except OSError:
            continue  # a link that has just gone
        if text is not None:
            found[link] = text.strip() != "0"
    return found


def _switch_of(family: str, link: str) -> str:
    return f"{PROC}/{family}/conf/{link}/forwarding"


def _table(family: str) -> t.Iterator[bool]:
    """Whether systemd's table has something in it; nothing where there is no table."""
    if find("nft") is None:
        return
    argv = ["nft", "--json", "list", "table", TABLES[family], TABLE]
    said = run(argv, check=False)
    if said.rc == 0:
        yield is_filled(said.stdout)


def is_filled(text: str) -> bool:
    """Whether a set or a map of a table, as nft tells of it, has an element."""
    objects = json.loads(text).get("nftables", [])
    return any("elem" in one for entry in objects for one in entry.values())


def _parsed(text: t.Optional[str]) -> t.Optional[Routing]:
    """A record that cannot be read says as much as none."""
    try:
        found = json.loads(text or "")
        switches = {
            family: {str(link): bool(on) for link, on in found["switches"][family].items()}
            for family in FAMILIES
            if family in found["switches"]
        }
        tables = {family: True for family in FAMILIES if family in found["tables"]}
        return Routing(switches, frozenset(map(str, found["links"])), tables)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def is_begun(text: str) -> bool:
    """Whether a record says that a run has begun to bring back what it has."""
    try:
        return bool(json.loads(text)["begun"])
    except (ValueError, TypeError, KeyError):
        return False


def _sysctl_files() -> list[str]:
    """Their paths in the order in which they are read; the last word counts."""
    found: dict[str, str] = {}
    for directory in SYSCTL_DIRECTORIES:
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if name.endswith(".conf"):
                found.setdefault(name, os.path.join(directory, name))
    return [*(path for _name, path in sorted(found.items())), "/etc/sysctl.conf"]


def asked(texts: t.Iterable[tuple[str, str]]) -> dict[str, tuple[bool, str]]:
    """By family what files for sysctl say of forwarding, and which file has the last word."""
    found: dict[str, tuple[bool, str]] = {}
    for path, text in texts:
        for line in lines_of(text):
            key, equals, value = line.strip().lstrip("-").partition("=")
            family = _SYSCTLS.get(key.strip().replace("/", "."))
            if equals and family and value.strip() in ("0", "1"):
                found[family] = (value.strip() == "1", path)
    return found


def _version() -> str:
    """With its smaller numbers: C(256.4)."""
    words = run(["systemctl", "--version"]).stdout.split()
    return words[2].strip("()").partition("-")[0] if len(words) > 2 else ""


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Seen, *, present: bool, going_on: bool = False) -> Plan:
    """Remember what is there before networkd changes it, or bring it back and forget it.

    O(going_on): networkd runs before and after.
    """
    if present:
        return () if seen.before else (Step("remember routing", "of the host", {"now": seen.now}),)
    if seen.before is None:
        return ()
    steps = [
        Step(
            "stop forwarding",
            FAMILIES[family],
            {"family": family, "before": seen.before},
            before={"forwarding": True},
            after={"forwarding": False},
        )
        for family in FAMILIES
        if _began_here(seen, seen.before, family) and not _is_kept(seen, seen.before, family)
    ]
    if (steps or seen.begun) and going_on and _major(seen.version) >= _ONCE:
        steps.append(Step("restart", NETWORKD, needs=identities(*steps)))
    steps += [
        Step("remove table", f"{TABLES[family]} {TABLE}", {"family": family})
        for family, filled in seen.now.tables.items()
        if family not in seen.before.tables and not filled
    ]
    return (*steps, Step("forget routing", "of the host", needs=identities(*steps)))


def _major(version: str) -> int:
    digits = version.partition(".")[0].partition("~")[0]
    return int(digits) if digits.isdigit() else _ONCE


def _began_here(seen: Seen, before: Routing, family: str) -> bool:
    return family in before.switches and not before.routes(family) and seen.now.routes(family)


def _is_kept(seen: Seen, before: Routing, family: str) -> bool:
    """Whether somebody else needs the host to route by now, or may."""
    return _is_asked_for(seen, family) or bool(seen.now.links - before.links)


def _is_asked_for(seen: Seen, family: str) -> bool:
    return seen.asked.get(family, (False, ""))[0]


def surprises(seen: Seen, *, present: bool) -> t.Iterator[str]:
    """What a user would wonder about later."""
    if present:
        yield from _obstacles(seen)
        return
    strangers = sorted(seen.now.links - seen.before.links) if seen.before else []
    for family, name in FAMILIES.items():
        began = seen.before is not None and _began_here(seen, seen.before, family)
        if began and strangers and not _is_asked_for(seen, family):
            yield (
                f"the host goes on forwarding {name}, which it did not before its machines:"
                f" there are links that it did not have then ({', '.join(strangers)}), and whoever"
                f" made them may need it. If nobody does: sysctl --write {_sysctl(family)}=0"
            )


def _obstacles(seen: Seen) -> t.Iterator[str]:
    for family, (on, path) in sorted(seen.asked.items()):
        if not on:
            yield (
                f"{path} sets {_sysctl(family)} to 0. networkd sets it to 1 for the first machine,"
                " and whoever has that file read again (sysctl --system, the update of a package)"
                f" cuts machines off from {FAMILIES[family]}. Say 1 there, or network_forwarding:"
                " true in the role network"
            )
    machines = sorted(link for link in seen.now.links if link.startswith(_MACHINES))
    if machines and not seen.now.routes("ipv4"):
        yield (
            f"the host does not forward IPv4 although machines have links ({', '.join(machines)}):"
            " somebody has set net.ipv4.ip_forward to 0. They reach the host and no further until"
            " it is 1 again: network_forwarding: true in the role network keeps it so"
        )
    elif seen.version in _SHORT and not seen.now.routes("ipv4"):
        yield (
            f"systemd {seen.version} does not let the host route for its machines, as those before"
            " and after do (from 256 to 256.4): they reach the host and no further. Say"
            " network_forwarding: true in the role network, or update systemd"
        )


def _sysctl(family: str) -> str:
    return "net.ipv4.ip_forward" if family == "ipv4" else "net.ipv6.conf.all.forwarding"


# --- act ------------------------------------------------------------------------------------


def _remember(step: Step) -> None:
    _write(step.arguments["now"], begun=False)


def _write(routing: Routing, *, begun: bool) -> None:
    record = {
        "begun": begun,
        "switches": {family: dict(found) for family, found in routing.switches.items()},
        "links": sorted(routing.links),
        "tables": sorted(routing.tables),
    }
    memory.write(RECORD, json.dumps(record, indent=2, sort_keys=True) + "\n")


def _stop(step: Step) -> None:
    """The kernel lets all links follow the word for all of them; then those that were on are."""
    family, before = step.arguments["family"], step.arguments["before"]
    # A next run that finds nothing forwarded any more restarts networkd all the same.
    _write(before, begun=True)
    _set(family, ALL, on=False)
    for link, on in before.switches[family].items():
        if on and link != ALL:
            _set(family, link, on=True)


def _set(family: str, link: str, *, on: bool) -> None:
    try:
        with open(_switch_of(family, link), "w", encoding="ascii") as file:
            file.write("1" if on else "0")
    except FileNotFoundError:
        return  # a link that is gone


def _restart(step: Step) -> None:
    run(["systemctl", "--no-ask-password", "try-restart", "--", step.subject], timeout=120)


def _remove_table(step: Step) -> None:
    """networkd, which may run on, makes it anew when it needs it."""
    for filled in _table(step.arguments["family"]):
        if not filled:
            run(["nft", "delete", "table", TABLES[step.arguments["family"]], TABLE])


def _forget(_step: Step) -> None:
    memory.forget(RECORD)


VERBS: Verbs = {
    "remember routing": _remember,
    "stop forwarding": _stop,
    "restart": _restart,
    "remove table": _remove_table,
    "forget routing": _forget,
}
