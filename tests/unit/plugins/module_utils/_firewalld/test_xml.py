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
    changed,
    coalesced,
    defaults_of,
    forward_text,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.xml import edit, read

ZONE_FILE = """\
<?xml version="1.0" encoding="utf-8"?>
<!-- The office's own zone. -->
<zone target="%%REJECT%%" version="1.2">
  <short>Office</short>
  <!-- ssh for all -->
  <service name="ssh"/>
  <port port="80" protocol="tcp"/>
  <port port="70-85" protocol="tcp"/>
  <source address="192.0.2.0/24"/>
  <source ipset="friends"/>
  <forward/>
  <future thing="yes"/>
  <rule family="ipv4" priority="5">
    <source address="198.51.100.1" invert="True"/>
    <log prefix="x y" level="info"><limit value="3/minute"/></log>
    <reject type="icmp-admin-prohibited"/>
  </rule>
</zone>
"""

RULE = (
    'rule priority="5" family="ipv4" source NOT address="198.51.100.1" '
    'log prefix="x y" level="info" limit value="3/m" reject type="icmp-admin-prohibited"'
)


def test_a_zone_is_read_with_all_that_is_in_it() -> None:
    settings = read(ZONE, ZONE_FILE)
    assert changed(ZONE, defaults_of(ZONE), settings) == {
        "target": "REJECT",
        "short": "Office",
        "services": ("ssh",),
        "ports": ("70-85/tcp",),
        "sources": ("192.0.2.0/24", "ipset:friends"),
        "forward": True,
        "rich_rules": (RULE,),
    }


def test_a_file_without_forward_means_no_forwarding() -> None:
    assert read(ZONE, "<zone/>")["forward"] is False


def test_a_policy_is_read_with_its_zones_and_priority() -> None:
    settings = read(
        POLICY,
        '<policy priority="-5" target="REJECT"><ingress-zone name="ANY"/>'
        '<egress-zone name="HOST"/><masquerade/></policy>',
    )
    assert changed(POLICY, defaults_of(POLICY), settings) == {
        "target": "REJECT",
        "priority": -5,
        "ingress_zones": ("ANY",),
        "egress_zones": ("HOST",),
        "masquerade": True,
    }


@pytest.mark.parametrize(
    ("text", "word"), [("<zone>", "XML"), ("<policy/>", "policy"), ("", "XML")]
)
def test_what_is_no_zone_is_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        read(ZONE, text)


def test_an_edit_keeps_comments_unknown_elements_and_everything_not_asked_for() -> None:
    settings = read(ZONE, ZONE_FILE)
    text = edit(ZONE, ZONE_FILE, {**settings, "services": ("ssh", "http")})
    for kept in (
        "<!-- The office's own zone. -->",
        "<!-- ssh for all -->",
        '<future thing="yes" />',
        'version="1.2"',
        '<port port="80" protocol="tcp" />',
    ):
        assert kept in text
    assert changed(ZONE, settings, read(ZONE, text)) == {"services": ("ssh", "http")}


def test_an_edit_without_a_change_changes_nothing_in_effect() -> None:
    settings = read(ZONE, ZONE_FILE)
    assert read(ZONE, edit(ZONE, ZONE_FILE, settings)) == settings


def test_a_policy_file_always_has_its_target() -> None:
    assert '<policy target="CONTINUE"' in edit(POLICY, None, defaults_of(POLICY))


def test_a_rule_newer_than_the_collection_is_kept() -> None:
    text = "<zone><rule><quantum/><accept/></rule></zone>"
    settings = read(ZONE, text)
    edited = edit(ZONE, text, {**settings, "services": ("ssh",)})
    assert "<quantum" in edited and '"ssh"' in edited


names = st.lists(st.sampled_from(["a", "b<c", 'd"e', "ü", "f&g"]), unique=True, max_size=4)
rules = st.lists(
    st.sampled_from(
        [
            'rule service name="ssh" accept',
            'rule family="ipv6" source address="2001:db8::/32" drop limit value="3/m"',
            'rule priority="-5" log prefix="x" audit reject',
            'rule family="ipv4" forward-port port="80" protocol="tcp" to-addr="192.0.2.1"',
            "rule masquerade",
        ]
    ),
    unique=True,
    max_size=3,
)


def settings_of(kind: str) -> st.SearchStrategy[dict[str, t.Any]]:
    fields: dict[str, t.Any] = {
        "short": st.sampled_from(["", "A <short> & sweet"]),
        "description": st.sampled_from(["", "words"]),
        "services": names.map(tuple),
        "protocols": names.map(tuple),
        "icmp_blocks": names.map(tuple),
        "ports": st.lists(st.sampled_from(["80/tcp", "8-9/udp", "80-90/tcp"]), max_size=3).map(
            coalesced
        ),
        "source_ports": st.sampled_from([(), ("5/udp",)]),
        "forward_ports": st.sampled_from([(), (forward_text("80", "tcp", "", "192.0.2.1"),)]),
        "masquerade": st.booleans(),
        "rich_rules": rules.map(tuple),
    }
    if kind == ZONE:
        fields.update(
            target=st.sampled_from(["default", "ACCEPT", "DROP", "REJECT"]),
            interfaces=st.sampled_from([(), ("ve-+",), ("a", "b")]),
            sources=st.sampled_from([(), ("192.0.2.1", "ipset:x")]),
            forward=st.booleans(),
            icmp_block_inversion=st.booleans(),
            ingress_priority=st.integers(-5, 5),
            egress_priority=st.integers(-5, 5),
        )
    else:
        fields.update(
            target=st.sampled_from(["CONTINUE", "ACCEPT", "DROP", "REJECT"]),
            priority=st.sampled_from([-1, 1, 7]),
            ingress_zones=names.map(tuple),
            egress_zones=names.map(tuple),
            disable=st.booleans(),
        )
    return st.fixed_dictionaries(fields)


@given(st.text(max_size=9), st.text(max_size=9))
def test_any_text_is_refused_clearly_or_read_again(short: str, service: str) -> None:
    goal = {**defaults_of(ZONE), "short": short, "services": (service,)}
    try:
        text = edit(ZONE, None, goal)
    except Failure:
        assert not (short + service).isprintable()
    else:
        assert not changed(ZONE, goal, read(ZONE, text))


@pytest.mark.parametrize("service", ["a\0", "a\ud800", "a\ufffe", "a\x1b", "a\n"])
def test_what_xml_cannot_carry_is_refused(service: str) -> None:
    try:
        text = edit(ZONE, None, {**defaults_of(ZONE), "services": (service,)})
    except Failure:
        return
    assert read(ZONE, text)["services"] == (service,)


@pytest.mark.parametrize("kind", [ZONE, POLICY])
def test_whatever_is_written_is_read_again(kind: str) -> None:
    @given(settings_of(kind), settings_of(kind))
    def check(first: dict[str, t.Any], second: dict[str, t.Any]) -> None:
        text = edit(kind, None, first)
        assert not changed(kind, {**defaults_of(kind), **first}, read(kind, text))
        again = read(kind, edit(kind, text, second))
        assert not changed(kind, {**defaults_of(kind), **second}, again)

    check()
