# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory.answer import Found
from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory.naming import (
    filters_of,
    names_of,
)


def one(name: str, host: str = "a", state: str = "running") -> Found:
    return Found(host, name, state, {}, {})


def named(*some: Found, taken: t.Container[str] = ()) -> list[str]:
    names = names_of([found.name for found in some], some, taken)
    assert sorted(names.values()) == list(names.values())
    return list(names)


def test_a_name_that_is_there_once_is_the_name() -> None:
    assert named(one("web"), one("db", "b")) == ["web", "db"]


def test_a_name_on_two_hosts_has_its_host_behind_it() -> None:
    assert named(one("web"), one("web", "b"), one("db")) == ["web.a", "web.b", "db"]


def test_a_name_that_means_something_else_has_its_host_behind_it() -> None:
    assert named(one("web"), one("db"), taken={"web"}) == ["web.a", "db"]


def test_who_has_no_name_left_has_none() -> None:
    assert named(one("web"), taken={"web", "web.a"}) == []
    assert named(one("web.b"), one("web"), one("web", "b")) == ["web.b", "web.a"]


NAMES = st.sampled_from(["web", "db", "web.a", "web.b", "a"])


@given(
    st.lists(st.tuples(NAMES, st.sampled_from("ab")), unique=True),
    st.lists(st.sampled_from(["x", "web", "web.a"]), min_size=10, max_size=10),
    st.sets(NAMES),
)
def test_nobody_gets_a_name_that_is_taken_and_no_two_the_same(
    some: list[tuple[str, str]], wishes: list[str], taken: set[str]
) -> None:
    machines = [one(name, host) for name, host in some]
    names = names_of((wishes * 2)[: len(machines)], machines, taken)
    assert not taken & set(names)
    assert len(set(names.values())) == len(names)


def kept(filters: dict[str, t.Any], *some: Found) -> list[str]:
    return [found.name for found in some if filters_of(filters).want(found)]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["web1", "web2", "db"]),
        ({"include": "web*"}, ["web1", "web2"]),
        ({"include": ["db", "*1"]}, ["web1", "db"]),
        ({"exclude": ["web[2-9]"]}, ["web1", "db"]),
        ({"include": ["web*"], "exclude": ["*2"]}, ["web1"]),
        ({"states": "paused"}, ["db"]),
        ({"states": ["run*"], "exclude": None}, ["web1", "web2"]),
    ],
)
def test_names_and_states_are_filtered_by_patterns(
    filters: dict[str, t.Any], names: list[str]
) -> None:
    assert kept(filters, one("web1"), one("web2"), one("db", state="paused")) == names


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"includes": ["a"]}, "no 'includes'"),
        ({"include": 7}, "include is 7"),
        ({"states": ["up"]}, "no state is 'up'"),
    ],
)
def test_a_filter_that_would_filter_nothing_is_refused(
    filters: dict[str, t.Any], said: str
) -> None:
    with pytest.raises(Failure, match=said):
        filters_of(filters)
