# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testhost import network
from testhost.network import Link
from testhost.run import HostError

SLOTS = st.integers(min_value=0, max_value=network.SLOTS - 1)


@given(SLOTS, SLOTS)
def test_links_of_different_slots_share_nothing(one: int, other: int) -> None:
    a, b = Link(one), Link(other)
    assert (a.network.overlaps(b.network)) is (one == other)
    assert (a.interface == b.interface) is (one == other)


@given(SLOTS)
def test_both_ends_of_a_link_are_in_the_test_network_and_its_name_fits(slot: int) -> None:
    link = Link(slot)
    assert {IPv4Network(link.gateway), IPv4Network(link.address)} <= {
        IPv4Network(address) for address in link.network.hosts()
    }
    assert link.network.subnet_of(network.RANGE)
    assert len(link.interface) <= 15


@given(st.sets(SLOTS, max_size=30), st.sets(SLOTS, max_size=30))
def test_a_free_link_is_neither_taken_nor_known_to_the_machine(
    taken: set[int], present: set[int]
) -> None:
    known = [Link(slot).network for slot in present]
    link = network.free(taken, known, [])
    assert link.slot not in taken | present


def test_inside_a_test_host_its_own_uplink_is_passed_over() -> None:
    assert network.free([], [IPv4Network("198.18.0.0/30")], ["lo", "host0"]) == Link(1)


def test_an_interface_that_somebody_else_made_is_passed_over() -> None:
    assert network.free([], [], ["lo", "nmt0"]) == Link(1)


def test_no_free_slot_says_what_to_do() -> None:
    with pytest.raises(HostError, match="take some hosts down"):
        network.free(range(network.SLOTS), [], [])


def test_a_stub_resolver_is_passed_over_for_the_servers_behind_it() -> None:
    stub = "nameserver 127.0.0.53\noptions edns0\n"
    behind = "# by systemd-resolved\nnameserver fd00::1\nnameserver 192.0.2.1\nsearch example\n"
    assert network.name_servers([stub, behind]) == ["192.0.2.1", "fd00::1"]


def test_a_machine_without_name_servers_gives_none() -> None:
    assert network.name_servers(["search example\n", "nameserver ::1\n"]) == []


def test_a_host_gets_its_address_gateway_and_every_name_server() -> None:
    lines = network.settings_inside(Link(1), ["192.0.2.1", "192.0.2.2"]).splitlines()
    assert "Name=host0" in lines
    assert [
        line for line in lines if "Address=" in line or "Gateway=" in line or "DNS=" in line
    ] == [
        "Address=198.18.0.6/30",
        "Gateway=198.18.0.5",
        "DNS=192.0.2.1",
        "DNS=192.0.2.2",
    ]
