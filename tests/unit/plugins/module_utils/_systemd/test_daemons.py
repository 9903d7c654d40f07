# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import itertools

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import describe
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.daemons import (
    Seen,
    ends,
    plan,
)

SERVICE = "systemd-networkd.service"
WAITS = "systemd-networkd-wait-online.service"
SOCKET = "systemd-networkd.socket"


CUT_OFF = Seen(SERVICE, running=True, ours=True, before=frozenset(), settled=False)


def test_what_is_enabled_is_remembered_before_it_is() -> None:
    assert describe(plan(Seen(SERVICE), True, present=True)) == [
        f"remember {SERVICE}",
        f"enable {SERVICE}",
        f"disable {WAITS}",
        f"settle {SERVICE}",
        f"start {SERVICE}",
    ]


def test_what_was_remembered_before_a_kill_is_not_remembered_again() -> None:
    assert describe(plan(CUT_OFF, True, present=True)) == [
        f"enable {SERVICE}",
        f"disable {WAITS}",
        f"settle {SERVICE}",
    ]


def test_what_runs_is_left_alone() -> None:
    there = Seen(SERVICE, running=True, enabled=True)
    assert plan(there, True, present=True) == plan(there, True, present=False) == ()


def test_what_was_enabled_here_is_taken_back_and_then_forgotten() -> None:
    back = plan(Seen(SERVICE, running=True, enabled=True, ours=True), True, present=False)
    assert describe(back) == [f"disable {SERVICE}", f"stop {SERVICE}", f"forget {SERVICE}"]
    assert ends(back)
    assert [sorted(step.needs) for step in back] == [
        [],
        [f"disable {SERVICE}"],
        [f"disable {SERVICE}", f"stop {SERVICE}"],
    ]


def test_what_would_start_it_again_is_stopped_with_it() -> None:
    for running in (True, False):
        there = Seen(SERVICE, running, ours=True, triggers=(SOCKET,))
        back = plan(there, True, present=False)
        assert describe(back) == [f"stop {SERVICE}", f"forget {SERVICE}"]
        assert back[0].arguments["triggers"] == (SOCKET,)


def test_nobody_who_does_not_ask_gets_a_daemon_started_or_stopped() -> None:
    for running, enabled, ours, present in itertools.product((False, True), repeat=4):
        there = Seen(SERVICE, running, enabled, ours)
        assert plan(there, False, present=present) == ()


def test_what_waits_for_a_boot_stays_where_it_was_before() -> None:
    there = Seen(SERVICE, along=frozenset({WAITS, SOCKET}))
    assert f"disable {WAITS}" not in describe(plan(there, True, present=True))


def test_a_run_that_was_cut_off_before_it_lets_no_boot_wait_is_made_good() -> None:
    cut_off = dataclasses.replace(CUT_OFF, enabled=True, along=frozenset({WAITS, SOCKET}))
    assert describe(plan(cut_off, True, present=True)) == [f"disable {WAITS}", f"settle {SERVICE}"]


def test_what_somebody_enables_later_stays() -> None:
    settled = dataclasses.replace(CUT_OFF, enabled=True, along=frozenset({WAITS}), settled=True)
    assert plan(settled, True, present=True) == ()
    assert plan(Seen(SERVICE, True, True, True, frozenset({WAITS})), True, present=True) == ()


def test_what_was_enabled_before_is_so_again_afterwards() -> None:
    ours = Seen(SERVICE, True, True, True, frozenset({SOCKET}), frozenset({SOCKET, WAITS}))
    assert describe(plan(ours, True, present=False)) == [
        f"disable {SERVICE}",
        f"enable {WAITS}",
        f"enable {SOCKET}",
        f"stop {SERVICE}",
        f"forget {SERVICE}",
    ]


def test_what_was_enabled_before_goes_on_and_may_start_it() -> None:
    there = Seen(SERVICE, True, True, True, before=frozenset({SOCKET}), triggers=(SOCKET, "a.path"))
    (stop,) = (step for step in plan(there, True, present=False) if step.verb == "stop")
    assert stop.arguments["triggers"] == ("a.path",)
