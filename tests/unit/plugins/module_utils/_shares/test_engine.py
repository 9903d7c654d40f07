# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, describe
from ansible_collections.nspawn.machined.plugins.module_utils._shares.engine import (
    Group,
    Inside,
    Outside,
    Snapshot,
    Wanted,
    parsed,
    plan,
    waiting,
    wanted_of,
)
from ansible_collections.nspawn.machined.plugins.module_utils._shares.memory import Record

SOCKET = (25, 1234)
HOST = {"/run/docker.sock": Outside(SOCKET, 104)}


def wanted(**given: t.Any) -> Wanted:
    entry = {"name": "ci", "accept_root_on_host": True, **given}
    (one,) = wanted_of([entry], present=True)
    return one


def seen(inside: t.Optional[Inside] = None, record: t.Optional[Record] = None) -> Snapshot:
    return Snapshot({"ci": inside} if inside else {}, HOST, {"ci": record} if record else {})


GONE = Wanted("ci", present=False)
DONE = Inside(
    SOCKET,
    Group("dockerx", 104, frozenset(["mary"])),
    Group("dockerx", 104),
    masked=frozenset(["docker.socket"]),
)
OURS = Record("dockerx", True, ("mary",), ("docker.socket",))


def test_from_nothing() -> None:
    steps = plan(seen(Inside(SOCKET)), [wanted(members=["mary"])])
    assert describe(steps) == ["group ci:dockerx", "members ci:dockerx", "mask ci"]
    assert steps[-1].arguments["record"] == OURS
    assert steps[0].arguments["record"] == Record("dockerx", True), "only what is begun"


def test_again_there_is_nothing_to_do() -> None:
    assert plan(seen(DONE, OURS), [wanted(members=["mary"])]) == ()


def test_check_mode_tells_of_a_machine_that_is_not_there_yet() -> None:
    steps = plan(seen(), [wanted(members=["mary"])], checking=True)
    assert describe(steps) == ["group ci:dockerx", "members ci:dockerx", "mask ci"]
    assert plan(seen(), [wanted(members=["mary"])]) == ()
    assert waiting(seen(), [wanted()]) == ["ci"]


def test_one_who_is_no_longer_named_goes_and_another_s_stays() -> None:
    there = Group("dockerx", 104, frozenset(["mary", "eve"]))
    inside = Inside(SOCKET, there, there, masked=DONE.masked)
    (step,) = plan(seen(inside, OURS), [wanted(members=["bob"])])
    assert (step.arguments["more"], step.arguments["less"]) == (["bob"], ["mary"])
    assert step.arguments["record"].members == ("bob",)


def test_a_group_that_was_there_is_not_taken_away() -> None:
    theirs = Group("dockerx", 104, frozenset(["eve"]))
    inside = Inside(SOCKET, theirs, theirs, masked=DONE.masked)
    (step,) = plan(seen(inside), [wanted(members=["mary"])])
    record = step.arguments["record"]
    assert not record.made and record.group == "dockerx"
    there = Inside(SOCKET, Group("dockerx", 104, frozenset(["eve", "mary"])))
    assert describe(plan(seen(there, record), [GONE])) == ["members ci:dockerx", "forget ci"]


def test_all_that_is_ours_is_taken_back() -> None:
    steps = plan(seen(DONE, OURS), [GONE])
    assert describe(steps) == ["ungroup ci:dockerx", "mask ci", "forget ci"]
    assert plan(seen(DONE), [GONE]) == ()


def test_what_goes_with_its_machine_is_only_forgotten() -> None:
    assert describe(plan(seen(None, OURS), [GONE])) == ["forget ci"]


def test_a_group_of_another_name_takes_its_place() -> None:
    inside = Inside(SOCKET, None, None, masked=DONE.masked)
    steps = plan(seen(inside, OURS), [wanted(group="engine", members=["mary"])])
    assert describe(steps) == ["ungroup ci:dockerx", "group ci:engine", "members ci:engine"]


