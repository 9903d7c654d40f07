# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether the table of iptables drops what machines send to the world.

Private to the collection. A packet has to get through each firewall of its host. Docker, where it
has turned forwarding on itself, and ufw drop in the chain FORWARD what no rule of it lets through;
what firewalld lets through is dropped there all the same.
"""

from __future__ import annotations

import json
import typing as t

from .._core.run import find, run

# What the host's side of machines is called.
_LINKS = ("ve-", "vz-")
# Who sets up which table.
_PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}


def dropping() -> list[str]:
    """The families whose table drops what machines send."""
    if find("nft") is None:
        return []
    said = {
        family: run(["nft", "--json", "list", "table", family, "filter"], check=False)
        for family in _PROGRAMS
    }
    return [family for family, one in said.items() if one.rc == 0 and drops(one.stdout)]


def drops(text: str) -> bool:
    """Whether it drops by itself, and no rule names the links of machines; O(text): from nft."""
    objects = json.loads(text).get("nftables", [])
    chains = [one["chain"] for one in objects if "chain" in one]
    closed = any(one.get("hook") == "forward" and one.get("policy") == "drop" for one in chains)
    return closed and not any(_names_machines(one["rule"]) for one in objects if "rule" in one)


def _names_machines(rule: t.Mapping[str, t.Any]) -> bool:
    matches = [one["match"] for one in rule.get("expr", ()) if "match" in one]
    return any(str(match.get("right")).startswith(_LINKS) for match in matches)


def surprises(families: t.Iterable[str]) -> t.Iterator[str]:
    for family in families:
        lines = " ".join(
            f"{_PROGRAMS[family]} --insert FORWARD --{way}-interface {link}+ --jump ACCEPT;"
            for link in _LINKS
            for way in ("in", "out")
        )
        yield (
            f"the chain FORWARD of the table {family} filter drops what none of its rules lets"
            " through, as Docker sets it where it has turned forwarding on itself: machines reach"
            " the host and no further, whatever firewalld says. network_forwarding: true in the"
            " role network has the host forward before Docker starts, at the next boot, and Docker"
            f" leaves the chain open then. Until then: {lines} firewalld goes on deciding who may"
        )
