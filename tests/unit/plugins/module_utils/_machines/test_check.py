# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    STOPPED,
    host_with,
    verbs,
)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("web", "started", image="trixi", declared=True), "Did you mean trixie"),
        (Wanted("web", "started", declared=True), "none is named to clone it from"),
        (Wanted("bookwor", "started"), "Did you mean bookworm"),
        (Wanted("other", "started"), "a machine of this name runs in session-1.scope"),
    ],
)
def test_what_cannot_come_true_is_refused_before_anything_changes(
    wanted: Wanted, message: str
) -> None:
    other = dataclasses.replace(STOPPED, stranger="session-1.scope")
    with pytest.raises(Failure, match=message):
        plan(host_with(other=other), [Wanted("other2", "absent"), wanted])


def test_a_machine_is_not_cloned_from_one_that_is_removed_in_the_same_call() -> None:
    wanted = [Wanted("old", "absent", declared=True), Wanted("new", image="old", declared=True)]
    with pytest.raises(Failure, match="new: cannot be cloned from old, which is to be absent"):
        plan(host_with(old=STOPPED), wanted)
    assert "clone new" in verbs(plan(host_with(old=STOPPED), wanted[1:]))
