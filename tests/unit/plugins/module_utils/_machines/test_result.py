# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, Outcome
from ansible_collections.nspawn.machined.plugins.module_utils._machines import result
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    RUNNING,
    STOPPED,
    host_with,
)


@pytest.mark.parametrize(
    ("seen", "wanted", "state"),
    [
        (STOPPED, Wanted("web", "started"), "started"),
        (RUNNING, Wanted("web", "restarted"), "started"),
        (RUNNING, Wanted("web", "killed"), "stopped"),
        (RUNNING, Wanted("web", "killed", signal=1), "started"),
        (RUNNING, Wanted("web", enabled=True), "started"),
        (Seen(), Wanted("web", "stopped"), "absent"),
        (Seen(), Wanted("web", "stopped", image="trixie", declared=True), "stopped"),
        (RUNNING, Wanted("web", "absent", declared=True), "absent"),
    ],
)
def test_check_mode_tells_the_state_that_a_machine_would_have(
    seen: Seen, wanted: Wanted, state: str
) -> None:
    snapshot = host_with(web=seen)
    steps = plan(snapshot, [wanted])
    told = result.tell([wanted], snapshot, Outcome(done=list(steps)), True)
    assert told["web"]["state"] == state
    assert told["web"]["changed"] == bool(steps) and not told["web"]["failed"]


def test_a_machine_that_was_left_out_says_what_and_which_other_one_is_to_blame() -> None:
    wanted = [Wanted(name, "restarted") for name in "ab"]
    snapshot = host_with(a=RUNNING, b=RUNNING)
    broken, left = plan(snapshot, wanted, rolling=1)
    outcome = Outcome(failed=[(broken, Failure("no boot"))], skipped=[left])
    told = result.tell(wanted, snapshot, outcome, True)
    assert told["a"]["msg"] == "Could not restart a: no boot"
    assert told["b"]["msg"] == "Left out: restart b. a did not come back from a restart."
    assert told["a"]["failed"] and told["b"]["failed"]


def test_of_many_failures_a_few_are_told_in_full_and_the_rest_are_named() -> None:
    told = {name: {"failed": name != "f", "msg": f"broken {name}"} for name in "abcdef"}
    said = result.summary(told).splitlines()
    assert said[0] == "5 of 6 machines failed."
    assert said[1:4] == ["a: broken a", "b: broken b", "c: broken c"]
    assert said[4].endswith("in the result: d, e")
    assert result.summary({"a": told["a"]}) == "a: broken a"
