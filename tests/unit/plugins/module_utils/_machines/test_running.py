# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.record import digest
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    NO_ZONE,
    RUNNING,
    STOPPED,
    ZONE,
    host_with,
    recorded,
    verbs,
)


def test_a_running_machine_is_restarted_only_when_its_settings_changed() -> None:
    wanted = Wanted("web", "started", declared=True, settings=ZONE, restart="when_needed")
    steps = plan(host_with(web=RUNNING), [wanted])
    assert steps[-1].identity == "restart web"
    assert "web.nspawn" in steps[-1].arguments["reason"]
    never = dataclasses.replace(wanted, restart="never")
    assert "restart" not in {step.verb for step in plan(host_with(web=RUNNING), [never])}


def test_settings_that_were_edited_and_put_back_need_no_restart() -> None:
    there = dataclasses.replace(RUNNING, settings="[Exec]\nNotifyReady=no\n", edited_since=True)
    wanted = Wanted("web", "started", declared=True, settings=NO_ZONE, restart="when_needed")
    text = next(s for s in plan(host_with(web=there), [wanted]) if s.verb == "write").after
    assert isinstance(text, str)
    known = dataclasses.replace(recorded(there, wanted), started_with=digest(text, None))
    assert [step.verb for step in plan(host_with(web=known), [wanted])] == ["write"]


def test_a_machine_that_was_started_before_its_files_changed_is_restarted() -> None:
    stale = dataclasses.replace(RUNNING, edited_since=True)
    wanted = Wanted("web", "started", declared=True, restart="when_needed")
    assert verbs(plan(host_with(web=recorded(stale, wanted)), [wanted])) == ["restart web"]


def test_a_machine_that_is_starting_already_is_waited_for() -> None:
    starting = dataclasses.replace(RUNNING, active="activating")
    wanted = Wanted("web", "started")
    assert verbs(plan(host_with(web=starting), [wanted])) == ["start web"]
    patient = dataclasses.replace(wanted, wait="registered")
    assert plan(host_with(web=starting), [patient]) == ()


def test_only_a_machine_that_runs_is_killed() -> None:
    steps = plan(host_with(a=RUNNING, b=STOPPED), [Wanted(name, "killed") for name in "ab"])
    assert verbs(steps) == ["kill a"]


def test_a_machine_that_hangs_in_its_shutdown_is_stopped_and_killed_like_one_that_runs() -> None:
    hanging = dataclasses.replace(RUNNING, active="deactivating")
    for state, verb in (("stopped", "stop"), ("killed", "kill")):
        assert verbs(plan(host_with(web=hanging), [Wanted("web", state)])) == [f"{verb} web"]


def test_a_machine_that_hangs_in_its_shutdown_is_stopped_before_it_is_started() -> None:
    hanging = dataclasses.replace(RUNNING, active="deactivating")
    for state in ("started", "restarted"):
        (step,) = plan(host_with(web=hanging), [Wanted("web", state, force=True)])
        assert step.identity == "restart web" and step.arguments["force"]


def test_a_pause_ends_before_what_the_machine_must_be_awake_for() -> None:
    paused = dataclasses.replace(RUNNING, frozen=True)
    assert verbs(plan(host_with(web=paused), [Wanted("web", "killed")])) == ["thaw web", "kill web"]
    harmless = Wanted("web", "killed", signal=1)
    assert verbs(plan(host_with(web=paused), [harmless])) == ["kill web"]
