# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images.patience import Deadline, Pace


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_deadline_names_what_was_not_done() -> None:
    assert 0 < Deadline(10, "it").left() <= 10
    with pytest.raises(Failure, match="pulling a was not done within 0 s"):
        Deadline(0, "pulling a").left()


def test_one_byte_now_and_then_is_too_slow_after_the_window() -> None:
    clock = Clock()
    pace = Pace(1024, 60, clock)
    for second in range(0, 60, 9):
        assert not pace.is_too_slow(), second
        with pace.waiting():
            clock.now += 9
        pace.came(1)
    assert pace.is_too_slow()


def test_a_wait_that_does_not_end_is_too_slow_as_well() -> None:
    clock = Clock()
    pace = Pace(1024, 60, clock)
    with pace.waiting():
        clock.now += 59
        assert not pace.is_too_slow()
        clock.now += 1
        assert pace.is_too_slow()


def test_time_that_nobody_waited_for_the_server_does_not_count() -> None:
    clock = Clock()
    pace = Pace(1024, 60, clock)
    for _chunk in range(100):
        with pace.waiting():
            clock.now += 0.1
        pace.came(100)
        clock.now += 600  # our own disk was full
        assert not pace.is_too_slow()


def test_what_came_fast_in_the_beginning_does_not_excuse_the_rest() -> None:
    clock = Clock()
    pace = Pace(1024, 60, clock)
    pace.came(1 << 30)
    assert not pace.is_too_slow()
    slow = []
    with pace.waiting():
        for _second in range(130):
            clock.now += 1
            slow.append(pace.is_too_slow())
    assert slow.index(True) in range(59, 62)


def test_a_least_rate_of_nothing_takes_any() -> None:
    clock = Clock()
    pace = Pace(0, 60, clock)
    with pace.waiting():
        clock.now += 10_000
        assert not pace.is_too_slow()


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(1, 20)), min_size=1))
def test_who_keeps_the_rate_is_never_too_slow(parts: list[tuple[float, int]]) -> None:
    clock = Clock()
    pace = Pace(1000, 10, clock)
    for seconds, times in parts:
        for _time in range(times):
            pace.came(int(seconds * 1000) + 1)
            with pace.waiting():
                clock.now += seconds
            assert not pace.is_too_slow()
