# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import describe
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.daemons import (
    Seen,
    ends,
    plan,
)

SERVICE = "systemd-networkd.service"


def test_what_is_enabled_is_remembered_before_it_is() -> None:
    assert describe(plan(Seen(SERVICE), True, present=True)) == [
        f"remember {SERVICE}",
        f"enable {SERVICE}",
        f"start {SERVICE}",
    ]


def test_what_was_remembered_before_a_kill_is_not_remembered_again() -> None:
    assert describe(plan(Seen(SERVICE, running=True, ours=True), True, present=True)) == [
        f"enable {SERVICE}"
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


def test_nobody_who_does_not_ask_gets_a_daemon_started_or_stopped() -> None:
    for running, enabled, ours, present in itertools.product((False, True), repeat=4):
        there = Seen(SERVICE, running, enabled, ours)
        assert plan(there, False, present=present) == ()
