# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test network: addresses, the machine's side of each link, and the way out.

Every host has a slot: a number, from which follow its /30 out of the range that is set aside for
such tests (RFC 2544), and the name of the machine's end of its link. That name is not ve-*, so
that neither networkd nor firewalld of a real machine takes it for a machine's.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import time
import typing as t
from collections.abc import Iterable, Sequence
from pathlib import Path

from .run import HostError, output, run

RANGE = ipaddress.IPv4Network("198.18.0.0/15")
SLOTS = 1024
TABLE = "nspawn_machined_test"
PREFIX = "nmt"
INSIDE = "host0"

RULES = f"""
table ip {TABLE} {{
    set hosts {{ type ipv4_addr; }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr @hosts oifname != "{PREFIX}*" masquerade
    }}
    chain forward {{
        type filter hook forward priority mangle; policy accept;
        ip saddr @hosts tcp flags syn tcp option maxseg size set rt mtu
        ip daddr @hosts tcp flags syn tcp option maxseg size set rt mtu
    }}
}}
"""


class Link(t.NamedTuple):
    """The two ends of a slot's link."""

    slot: int

    @property
    def interface(self) -> str:
        return f"{PREFIX}{self.slot}"

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network((int(RANGE.network_address) + 4 * self.slot, 30))

    @property
    def gateway(self) -> str:
        return str(self.network[1])

    @property
    def address(self) -> str:
        return str(self.network[2])


def free(
    taken: Iterable[int], present: Iterable[ipaddress.IPv4Network], interfaces: Iterable[str]
) -> Link:
    """The first slot that nobody holds and whose network the machine does not know yet.

    The second matters in a test host: its own uplink is of the same range.
    """
    used, known, names = set(taken), list(present), set(interfaces)
    for slot in range(SLOTS):
        link = Link(slot)
        if slot in used or link.interface in names:
            continue
        if not any(link.network.overlaps(network) for network in known):
            return link
    raise HostError(f"all {SLOTS} addresses of test hosts are taken; take some hosts down")


def present() -> list[ipaddress.IPv4Network]:
    """The networks on this machine's interfaces."""
    return [
        ipaddress.IPv4Network((address["local"], address["prefixlen"]), strict=False)
        for interface in json.loads(output(["ip", "-json", "-4", "address", "show"]))
        for address in interface.get("addr_info", [])
    ]


def interfaces() -> list[str]:
    return [path.name for path in Path("/sys/class/net").iterdir()]


def name_servers(resolv_confs: Sequence[str]) -> list[str]:
    """The servers of the first resolv.conf that names one which others can reach too."""
    for text in resolv_confs:
        servers = [
            words[1]
            for words in (line.split() for line in text.splitlines())
            if len(words) > 1
            and words[0] == "nameserver"
            and not words[1].startswith(("127.", "::1"))
        ]
        if servers:
            return sorted(servers, key=lambda server: ":" in server)
    return []


def machine_name_servers() -> list[str]:
    paths = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
    return name_servers([path.read_text() for path in paths if path.exists()])


def settings_inside(link: Link, servers: Sequence[str]) -> str:
    """The .network file of a host's uplink."""
    return (
        f"[Match]\nName={INSIDE}\n\n[Network]\nAddress={link.address}/{link.network.prefixlen}\n"
        f"Gateway={link.gateway}\n" + "".join(f"DNS={server}\n" for server in servers)
    )


def attach(link: Link, made_by: subprocess.Popen[bytes]) -> None:
    """Give the machine's end of a link its address, as soon as systemd-nspawn has made it."""
    while link.interface not in interfaces():
        if made_by.poll() is not None:
            raise HostError(f"systemd-nspawn ended before it made the interface {link.interface}")
        time.sleep(0.01)
    cidr = f"{link.gateway}/{link.network.prefixlen}"
    run(["ip", "address", "replace", cidr, "dev", link.interface])
    run(["ip", "link", "set", link.interface, "up"])


def open_way_out(link: Link) -> None:
    """Let a host reach the world, by this project's own table."""
    if run(["nft", "list", "table", "ip", TABLE], check=False).returncode:
        run(["nft", "-f", "-"], stdin=RULES)
    run(["nft", "add", "element", "ip", TABLE, "hosts", f"{{ {link.address} }}"])
    if _firewalld_runs():
        # For this run of firewalld only: its own configuration stays as it is.
        run(["firewall-cmd", "--quiet", "--zone=trusted", f"--add-interface={link.interface}"])


def close_way_out(link: Link) -> None:
    element = ["element", "ip", TABLE, "hosts", f"{{ {link.address} }}"]
    run(["nft", "delete", *element], check=False)
    if _firewalld_runs():
        remove = ["--zone=trusted", f"--remove-interface={link.interface}"]
        run(["firewall-cmd", "--quiet", *remove], check=False)


def remove_table() -> None:
    run(["nft", "delete", "table", "ip", TABLE], check=False)


def remove(link: Link) -> None:
    if link.interface in interfaces():
        run(["ip", "link", "delete", link.interface], check=False)


def _firewalld_runs() -> bool:
    return (
        Path("/run/firewalld").is_dir()
        and not run(["firewall-cmd", "--state"], check=False).returncode
    )
