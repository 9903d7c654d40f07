# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, describe
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._users.plan import Snapshot, plan
from ansible_collections.nspawn.machined.plugins.module_utils._users.record import Record
from ansible_collections.nspawn.machined.plugins.module_utils._users.seen import (
    Group,
    Home,
    People,
    Person,
    Tree,
)
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import (
    Bound,
    Guest,
    Rules,
    Wanted,
)

HOME = Home("/home/alan", "/home/alan", is_directory=True, uid=1000)
ALAN = Person("alan", 1000, "alan", "/bin/bash", HOME)
CARL = dataclasses.replace(ALAN, group="users")
WEB = Guest(Bound("web", ("alan",)), image="trixie")
MAKING = Rules(make_groups=True)


def seen(person: Person = ALAN, **more: t.Any) -> Snapshot:
    found = People({"alan": person}, roots=("/home",), numbers={100: "users"})
    return dataclasses.replace(Snapshot(found, version=257), **more)


def test_who_has_a_private_group_needs_nothing() -> None:
    assert plan(seen(), Wanted((WEB,))) == ()


def test_who_has_none_gets_one_of_its_number_and_stays_where_it_was() -> None:
    (step,) = plan(seen(CARL), Wanted((WEB,), MAKING))
    assert (step.identity, step.before, step.after) == (
        "group alan",
        {"group": "users"},
        {"group": "alan"},
    )
    assert step.arguments == {"record": Record("users", made=True, joined=True), "gid": 1000}


def test_a_number_that_is_taken_is_left_and_a_group_that_is_there_used() -> None:
    taken = dataclasses.replace(seen(CARL).people, numbers={1000: "bea"})
    (step,) = plan(seen(people=taken), Wanted((WEB,), MAKING))
    assert "gid" not in step.arguments
    there = dataclasses.replace(seen(CARL).people, groups={"alan": Group(1000)})
    (step,) = plan(seen(people=there), Wanted((WEB,), MAKING))
    assert step.arguments["record"] == Record("users", made=False, joined=True)


def test_a_number_that_is_taken_is_refused_where_it_must_be_the_users() -> None:
    taken = dataclasses.replace(seen(CARL).people, numbers={1000: "bea"})
    with pytest.raises(Failure, match="which is that of the group bea"):
        plan(seen(people=taken, version=258), Wanted((WEB,), MAKING))


def test_all_machines_are_looked_at_before_anybody_gets_a_group() -> None:
    bad = Guest(Bound("db", ("nosuch",)))
    with pytest.raises(Failure, match="machine db: 'nosuch'"):
        plan(seen(CARL), Wanted((WEB, bad), MAKING))
    gone = dataclasses.replace(bad, leaving=True)
    assert describe(plan(seen(CARL), Wanted((WEB, gone), MAKING))) == ["group alan"]


def test_the_image_is_looked_at_until_the_machine_has_its_own() -> None:
    trees = {"trixie": Tree(users=frozenset({"alan"}))}
    with pytest.raises(Failure, match="trixie has a user"):
        plan(seen(trees=trees), Wanted((WEB,)))
    assert plan(seen(trees={**trees, "web": None}), Wanted((WEB,))) == ()


def test_settings_that_share_users_count_declared_or_there() -> None:
    shared = nspawn_file.normalise({"Exec": {"PrivateUsers": False}})
    with pytest.raises(Failure, match="its users are the host's"):
        plan(seen(), Wanted((dataclasses.replace(WEB, settings=shared),)))
    there = {"web": "[Exec]\nPrivateUsers=no\n"}
    with pytest.raises(Failure, match="its users are the host's"):
        plan(seen(settings=there), Wanted((WEB,)))
    own = nspawn_file.normalise({"Network": {"Zone": "web"}})
    assert plan(seen(settings=there), Wanted((dataclasses.replace(WEB, settings=own),))) == ()


def test_groups_go_back_to_what_they_were_unless_somebody_has_changed_them_since() -> None:
    record = Record("users", made=True, joined=True)
    records = {"alan": record, "bea": record}
    steps = plan(seen(records=records), Wanted(absent=True))
    assert describe(steps) == ["ungroup alan", "ungroup bea"]
    assert [step.arguments["changed"] for step in steps] == [False, True]
    assert plan(seen(), Wanted(absent=True)) == ()
    assert describe(plan(seen(records=records), Wanted((WEB,), absent=True))) == ["ungroup alan"]
