# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the kernel drops answers for machines, as they come in by another way than it would send.

Private to the collection. With rp_filter at 1 a packet of IPv4 is dropped, without a word, unless
the host would send to its sender by the link that it came in by. With one way out that is always
so; with a second uplink or a VPN it is not.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .._core import files
from .._core.run import find, run
from . import routing

STRICT, LOOSE = 1, 2


@dataclasses.dataclass(frozen=True)
class Seen:
    """By which links a host sends to the world, and how strictly each takes packets in."""

    ways: frozenset[str] = frozenset()
    modes: t.Mapping[str, int] = dataclasses.field(default_factory=dict)


def snapshot() -> Seen:
    if find("ip") is None:
        return Seen()
    said = run(["ip", "-json", "-4", "route", "show", "table", "all"], check=False)
    ways = ways_of(said.stdout) if said.rc == 0 else frozenset()
    of_all = _mode(routing.ALL)
    # The kernel takes the greater of the two.
    return Seen(ways, {link: max(of_all, _mode(link)) for link in ways})


def ways_of(text: str) -> frozenset[str]:
    """The links of default routes, in any table, as C(ip) tells of them."""
    defaults = [one for one in json.loads(text or "[]") if one.get("dst") == "default"]
    hops = [hop for one in defaults for hop in (one, *one.get("nexthops", ()))]
    return frozenset(hop["dev"] for hop in hops if "dev" in hop)


def _mode(link: str) -> int:
    try:
        text = files.read(os.path.join(routing.PROC, "ipv4/conf", link, "rp_filter"))
    except OSError:
        return 0  # a link that has just gone
    return int(text) if text and text.strip().isdigit() else 0


def surprises(seen: Seen) -> t.Iterator[str]:
    """What a user would look for in the firewall, and in vain."""
    strict = sorted(link for link, mode in seen.modes.items() if mode == STRICT)
    if len(seen.ways) > 1 and strict:
        settings = " ".join(f"net.ipv4.conf.{_key(link)}.rp_filter={LOOSE}" for link in strict)
        yield (
            f"the host has several ways out ({', '.join(sorted(seen.ways))}), and rp_filter is"
            f" {STRICT} for {', '.join(strict)}: what comes in there from somebody whom the host"
            " would send to by another of them is dropped, and so are answers for machines. If"
            f" answers may come by another way: sysctl --write {settings}, and the same in a file"
            " of /etc/sysctl.d for the next boots"
        )


def _key(link: str) -> str:
    """A link's name within a key of sysctl, where dots part: C(eth0.5) is C(eth0/5)."""
    return link.replace(".", "/")
