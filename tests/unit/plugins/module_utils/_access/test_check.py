# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._access.check import check
from ansible_collections.nspawn.machined.plugins.module_utils._access.private_users import Facts
from ansible_collections.nspawn.machined.plugins.module_utils._access.seen import (
    Machine,
    Person,
    Polkit,
    Snapshot,
)
from ansible_collections.nspawn.machined.plugins.module_utils._access.wanted import (
    Grant,
    Owner,
    Wanted,
)
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure

LAB = Grant("lab", users=("alan",))
WEB = Grant("web", groups=("staff",))
ALAN, STAFF = Owner("alan"), Owner("staff", is_group=True)
JAVASCRIPT = Polkit("js", "126")
ALAN_IS_THERE, STAFF_IS_THERE = Person("alan", 1000), Person("staff")
PRIVATE = Machine(there=True)
SHARED = Machine(there=True, facts=Facts(settings="[Exec]\nPrivateUsers=no\n"))


def seen(
    polkit: Polkit = JAVASCRIPT,
    alan: Person = ALAN_IS_THERE,
    staff: Person = STAFF_IS_THERE,
    machine: Machine = PRIVATE,
) -> Snapshot:
    people = {ALAN: alan, STAFF: staff}
    return Snapshot(polkit=polkit, people=people, machines={"lab": machine, "web": machine})


def wanted(*grants: Grant, shared: frozenset[str] = frozenset()) -> Wanted:
    return Wanted(grants, tuple(grant.machine for grant in grants), shared=shared)


def test_owners_who_are_there_are_taken() -> None:
    check(seen(), wanted(LAB, WEB))


def test_a_host_without_polkit_is_told_of_unless_it_is_still_to_come() -> None:
    without = seen(Polkit(fault="the name is not activatable"))
    with pytest.raises(Failure, match=r"polkit does not answer.*the name is not activatable"):
        check(without, wanted(LAB))
    check(without, wanted(LAB), installing=True)


def test_a_polkit_without_javascript_is_told_of() -> None:
    old = seen(Polkit("local", "0.105"))
    for installing in (False, True):
        with pytest.raises(Failure, match=r"0\.105.*only \.pkla files.*0\.106 or later"):
            check(old, wanted(LAB), installing=installing)


def test_no_polkit_is_needed_where_nobody_shall_have_rights() -> None:
    check(seen(Polkit()), wanted())


@pytest.mark.parametrize(
    ("person", "says"),
    [
        (Person(), "no such user on this host; make it first"),
        (Person(other=True), "a group; write @alan"),
        (Person("toor", 0), "another name of root"),
        (Person("Alan", 1000), "calls that user Alan"),
    ],
)
def test_an_owner_who_is_not_there_under_that_name_is_refused(person: Person, says: str) -> None:
    with pytest.raises(Failure, match=says) as caught:
        check(seen(alan=person), wanted(LAB))
    assert "machine lab: 'alan'" in caught.value.message


@pytest.mark.parametrize(
    ("group", "says"),
    [
        (Person(), "no such group on this host; make it first"),
        (Person(other=True), "a user; write staff"),
        (Person("Staff"), "calls that group Staff"),
    ],
)
def test_a_group_that_is_not_there_under_that_name_is_refused(group: Person, says: str) -> None:
    with pytest.raises(Failure, match=says):
        check(seen(staff=group), wanted(WEB))


def test_a_machine_whose_root_is_the_host_s_has_no_owner_unless_it_is_said() -> None:
    with pytest.raises(Failure, match=r"machine lab: .*PrivateUsers=no.*owner_shared_users"):
        check(seen(machine=SHARED), wanted(LAB))
    with pytest.raises(Failure, match="machine web"):
        check(seen(machine=SHARED), wanted(LAB, WEB, shared=frozenset({"lab"})))
    check(seen(machine=SHARED), wanted(LAB, WEB, shared=frozenset({"lab", "web"})))
