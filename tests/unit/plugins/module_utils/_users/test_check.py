# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._access.private_users import Facts
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.seen import (
    Snapshot as Nsswitch,
)
from ansible_collections.nspawn.machined.plugins.module_utils._users.check import (
    check,
    check_private,
    check_tree,
    concerns,
    warning,
)
from ansible_collections.nspawn.machined.plugins.module_utils._users.seen import (
    Group,
    Home,
    People,
    Person,
    Tree,
)
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import Bound, Rules

HOME = Home("/home/alan", "/home/alan", is_directory=True, uid=1000)
ALAN = Person("alan", 1000, "alan", "/bin/zsh", HOME)
BOUND = Bound("web", ("alan",))
TREE = Tree(nsswitch=Nsswitch(libraries=frozenset({"systemd"})), shells=frozenset({"/bin/zsh"}))


def with_shell(path: str) -> Bound:
    return Bound("web", ("alan",), frozenset(), path)


def people(person: Person = ALAN, **more: t.Any) -> People:
    return People({"alan": person}, roots=("/home",), **more)


def refused(person: Person, bound: Bound = BOUND, **more: t.Any) -> str:
    with pytest.raises(Failure) as caught:
        check(bound, people(person, **more), Rules(), 257)
    assert caught.value.message.startswith("machine web: 'alan' cannot be its user: ")
    return caught.value.message


def test_a_user_with_a_home_and_a_group_of_its_own_is_taken() -> None:
    check(BOUND, people(), Rules(), 257)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": None}, "there is no such user"),
        ({"name": "Alan"}, "calls that user Alan"),
        ({"uid": 0}, "another name of root"),
        ({"uid": 65534}, "everybody who is unknown"),
        ({"uid": 999}, "system user"),
        ({"uid": 61184}, "system user"),
        ({"uid": 65535}, "system user"),
        ({"same_uid": ("bea",)}, "bea has the same number"),
        ({"group": "users"}, "its primary group is users"),
        ({"group": None}, "one without a name"),
    ],
)
def test_a_user_is_refused_by_what_it_is(change: dict[str, t.Any], says: str) -> None:
    assert says in refused(dataclasses.replace(ALAN, **change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"path": "", "real": ""}, "it has no home"),
        ({"real": ""}, "does not exist"),
        ({"real": "/"}, "is not below /home"),
        ({"real": "/home"}, "is not below /home"),
        ({"real": "/homes/alan"}, "is not below /home"),
        ({"real": "/etc"}, "which is /etc, is not below"),
        ({"is_directory": False}, "is no folder"),
        ({"uid": 0}, "belongs to user 0"),
        ({"uid": 1001}, "belongs to user 1001"),
        ({"shared_with": ("bea",)}, "also the home of bea"),
        ({"replaceable": "/home/open"}, "others than root may write to /home/open"),
    ],
)
def test_a_home_is_refused_by_where_it_leads(change: dict[str, t.Any], says: str) -> None:
    assert says in refused(dataclasses.replace(ALAN, home=dataclasses.replace(HOME, **change)))


@given(
    st.builds(
        Home,
        path=st.text(max_size=8),
        real=st.sampled_from(["", "/", "/etc", "/home", "/home/alan", "/home/alan/x", "/homework"]),
        is_directory=st.booleans(),
        uid=st.sampled_from([None, 0, 1000, 1001]),
        replaceable=st.sampled_from(["", "/home/x"]),
        shared_with=st.sampled_from([(), ("bea",)]),
    )
)
def test_whatever_is_written_in_a_passwd_file_only_own_folders_are_given_away(home: Home) -> None:
    good = (
        home.path != ""
        and home.real in ("/home/alan", "/home/alan/x")
        and home.is_directory
        and home.uid == 1000
        and not home.replaceable
        and not home.shared_with
    )
    try:
        check(BOUND, people(dataclasses.replace(ALAN, home=home)), Rules(), 257)
        assert good
    except Failure:
        assert not good


def test_a_system_user_can_be_meant_but_never_root() -> None:
    service = dataclasses.replace(ALAN, uid=999, home=dataclasses.replace(HOME, uid=999))
    allowing = dataclasses.replace(BOUND, allow_system=True)
    check(allowing, people(service), Rules(), 257)
    assert "root" in refused(dataclasses.replace(ALAN, uid=0), allowing)
    assert "system user" in refused(ALAN, first_user=2000)


def test_two_users_of_one_number_are_refused() -> None:
    bea = dataclasses.replace(ALAN, name="bea", group="bea")
    both = People({"alan": ALAN, "bea": bea}, roots=("/home",))
    with pytest.raises(Failure, match="alan has the same number 1000"):
        check(Bound("web", ("alan", "bea")), both, Rules(), 257)


def test_a_private_group_may_still_be_on_its_way() -> None:
    person = dataclasses.replace(ALAN, group="users")
    check(BOUND, people(person), Rules(), 257, making=True)
    own = people(person, groups={"alan": Group(1000, ("alan",))})
    check(BOUND, own, Rules(), 257, making=True)
    for group in (Group(7, ("alan", "bea")), Group(7, (), ("bea",))):
        with pytest.raises(Failure, match="not its own: bea is in it"):
            check(BOUND, people(person, groups={"alan": group}), Rules(), 257, making=True)
    remote = dataclasses.replace(person, is_local=False)
    with pytest.raises(Failure, match="not in /etc/passwd"):
        check(BOUND, people(remote), Rules(), 257, making=True)


