# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._access import rules
from ansible_collections.nspawn.machined.plugins.module_utils._access.plan import plan, warnings
from ansible_collections.nspawn.machined.plugins.module_utils._access.private_users import Facts
from ansible_collections.nspawn.machined.plugins.module_utils._access.seen import (
    Machine,
    Person,
    Polkit,
    Snapshot,
)
from ansible_collections.nspawn.machined.plugins.module_utils._access.wanted import (
    RIGHTS,
    ROOT_SHELL,
    Grant,
    Owner,
    Wanted,
)
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, describe

LAB = Grant("lab", users=("alan",))
WEB = Grant("web", groups=("staff",), may=("start",))
PEOPLE = {
    **{Owner(name): Person(name, 1000) for name in ("alan", "bea")},
    Owner("staff", is_group=True): Person("staff"),
}
PRIVATE = Machine(there=True)
SHARED = Machine(there=True, facts=Facts(settings="[Exec]\nPrivateUsers=no\n"))


def wanted(*grants: Grant, exclusive: bool = True, shared: frozenset[str] = frozenset()) -> Wanted:
    return Wanted(grants, tuple(grant.machine for grant in grants), exclusive, shared)


def seen(
    *grants: Grant,
    text: str | None = None,
    sound: bool = True,
    machine: Machine = PRIVATE,
) -> Snapshot:
    return Snapshot(
        text=rules.render(grants) if grants else text,
        sound=sound,
        polkit=Polkit("js", "126"),
        people=PEOPLE,
        machines=dict.fromkeys(("lab", "web"), machine),
    )


def granted(snapshot: Snapshot, wishes: Wanted) -> tuple[Grant, ...] | None:
    """What the file grants after the plan."""
    text = snapshot.text
    for step in plan(snapshot, wishes):
        assert step.before == text
        text = step.arguments["text"]
        assert step.after == text
    return None if text is None else rules.parse(text)


def test_rights_are_written_once() -> None:
    assert describe(plan(seen(), wanted(LAB))) == [f"write {rules.PATH}"]
    assert granted(seen(), wanted(LAB)) == (LAB,)
    assert plan(seen(LAB), wanted(LAB)) == ()


def test_whoever_is_not_named_any_more_has_no_rights_any_more() -> None:
    assert granted(seen(LAB, WEB), wanted(LAB)) == (LAB,)


def test_others_keep_their_rights_where_only_some_machines_are_meant() -> None:
    assert granted(seen(WEB), wanted(LAB, exclusive=False)) == (LAB, WEB)
    assert granted(seen(LAB, WEB), Wanted((), ("lab",), exclusive=False)) == (WEB,)


def test_the_file_goes_with_the_last_right() -> None:
    removed = [f"remove {rules.PATH}"]
    assert describe(plan(seen(LAB), Wanted())) == removed
    assert describe(plan(seen(LAB), Wanted((), ("lab",), exclusive=False))) == removed
    assert plan(seen(), Wanted()) == ()


def test_a_file_that_polkit_cannot_read_or_others_can_change_is_written_anew() -> None:
    assert describe(plan(seen(LAB, sound=False), wanted(LAB))) == [f"write {rules.PATH}"]


def test_a_file_that_was_changed_by_hand_is_written_anew_only_as_a_whole() -> None:
    strange = seen(text="polkit.addRule(function () {});\n")
    assert granted(strange, wanted(LAB)) == (LAB,)
    with pytest.raises(Failure, match="exclusive=true"):
        plan(strange, wanted(LAB, exclusive=False))


def test_what_cannot_be_is_refused_before_there_is_a_plan() -> None:
    with pytest.raises(Failure, match="cannot have an owner"):
        plan(seen(machine=SHARED), wanted(LAB))


grants = st.builds(
    Grant,
    machine=st.sampled_from(["lab", "lab2", "lab-x", "constructor"]),
    users=st.sets(st.sampled_from(["alan", "bea"]), min_size=1).map(sorted).map(tuple),
    may=st.sampled_from([RIGHTS, ("start",), (*RIGHTS, ROOT_SHELL)]),
)
tables = st.lists(grants, max_size=4, unique_by=lambda grant: grant.machine)


@given(tables, tables, st.booleans())
def test_after_a_plan_there_is_nothing_left_to_do(
    before: list[Grant], after: list[Grant], exclusive: bool
) -> None:
    wishes = wanted(*after, exclusive=exclusive)
    result = granted(seen(*before), wishes) or ()
    expected = {} if exclusive else {grant.machine: grant for grant in before}
    expected.update({grant.machine: grant for grant in after})
    assert {grant.machine: grant for grant in result} == expected
    assert plan(seen(*result), wishes) == ()


# --- told -----------------------------------------------------------------------------------


def test_rights_that_are_what_they_seem_are_no_cause_for_a_warning() -> None:
    assert warnings(seen(), wanted(LAB, WEB)) == []
    assert warnings(seen(), wanted(Grant("lab", users=("alan",), may=(ROOT_SHELL,)))) == []


def test_owners_of_a_machine_with_the_host_s_root_are_warned_of() -> None:
    accepted = frozenset({"lab"})
    (warning,) = warnings(seen(machine=SHARED), wanted(LAB, shared=accepted))
    assert "whoever becomes root in it is root of the host" in warning
    rooted = Grant("lab", users=("alan",), groups=("staff",), may=(ROOT_SHELL,))
    (warning,) = warnings(seen(machine=SHARED), wanted(rooted, shared=accepted))
    assert "alan, @staff can become root of the host at any time" in warning


def test_rights_to_a_machine_that_is_not_there_are_warned_of() -> None:
    (warning,) = warnings(seen(machine=Machine()), wanted(LAB))
    assert "not on this host yet" in warning
