# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import Bound
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    RUNNING,
    TEMPLATE_SETTINGS,
    TEMPLATES,
    host_with,
    recorded,
)


def test_settings_of_a_machine_that_has_some_are_left_alone_when_none_are_given() -> None:
    wanted = Wanted("web", "started", declared=True)
    hers = recorded(dataclasses.replace(RUNNING, settings="# hers\n"), wanted)
    assert plan(host_with(web=hers), [wanted]) == ()


def test_a_clone_keeps_the_settings_of_its_template() -> None:
    snapshot = Snapshot({}, frozenset(TEMPLATES), TEMPLATE_SETTINGS)
    steps = plan(snapshot, [Wanted("web", "stopped", image="bookworm", declared=True)])
    (write,) = [step for step in steps if step.verb == "write"]
    assert write.arguments["text"] == TEMPLATE_SETTINGS["bookworm"]


def test_users_are_bound_and_go_with_the_wish() -> None:
    wanted = Wanted("web", "started", declared=True, bound=Bound("web", ("alan",)))
    (write,) = [step for step in plan(host_with(web=RUNNING), [wanted]) if step.verb == "write"]
    assert "BindUser=alan\n" in write.arguments["text"]
    bound = recorded(dataclasses.replace(RUNNING, settings=write.arguments["text"]), wanted)
    assert bound.record is not None and bound.record.users == ("alan",)
    nobody = dataclasses.replace(wanted, bound=Bound("web"))
    (write,) = [step for step in plan(host_with(web=bound), [nobody]) if step.verb == "write"]
    assert "BindUser" not in write.arguments["text"]
    # Those whom somebody else has written there stay.
    hers = recorded(dataclasses.replace(bound, record=None), nobody)
    assert "write" not in [step.verb for step in plan(host_with(web=hers), [nobody])]
