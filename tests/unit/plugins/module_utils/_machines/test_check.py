# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._access.seen import Person
from ansible_collections.nspawn.machined.plugins.module_utils._access.wanted import Grant, Owner
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._users.seen import People, Tree
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import Bound
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    STOPPED,
    host_with,
    verbs,
)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("web", "started", image="trixi", declared=True), "Did you mean trixie"),
        (Wanted("web", "started", declared=True), "none is named to clone it from"),
        (Wanted("bookwor", "started"), "Did you mean bookworm"),
        (Wanted("other", "started"), "a machine of this name runs in session-1.scope"),
    ],
)
def test_what_cannot_come_true_is_refused_before_anything_changes(
    wanted: Wanted, message: str
) -> None:
    other = dataclasses.replace(STOPPED, stranger="session-1.scope")
    with pytest.raises(Failure, match=message):
        plan(host_with(other=other), [Wanted("other2", "absent"), wanted])


def test_a_machine_is_not_cloned_from_one_that_is_removed_in_the_same_call() -> None:
    wanted = [Wanted("old", "absent", declared=True), Wanted("new", image="old", declared=True)]
    with pytest.raises(Failure, match="new: cannot be cloned from old, which is to be absent"):
        plan(host_with(old=STOPPED), wanted)
    assert "clone new" in verbs(plan(host_with(old=STOPPED), wanted[1:]))


OWNED = Wanted("web", "started", declared=True, grant=Grant("web", users=("alan",)))
SHARED = dataclasses.replace(
    OWNED, settings=nspawn_file.normalise({"Exec": {"PrivateUsers": False}})
)


def planned(wanted: Wanted, alan: Person) -> list[str]:
    host = dataclasses.replace(host_with(web=STOPPED), people={Owner("alan"): alan})
    return verbs(plan(host, [wanted]))


def test_an_owner_who_is_not_there_is_refused_before_anything_changes() -> None:
    with pytest.raises(Failure, match="web: 'alan' cannot be its owner: there is no such user"):
        planned(OWNED, Person())
    assert planned(OWNED, Person("alan", 1000))


def test_an_owner_of_a_machine_without_private_users_is_refused_unless_it_is_said() -> None:
    alan = Person("alan", 1000)
    by_command = dataclasses.replace(
        OWNED, unit="[Service]\nExecStart=\nExecStart=systemd-nspawn -b --settings=no -M %i\n"
    )
    for wanted in (SHARED, by_command):
        with pytest.raises(Failure, match="web: cannot have an owner"):
            planned(wanted, alan)
        assert planned(dataclasses.replace(wanted, shared_users=True), alan)


def test_the_rights_to_a_machine_go_first_when_it_goes() -> None:
    owned = dataclasses.replace(STOPPED, grant=Grant("web", users=("alan",)))
    gone = verbs(plan(host_with(web=owned), [Wanted("web", "absent", declared=True)]))
    assert gone[0] == "revoke web" and "remove web" in gone
    # They may be all that is left of it.
    left = dataclasses.replace(owned, image=None, identity="", settings=None)
    assert verbs(plan(host_with(web=left), [Wanted("web", "absent", declared=True)])) == [
        "revoke web"
    ]
    assert "revoke web" not in verbs(plan(host_with(web=STOPPED), [Wanted("web", "absent")]))


@pytest.mark.parametrize("private", [True, False])
def test_a_user_who_cannot_be_one_is_refused_before_anything_changes(private: bool) -> None:
    users = nspawn_file.normalise({"Exec": {"PrivateUsers": private and "pick"}})
    good = Wanted("a", image="trixie", declared=True)
    bad = Wanted("b", image="trixie", declared=True, settings=users, bound=Bound("b", ("alan",)))
    host = dataclasses.replace(host_with(), version=257)
    if private:
        assert "clone b" in verbs(plan(host, [good, bad]))
        host = dataclasses.replace(host, residents=People())
    with pytest.raises(Failure, match="machine b: 'alan' cannot be its user"):
        plan(host, [good, bad])


def test_the_image_of_a_machine_may_have_its_users_already() -> None:
    wanted = Wanted("b", image="trixie", declared=True, bound=Bound("b", ("alan",)))
    host = dataclasses.replace(host_with(), trees={"trixie": Tree(users=frozenset({"alan"}))})
    with pytest.raises(Failure, match="trixie has a user of that name already"):
        plan(host, [wanted])