# --- one number ---------------------------------------------------------------------------------

OWN = dataclasses.replace(ALAN, gid=1000, home=dataclasses.replace(HOME, gid=1000))
WITHOUT = dataclasses.replace(
    OWN, group="users", gid=100, home=dataclasses.replace(OWN.home, gid=100)
)


@pytest.mark.parametrize(
    ("person", "more", "making", "says"),
    [
        (dataclasses.replace(OWN, gid=5900), {}, False, "its group alan has the number 5900"),
        (
            dataclasses.replace(OWN, gid=5900),
            {"numbers": {1000: "bea"}},
            True,
            "groupmod --gid 1000 alan; today bea has that",
        ),
        (WITHOUT, {"groups": {"alan": Group(5900)}}, True, "its group alan has the number 5900"),
        (WITHOUT, {"numbers": {1000: "bea"}}, True, "which is that of the group bea"),
        (
            dataclasses.replace(OWN, home=dataclasses.replace(HOME, gid=33)),
            {},
            False,
            "'/home/alan' belongs to group 33",
        ),
        (
            dataclasses.replace(WITHOUT, home=dataclasses.replace(HOME, gid=33)),
            {},
            True,
            "'/home/alan' belongs to group 33",
        ),
    ],
)
def test_a_home_that_could_not_be_written_to_inside_is_refused_from_258_on(
    person: Person, more: dict[str, t.Any], making: bool, says: str
) -> None:
    found = people(person, **more)
    check(BOUND, found, Rules(), 257, making=making)
    with pytest.raises(Failure) as caught:
        check(BOUND, found, Rules(), 258, making=making)
    assert says in caught.value.message and "from 258 on" in caught.value.message


def test_user_group_and_home_of_one_number_are_taken_by_every_systemd() -> None:
    for version in (252, 257, 258, 262):
        check(BOUND, people(OWN, numbers={1000: "alan"}), Rules(), version)
        check(BOUND, people(WITHOUT, numbers={100: "users"}), Rules(), version, making=True)
        there = people(WITHOUT, groups={"alan": Group(1000)}, numbers={1000: "alan"})
        check(BOUND, there, Rules(), version, making=True)


def test_whom_a_file_names_undeclared_is_spoken_of_when_it_would_be_refused() -> None:
    found = People({"alan": OWN, "bea": dataclasses.replace(OWN, name="bea")}, roots=("/home",))
    (said,) = concerns(Bound("web", ("grace",)), ("grace", "alan", "bea"), found, Rules(), 262)
    assert said.startswith("machine web: 'bea' cannot be its user: its primary group is alan")
    assert "is not declared here" in said
    (said,) = concerns(Bound("web"), ("nosuch",), found, Rules(), 252)
    assert "there is no such user" in said


# --- the machine ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "bound", "version", "says"),
    [
        (dataclasses.replace(TREE, users=frozenset({"alan"})), BOUND, 257, "a user of that name"),
        (dataclasses.replace(TREE, groups=frozenset({"alan"})), BOUND, 257, "a group of that name"),
        (Tree(), BOUND, 257, "would be unknown in it"),
        (TREE, with_shell("/bin/fish"), 258, "has no program /bin/fish"),
        (TREE, with_shell("/bin/zsh"), 257, "needs systemd 258"),
        (TREE, with_shell("yes"), 257, "/bin/zsh needs systemd 258"),
    ],
)
def test_an_image_can_have_reasons_against_a_user(
    tree: Tree, bound: Bound, version: int, says: str
) -> None:
    with pytest.raises(Failure, match=f"machine web: .*{says}"):
        check_tree(bound, tree, "trixie", people(), version)


def test_an_image_without_reasons_takes_users_with_their_shells() -> None:
    check_tree(BOUND, TREE, "trixie", people(), 252)
    for shell in ("yes", "/bin/zsh"):
        check_tree(with_shell(shell), TREE, "trixie", people(), 258)


def test_the_hosts_users_are_none_of_a_machine_that_shares_them() -> None:
    shared = Facts(settings="[Exec]\nPrivateUsers=no\n")
    with pytest.raises(Failure, match="its users are the host's"):
        check_private(BOUND, shared, 257)
    check_private(BOUND, shared, 258)
    check_private(BOUND, Facts(), 252)
    check_private(Bound("web"), shared, 252)


LINGERING = Bound("web", ("alan",), frozenset({"alan"}))


@pytest.mark.parametrize(
    ("bound", "tree", "says"),
    [
        (BOUND, None, "cannot be seen from outside"),
        (LINGERING, dataclasses.replace(TREE, has_manager=False), "has no systemd-logind with pam"),
        (LINGERING, dataclasses.replace(TREE, has_bus=False), "has no bus for users"),
    ],
)
def test_what_may_be_missed_inside_is_said(bound: Bound, tree: Tree | None, says: str) -> None:
    said = warning(bound, tree, "trixie")
    assert said is not None
    assert said.startswith("machine web: ") and says in said and "alan" in said


def test_nothing_is_said_of_what_nobody_asked_for() -> None:
    bare = dataclasses.replace(TREE, has_manager=False, has_bus=False)
    assert warning(BOUND, bare, "trixie") is None
    assert warning(Bound("web"), None, "trixie") is None
    assert warning(LINGERING, TREE, "trixie") is None