def test_a_socket_that_was_made_anew_needs_a_restart() -> None:
    stale = Inside((25, 99), DONE.group, DONE.with_gid, masked=DONE.masked)
    assert describe(plan(seen(stale, OURS), [wanted(members=["mary"])])) == ["restart ci"]


@pytest.mark.parametrize(
    ("inside", "given", "says"),
    [
        (Inside(), {}, "is not shown"),
        (Inside(SOCKET, missing=frozenset(["ghost"])), {"members": ["ghost"]}, "no user ghost"),
        (Inside(SOCKET, Group("dockerx", 999)), {}, "has the number 999"),
        (Inside(SOCKET, None, Group("messagebus", 104)), {}, "which is messagebus in the machine"),
    ],
)
def test_what_cannot_be_or_lets_in_more_is_refused(inside: Inside, given: t.Any, says: str) -> None:
    with pytest.raises(Failure, match=says):
        plan(seen(inside), [wanted(**given)])


def test_a_shared_number_is_taken_when_that_is_said() -> None:
    inside = Inside(SOCKET, None, Group("messagebus", 104))
    step = plan(seen(inside), [wanted(shared_gid=True)])[0]
    assert step.verb == "group" and step.arguments["shared"]


def test_a_socket_of_root_alone_and_none_at_all_are_refused() -> None:
    snapshot = Snapshot({"ci": Inside(SOCKET)}, {"/run/docker.sock": Outside(SOCKET, 0)}, {})
    with pytest.raises(Failure, match="belongs to the group root"):
        plan(snapshot, [wanted()])
    with pytest.raises(Failure, match="there is no socket"):
        plan(Snapshot({"ci": Inside(SOCKET)}, {}, {}), [wanted()])


@pytest.mark.parametrize(
    "given",
    [
        {"accept_root_on_host": False},
        {"path": "docker.sock"},
        {"group": "a:b"},
        {"group": "-g"},
        {"members": ["a,b"]},
        {"members": ["root\n"]},
        {"mask": ["../x.socket"]},
        {"mask": ["-x.socket"]},
        {"name": "-lab"},
    ],
)
def test_words_that_mean_something_else_are_refused(given: dict[str, t.Any]) -> None:
    with pytest.raises(Failure):
        wanted(**given)


def test_a_machine_has_one_entry() -> None:
    entry = {"name": "ci", "accept_root_on_host": True}
    with pytest.raises(Failure, match="more than once"):
        wanted_of([entry, entry], present=True)


def test_podman_s_own_socket_is_what_is_in_its_way() -> None:
    assert wanted().mask == ("docker.socket",)
    assert wanted(path="/run/podman/podman.sock").mask == ("podman.socket",)
    assert wanted(mask=[]).mask == ()


# --- what a machine says --------------------------------------------------------------------


def test_answers_are_read() -> None:
    line = "dockerx:x:104:mary,eve"
    text = f"socket 25:1234\ngroup {line}\ngid {line}\nmissing bob\nmasked docker.socket\n"
    found = parsed(text, ["bob"], ["docker.socket"])
    group = Group("dockerx", 104, frozenset(["mary", "eve"]))
    assert found == Inside(SOCKET, group, group, frozenset(["bob"]), frozenset(["docker.socket"]))


@given(text=st.text())
def test_whatever_a_machine_says_is_an_answer_or_nothing(text: str) -> None:
    found = parsed(f"group {text}\n{text}", ["bob"], ["docker.socket"])
    assert found.missing <= {"bob"} and found.masked <= {"docker.socket"}
    if found.group:
        assert found.group.gid >= 0


def test_nobody_is_missing_and_nothing_masked_that_was_not_asked_for() -> None:
    found = parsed("missing root\nmasked ssh.service\n", ["bob"], ["docker.socket"])
    assert found == Inside()
