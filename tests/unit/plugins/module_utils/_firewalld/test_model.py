# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    POLICY,
    ZONE,
    accumulated,
    changed,
    coalesced,
    defaults_of,
    difference,
    forward_fields,
    forward_text,
    identity,
    joined,
    longest_name,
    parse_version,
    port_problem,
    reverted,
    rule_nodes,
    rule_text,
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


# --- rich rules -----------------------------------------------------------------------------

SPELLINGS = [
    (
        "rule family=ipv4 source address=192.0.2.0/24 service name=ssh accept",
        'rule family="ipv4" source address="192.0.2.0/24" service name="ssh" accept',
    ),
    (
        "rule family=ipv4 service name=ssh source not address=192.0.2.1 drop",
        'rule family=ipv4 source  NOT address="192.0.2.1" service name="ssh" drop',
    ),
    (
        "rule priority=0 port port=80 protocol=tcp log prefix='a b' limit value=3/minute accept",
        'rule port port="80" protocol="tcp" log prefix="a b" limit value="3/m" accept',
    ),
    (
        "rule family=ipv4 destination address=192.0.2.1 invert=true drop",
        'rule family="ipv4" destination NOT address="192.0.2.1" drop',
    ),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_two_spellings_of_a_rich_rule_are_the_same(one: str, other: str) -> None:
    assert identity("rules", one) == identity("rules", other)


@pytest.mark.parametrize("rule", [rule for pair in SPELLINGS for rule in pair])
def test_a_rich_rule_survives_being_written_and_read(rule: str) -> None:
    assert rule_nodes(rule_text(rule_nodes(rule))) == rule_nodes(rule)


def test_different_limits_make_different_rules() -> None:
    assert identity("rules", "rule service name=ssh accept limit value=3/m") != identity(
        "rules", "rule service name=ssh accept limit value=3/h"
    )


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("", "begins with the word rule"),
        ("allow everything", "begins with the word rule"),
        ("rule service name=ssh", "no action"),
        ("rule source address=192.0.2.1 accept", "family"),
        ("rule family=ipv5 service name=ssh accept", "ipv5"),
        ("rule service nmae=ssh accept", "nmae"),
        ("rule service name=ssh accept drop", "both"),
        ("rule service name=ssh masquerade", "both"),
        ("rule masquerade accept", "both"),
        ("rule sevice name=ssh accept", "sevice"),
        ("rule limit value=3/m service name=ssh accept", "limit"),
        ("rule NOT service name=ssh accept", "NOT"),
        ('rule service name="ssh accept', "quotation"),
        ("rule service name= accept", "value"),
        ("rule log prefix=a=b accept", "value"),
    ],
)
def test_a_wrong_rich_rule_is_explained(rule: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        rule_nodes(rule)


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_refused_with_a_reason(text: str) -> None:
    reason = ""
    try:
        nodes = rule_nodes(text)
    except ValueError as error:
        reason = str(error)
    assert reason or rule_nodes(rule_text(nodes)) == nodes


words = st.lists(
    st.sampled_from(
        "rule family=ipv4 source address=192.0.2.1 NOT service name=ssh log limit value=3/m accept"
        " drop masquerade audit priority=5 destination port port=80 protocol=tcp".split()
    ),
    max_size=9,
)


@given(words)
def test_any_words_of_the_language_are_a_rule_or_refused(some: list[str]) -> None:
    text = " ".join(["rule", *some])
    try:
        nodes = rule_nodes(text)
    except ValueError:
        return
    assert rule_nodes(rule_text(nodes)) == nodes


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


# --- differences ----------------------------------------------------------------------------

services = st.lists(st.sampled_from("abcd"), unique=True, max_size=4).map(tuple)
zones = st.builds(
    lambda services, ports, masquerade, target: {
        **defaults_of(ZONE),
        "services": services,
        "ports": coalesced(ports),
        "masquerade": masquerade,
        "target": target,
    },
    services,
    port_lists,
    st.booleans(),
    st.sampled_from(["default", "ACCEPT", "DROP"]),
)


@given(zones, zones)
def test_a_difference_taken_back_gives_what_was(
    before: dict[str, t.Any], after: dict[str, t.Any]
) -> None:
    back = reverted(ZONE, after, difference(ZONE, before, after))
    assert changed(ZONE, before, back) == {}


@given(zones, zones, zones)
def test_what_others_added_meanwhile_stays(
    before: dict[str, t.Any], after: dict[str, t.Any], theirs: dict[str, t.Any]
) -> None:
    both = {**after, "services": joined("words", after["services"], theirs["services"])}
    back: t.Mapping[str, t.Any] = reverted(ZONE, both, difference(ZONE, before, after))
    kept = set(theirs["services"]) - (set(after["services"]) - set(before["services"]))
    assert kept <= set(back["services"])


@given(zones, zones, zones)
def test_taking_back_two_changes_at_once_gives_what_was(
    before: dict[str, t.Any], first: dict[str, t.Any], second: dict[str, t.Any]
) -> None:
    # A later difference is counted from how it was before the earlier one.
    earlier, later = difference(ZONE, before, first), difference(ZONE, before, second)
    for reached in (first, second):
        back = reverted(ZONE, reached, accumulated(ZONE, earlier, later))
        assert changed(ZONE, before, back) == {}


def test_a_scalar_that_somebody_changed_since_is_theirs() -> None:
    before = defaults_of(ZONE)
    deltas = difference(ZONE, before, {**before, "target": "ACCEPT"})
    assert reverted(ZONE, {**before, "target": "DROP"}, deltas)["target"] == "DROP"


# --- names and versions ---------------------------------------------------------------------


def test_names_are_short_before_2_4() -> None:
    assert (longest_name(ZONE, (1, 3, 3)), longest_name(POLICY, (2, 3, 1))) == (17, 18)
    assert longest_name(ZONE, (2, 4)) > 17


def test_a_version_with_a_suffix_is_read() -> None:
    assert parse_version("2.3.1-1~rc2") == (2, 3, 1)


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(Failure, match="unknown"):
        parse_version("unknown")
