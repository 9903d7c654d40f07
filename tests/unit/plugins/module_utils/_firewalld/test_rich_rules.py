# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import identity
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.rich_rules import (
    rule_nodes,
    rule_text,
)

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
