# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    Step,
    apply,
    describe,
    diff,
    identities,
    ordered,
)


def step(name: str, *needs: str, verb: str = "do") -> Step:
    return Step(verb, name, needs=frozenset(f"do {need}" for need in needs))


def test_a_step_comes_after_what_it_needs() -> None:
    plan = ordered([step("c", "b"), step("b", "a"), step("a")])
    assert describe(plan) == ["do a", "do b", "do c"]


def test_a_need_that_is_no_step_of_the_plan_is_already_there() -> None:
    (only,) = ordered([step("a", "something else")])
    assert only.needs == frozenset()


def test_steps_that_wait_for_each_other_are_an_error_of_the_planner() -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        ordered([step("a", "b"), step("b", "a")])


def test_the_same_step_twice_is_an_error_of_the_planner() -> None:
    with pytest.raises(ValueError, match="twice"):
        ordered([step("a"), step("a")])


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_any_graph_without_a_circle_is_put_in_order(edges: list[tuple[int, int]]) -> None:
    needs: dict[int, set[str]] = {number: set() for number in range(31)}
    for low, high in edges:
        if low != high:
            needs[max(low, high)].add(str(min(low, high)))
    plan = ordered(step(str(number), *needs[number]) for number in sorted(needs, reverse=True))
    seen: set[str] = set()
    for each in plan:
        assert each.needs <= seen
        seen.add(each.identity)
    assert len(plan) == 31


def test_the_diff_shows_each_subject_once_from_its_first_to_its_last_state() -> None:
    plan = (
        Step("create", "zone web", before=None, after={"target": "default"}),
        Step("change", "zone web", before={"services": []}, after={"services": ["dhcp"]}),
        Step("write", "/etc/x", before="old\n", after="new"),
    )
    zone, file = diff(plan)
    assert zone["before"] == "services: []\n"
    assert zone["after"] == 'services: ["dhcp"]\ntarget: default\n'
    assert (file["before_header"], file["before"], file["after"]) == ("/etc/x", "old\n", "new\n")


def test_what_is_removed_shows_nothing_afterwards() -> None:
    (entry,) = diff((Step("remove", "/etc/x", before="text\n", after=None),))
    assert (entry["before"], entry["after"]) == ("text\n", "")


def test_independent_steps_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=5)

    def meet(_step: Step) -> None:
        both.wait()

    outcome = apply(ordered([step("a"), step("b")]), {"do": meet})
    assert not outcome.failed and len(outcome.done) == 2


def test_after_a_failure_nothing_new_is_begun() -> None:
    def verb(each: Step) -> None:
        if each.subject == "a":
            raise Failure("no room", journal=["last line"])

    plan = ordered([step("a"), step("b", "a"), step("c", "b")])
    outcome = apply(plan, {"do": verb}, workers=1)
    failure = outcome.failure()
    assert failure is not None
    assert failure.message == "Could not do a: no room"
    assert failure.details["journal"] == ["last line"]
    assert failure.details["skipped_steps"] == ["do b", "do c"]


def test_with_keep_going_only_what_needs_the_failed_step_is_left_out() -> None:
    def verb(each: Step) -> None:
        if each.subject == "a":
            raise Failure("no")

    plan = ordered([step("a"), step("b", "a"), step("c"), step("d", "c")])
    outcome = apply(plan, {"do": verb}, keep_going=True)
    assert {each.subject for each in outcome.done} == {"c", "d"}
    assert describe(tuple(outcome.skipped)) == ["do b"]


def test_a_verb_without_a_way_to_do_it_is_noticed_before_anything_is_done() -> None:
    done: list[Step] = []
    with pytest.raises(ValueError, match="no way"):
        apply((step("a"), step("b", verb="fly")), {"do": done.append})
    assert done == []


def test_identities_name_verb_and_subject() -> None:
    assert identities(step("a"), step("b")) == {"do a", "do b"}


def test_a_diff_shows_what_it_would_do_to_the_screen_and_does_not_do_it() -> None:
    step = Step("write", "a\x1b[2J", before="one\n\ttwo\x1b[31m\n", after={"name": "x\u202ey"})
    assert diff((step,)) == [
        {
            "before_header": "a\\x1b[2J",
            "after_header": "a\\x1b[2J",
            "before": "one\n\ttwo\\x1b[31m\n",
            "after": "name: x\\u202ey\n",
        }
    ]
