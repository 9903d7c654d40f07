# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.name_servers import (
    check,
    chosen,
    resolved,
)

SOCKETS = "  sl  local_address rem_address   st\n"
EVERYWHERE = f"{SOCKETS}  12: 00000000:0035 00000000:0000 07 00000000:00000000\n"
STUB = f"{SOCKETS}  12: 3500007F:0035 00000000:0000 07 00000000:00000000\n"


@pytest.mark.parametrize("server", ["dns.example.org", "2001:db8::53", "1.1.1", "", "_link_local"])
def test_a_name_server_that_dhcp_cannot_hand_out_is_refused(server: str) -> None:
    with pytest.raises(Failure, match="not an IPv4 address"):
        check({"DHCPServer": {"DNS": [server]}})


@pytest.mark.parametrize("server", ["192.0.2.53", "_server_address", "fe80::1%eth0", "x"])
def test_what_is_no_ipv6_address_is_not_advertised(server: str) -> None:
    with pytest.raises(Failure, match=r"not an IPv6 address|own address"):
        check({"IPv6SendRA": {"DNS": [server]}})


@pytest.mark.parametrize(
    ("section", "server"),
    [
        ("DHCPServer", "127.0.0.53"),
        ("DHCPServer", "127.0.0.1"),
        ("DHCPServer", "127.9.9.9"),
        ("DHCPServer", "0.0.0.0"),
        ("DHCPServer", "169.254.1.1"),
        ("IPv6SendRA", "::1"),
        ("IPv6SendRA", "::"),
        ("IPv6SendRA", "fe80::1"),
    ],
)
def test_what_a_machine_would_find_itself_under_is_refused_with_what_is_right(
    section: str, server: str
) -> None:
    with pytest.raises(Failure, match="auto for what the host uses itself"):
        check(
            {section: {"DNS": ["192.0.2.53" if section == "DHCPServer" else "2001:db8::", server]}}
        )


def test_addresses_and_the_words_for_the_host_are_name_servers() -> None:
    check({"DHCPServer": {"DNS": ["192.0.2.53", "_server_address", "auto"]}})
    check({"DHCPServer": {"DNS": "192.0.2.53 192.0.2.54"}})
    check({"IPv6SendRA": {"DNS": ["2001:db8::53", "_link_local"]}, "Network": {"DNS": "x"}})


@pytest.mark.parametrize(
    ("own", "uplinks", "sockets", "servers"),
    [
        # A static file, or a network manager that writes it.
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", [], [], ["192.0.2.1", "2001:db8::1"]),
        ("search x\n#nameserver 192.0.2.9\nnameserver  192.0.2.1 \n", [], [], ["192.0.2.1"]),
        # systemd-resolved's stub: whom it asks itself.
        ("nameserver 127.0.0.53\n", ["nameserver 192.0.2.2\n", ""], [STUB], ["192.0.2.2"]),
        # NetworkManager's dnsmasq.
        ("nameserver 127.0.0.1\n", ["", "nameserver 192.0.2.3\n"], [STUB], ["192.0.2.3"]),
        # dnsmasq, unbound or named of the host for all that ask.
        ("nameserver 127.0.0.1\n", ["nameserver 192.0.2.2\n"], [EVERYWHERE], ["_server_address"]),
        ("nameserver ::1\n", [], ["", EVERYWHERE], ["_server_address"]),
        # One that machines can reach beside one that they cannot.
        ("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", [], [EVERYWHERE], ["192.0.2.1"]),
        ("nameserver fe80::1%eth0\nnameserver 192.0.2.1\n", [], [], ["192.0.2.1"]),
    ],
)
def test_auto_is_what_the_host_uses_as_far_as_machines_reach_it(
    own: str, uplinks: list[str], sockets: list[str], servers: list[str]
) -> None:
    assert chosen(own, uplinks, sockets) == servers


@pytest.mark.parametrize("own", ["", "nameserver 127.0.0.1\n", "nameserver\n", "\0\0"])
def test_where_nobody_can_be_found_it_says_so(own: str) -> None:
    with pytest.raises(Failure, match="auto: the host's name servers"):
        chosen(own, ["", "nameserver 127.0.0.53\n"], [SOCKETS, STUB])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["192.0.2.1"], {"DHCPServer": {"DNS": ["192.0.2.1"], "X": 1}}),
        (["2001:db8::1"], {"DHCPServer": {"X": 1}, "IPv6SendRA": {"DNS": ["2001:db8::1"]}}),
        (["_server_address"], {"DHCPServer": {"DNS": ["_server_address"], "X": 1}}),
    ],
)
def test_each_version_of_ip_is_told_in_its_own_place(
    found: list[str], expected: dict[str, t.Any]
) -> None:
    given: dict[str, dict[str, t.Any]] = {
        "DHCPServer": {"DNS": ["auto"], "X": 1},
        "IPv6SendRA": {"DNS": "auto"},
    }
    assert resolved(given, lambda: found) == expected


def test_servers_by_name_come_first_and_nobody_looks_who_is_not_asked_to() -> None:
    given = {"DHCPServer": {"DNS": ["192.0.2.9", "auto"]}}
    assert resolved(given, lambda: ["192.0.2.1", "192.0.2.9"]) == {
        "DHCPServer": {"DNS": ["192.0.2.9", "192.0.2.1"]}
    }

    def look() -> list[str]:
        raise AssertionError("looked")

    assert resolved({"DHCPServer": {"DNS": ["192.0.2.9"]}}, look) == {
        "DHCPServer": {"DNS": ["192.0.2.9"]}
    }
