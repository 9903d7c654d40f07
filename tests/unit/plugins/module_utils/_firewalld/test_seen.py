# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.seen import uplinks_of

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
NOBODY = "0" * 32


def ipv6(destination: str, length: str, link: str, flags: str = "00000001") -> str:
    destination = destination.ljust(32, "0")
    return (
        f"{destination} {length} {NOBODY} 00 {NOBODY} 00000100 00000001 00000000 {flags} {link}\n"
    )


def test_who_has_a_route_is_a_way_out() -> None:
    default = "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    beside = "eth1\t006433C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    assert uplinks_of(HEAD + default + beside + default, "") == ("eth0", "eth1")
    assert uplinks_of("", "") == ()


def test_what_every_link_has_in_ipv6_is_none() -> None:
    table = (
        ipv6("fe8", "40", "eth0")
        + ipv6("ff", "08", "eth0")
        + ipv6("20010db8", "80", "eth0", "80200001")
        + ipv6("", "00", "lo", "00200200")
    )
    assert uplinks_of("", table) == ()
    assert uplinks_of("", table + ipv6("20010db8", "40", "eth2")) == ("eth2",)
