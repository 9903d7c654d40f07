# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._access.wanted import (
    RIGHTS,
    ROOT_SHELL,
    Grant,
    Owner,
    gone_of,
    grant_of,
    owner_of,
    wanted_of,
)
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure

ENTRY: dict[str, t.Any] = {
    "name": "lab",
    "owner": None,
    "owners": [],
    "owner_may": None,
    "owner_root_shell": False,
    "owner_shared_users": False,
}


def entry(**changes: t.Any) -> dict[str, t.Any]:
    return {**ENTRY, **changes}


def test_an_owner_may_do_everything_but_be_root_unless_it_is_said() -> None:
    assert grant_of("lab", ["alan"]) == Grant("lab", users=("alan",), may=RIGHTS)


def test_root_s_shell_comes_with_its_own_argument_only() -> None:
    grant = grant_of("lab", ["alan"], ["start"], root_shell=True)
    assert grant is not None and grant.may == ("start", ROOT_SHELL)
    grant = grant_of("lab", ["alan"], [], root_shell=True)
    assert grant is not None and grant.may == (ROOT_SHELL,)


def test_owners_are_told_apart_from_groups_and_named_once() -> None:
    grant = grant_of("lab", ["@staff", "bea", "alan", "bea"])
    assert grant is not None
    assert (grant.users, grant.groups) == (("alan", "bea"), ("staff",))
    assert [str(owner) for owner in grant.owners] == ["alan", "bea", "@staff"]


def test_without_owners_there_are_no_rights() -> None:
    assert grant_of("lab", []) is None
    assert wanted_of([entry()], exclusive=True).grants == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("@", "no name"),
        ("@ ", "no name"),
        ("al'an", '"\'"'),
        ('al"an', "'\"'"),
        ("*", r"'\*'"),
        ("alan\n", r"'\\n'"),
        ("al\u2028an", "u2028"),
        ("älan", "'ä'"),
        ("a/b", "'/'"),
        ("a,b", "','"),
        ("@@staff", "no group has such a name"),
        ("-alan", "no user has such a name"),
        (".alan", "no user has such a name"),
        (" alan", "no user has such a name"),
        ("alan ", "no user has such a name"),
        ("1000", "number"),
        ("@1000", "number"),
        ("root", "anyway"),
        ("@root", "anyway"),
        ("nobody", "unknown"),
        ("@nogroup", "unknown"),
    ],
)
def test_what_can_be_no_owner_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(Failure, match=says) as caught:
        owner_of(text, "machine lab")
    assert "machine lab" in caught.value.message
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(
    "name",
    ["alan", "_apt", "a.b-c", "alan@example.org", "EXAMPLE\\alan", "domain users", "a1", "x"],
)
def test_names_that_hosts_have_are_taken(name: str) -> None:
    assert owner_of(name, "x") == Owner(name)
    assert owner_of(f"@{name}", "x") == Owner(name, is_group=True)


@given(st.text(max_size=12))
def test_no_name_that_is_taken_has_anything_but_harmless_characters(text: str) -> None:
    try:
        owner = owner_of(text, "x")
    except Failure:
        return
    assert re.fullmatch(r"[A-Za-z0-9_.+@\\ -]+", owner.name)
    assert str(owner) == text


def test_what_an_owner_may_without_an_owner_is_a_mistake() -> None:
    with pytest.raises(Failure, match="names none"):
        grant_of("lab", [], ["start"])
    with pytest.raises(Failure, match="names none"):
        grant_of("lab", [], None, root_shell=True)


def test_an_owner_who_may_do_nothing_is_a_mistake() -> None:
    with pytest.raises(Failure, match="may do nothing"):
        grant_of("lab", ["alan"], [])


def test_one_owner_and_several_are_taken_together() -> None:
    wishes = wanted_of([entry(owner="alan", owners=["@staff", "bea"])], exclusive=False)
    assert wishes.grants == (Grant("lab", users=("alan", "bea"), groups=("staff",)),)
    assert (wishes.machines, wishes.exclusive) == (("lab",), False)


def test_a_machine_named_twice_is_refused() -> None:
    with pytest.raises(Failure, match="more than once"):
        wanted_of([entry(owner="alan"), entry(owner="bea")], exclusive=True)


def test_a_name_that_no_machine_can_have_is_refused() -> None:
    for wishes in (lambda: wanted_of([entry(name="-lab")], exclusive=True), gone):
        with pytest.raises(Failure, match="hyphen"):
            wishes()


def gone() -> None:
    gone_of([entry(name="-lab")])


def test_who_says_that_users_may_be_the_host_s_is_remembered() -> None:
    wishes = wanted_of([entry(owner="alan", owner_shared_users=True)], exclusive=True)
    assert wishes.shared == {"lab"}


def test_rights_go_from_the_machines_that_are_named_or_from_all() -> None:
    some = gone_of([entry(owner="whoever he was")])
    assert (some.grants, some.machines, some.exclusive) == ((), ("lab",), False)
    assert gone_of([]).exclusive
