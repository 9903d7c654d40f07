# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import patience
from ansible_collections.nspawn.machined.plugins.module_utils._core.patience import (
    GivenUp,
    Stop,
    patiently,
)
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure


def test_what_is_done_in_time_is_returned() -> None:
    assert patiently(lambda _stop: 7, 5, "counting") == 7


def test_an_error_of_the_work_is_the_callers() -> None:
    def work(_stop: Stop) -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        patiently(work, 5, "looking")


def test_work_that_is_given_up_can_clear_away_what_it_made() -> None:
    cleared = []

    def work(stop: Stop) -> None:
        try:
            while True:
                time.sleep(0.01)
                stop.check()
        finally:
            cleared.append(True)

    with pytest.raises(GivenUp, match=r"a\\x1bb: not done within 0.1 s") as caught:
        patiently(work, 0.1, "a\x1bb")
    assert cleared == [True]
    assert isinstance(caught.value, Failure)


def test_work_that_does_not_listen_is_left_behind_with_what_it_returns_late() -> None:
    go_on = threading.Event()
    dropped = threading.Event()
    began = time.monotonic()
    with pytest.raises(GivenUp):
        patiently(
            lambda _stop: go_on.wait(30), 0.1, "x", grace=0.1, late=lambda _result: dropped.set()
        )
    assert time.monotonic() - began < 5
    go_on.set()
    assert dropped.wait(5)


def test_a_deadline_is_for_all_of_it_together() -> None:
    deadline = patience.Deadline(0.05, "all of it")
    deadline.check()
    time.sleep(0.06)
    assert deadline.left() == 0
    with pytest.raises(GivenUp, match=r"all of it: not done within 0\.05 s"):
        deadline.check()
