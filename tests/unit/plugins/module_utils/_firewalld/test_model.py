# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    POLICY,
    ZONE,
    coalesced,
    forward_fields,
    forward_text,
    joined,
    longest_name,
    parse_version,
    port_problem,
    same,
    without,
)

ports = st.builds(
    lambda first, more, protocol: (
        f"{first}-{first + more}/{protocol}" if more else f"{first}/{protocol}"
    ),
    st.integers(1, 40),
    st.integers(0, 10),
    st.sampled_from(["tcp", "udp"]),
)
port_lists = st.lists(ports, max_size=6).map(tuple)


def numbers(items: tuple[str, ...]) -> set[tuple[int, str]]:
    found = set()
    for item in items:
        span, protocol = item.split("/")
        first, _dash, last = span.partition("-")
        found |= {(port, protocol) for port in range(int(first), int(last or first) + 1)}
    return found


# --- ports ----------------------------------------------------------------------------------


def test_overlapping_ranges_become_one_as_in_firewalld() -> None:
    assert coalesced(["80/tcp", "70-85/tcp", "80/udp"]) == ("70-85/tcp", "80/udp")


def test_ranges_that_only_touch_stay_two_as_in_firewalld() -> None:
    assert coalesced(["1-5/tcp", "6-8/tcp"]) == ("1-5/tcp", "6-8/tcp")


@given(port_lists, port_lists)
def test_ports_together_are_the_ports_of_both(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert numbers(joined("ports", one, other)) == numbers(one) | numbers(other)


@given(port_lists, port_lists)
def test_ports_taken_away_are_gone_and_no_others(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert numbers(without("ports", one, other)) == numbers(one) - numbers(other)


@given(port_lists)
def test_joining_what_is_there_changes_nothing(one: tuple[str, ...]) -> None:
    assert same("ports", joined("ports", one, one), one)


def test_a_port_named_by_its_service_in_an_old_file_is_kept() -> None:
    assert coalesced(["http/tcp", "80/tcp"]) == ("80/tcp", "http/tcp")


@pytest.mark.parametrize(
    ("port", "word"),
    [
        ("80", "PORT/PROTOCOL"),
        ("http/tcp", "PORT/PROTOCOL"),
        ("80/icmp", "tcp, udp"),
        ("70000/tcp", "65535"),
        ("90-80/tcp", "lower"),
        ("80-80/tcp", "lower"),
        ("80/tcp ", "PORT/PROTOCOL"),
        ("-1/tcp", "PORT/PROTOCOL"),
    ],
)
def test_a_wrong_port_is_explained(port: str, word: str) -> None:
    assert word in (port_problem(port) or "")


@pytest.mark.parametrize("port", ["0/tcp", "80/tcp", "1-65535/udp", "5/sctp", "5/dccp"])
def test_a_right_port_is_accepted(port: str) -> None:
    assert port_problem(port) is None


def test_a_forwarded_port_with_an_ipv6_address_survives_its_text() -> None:
    fields = ("80", "tcp", "8080", "2001:db8::1")
    assert forward_fields(forward_text(*fields)) == fields


# --- sources --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.0/24", "192.0.2.0/255.255.255.0"),
        ("2001:db8::/32", "2001:0db8::/32"),
        ("00:11:22:aa:bb:cc", "00:11:22:AA:BB:CC"),
        ("192.0.2.1", "192.0.2.1/32"),
    ],
)
def test_two_spellings_of_a_source_are_the_same(one: str, other: str) -> None:
    assert same("sources", (one,), (other,))


def test_sets_that_differ_in_case_are_different() -> None:
    assert not same("sources", ("ipset:a",), ("ipset:A",))


def test_what_is_there_keeps_its_spelling() -> None:
    assert joined("sources", ("192.0.2.1",), ("192.0.2.1/32",)) == ("192.0.2.1",)


# --- names and versions ---------------------------------------------------------------------


def test_names_are_short_before_2_4() -> None:
    assert (longest_name(ZONE, (1, 3, 3)), longest_name(POLICY, (2, 3, 1))) == (17, 18)
    assert longest_name(ZONE, (2, 4)) > 17


def test_a_version_with_a_suffix_is_read() -> None:
    assert parse_version("2.3.1-1~rc2") == (2, 3, 1)


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(Failure, match="unknown"):
        parse_version("unknown")
