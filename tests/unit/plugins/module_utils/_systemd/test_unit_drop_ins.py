# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import plan as core_plan
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import unit_drop_ins
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.unit_drop_ins import (
    Seen,
    Snapshot,
)

UNIT = "systemd-nspawn@web.service"
PATH = f"/etc/systemd/system/{UNIT}.d/50-nspawn-machined.conf"
LIMIT = {"Service": {"MemoryMax": "1G"}}
TEXT = "[Service]\nMemoryMax=1G\n"


def wanted(**given: t.Any) -> unit_drop_ins.Wanted:
    nothing = {"unit": None, "settings": None, "state": "present"}
    named = {"name": ["web"], "drop_in": "50-nspawn-machined"}
    return unit_drop_ins.wanted_of({**nothing, **named, **given}, 257)


def seen(text: str | None = None, unread: bool = False, **more: t.Any) -> Snapshot:
    return Snapshot((Seen(UNIT, PATH, text, **more),), unread)


def test_units_are_read_anew_once_after_all_drop_ins() -> None:
    wish = wanted(name=["web", "db"], settings=LIMIT)
    both = Snapshot((Seen(UNIT, PATH), Seen("b", "/b")))
    plan = unit_drop_ins.plan(both, wish)
    assert core_plan.describe(plan) == [f"write {PATH}", "write /b", "reload systemd"]
    assert plan[2].needs == core_plan.identities(*plan[:2])


def test_a_drop_in_that_is_right_is_left_alone() -> None:
    assert unit_drop_ins.plan(seen(TEXT), wanted(settings=LIMIT)) == ()


def test_units_are_read_anew_after_a_run_that_was_cut_off() -> None:
    plan = unit_drop_ins.plan(seen(TEXT, unread=True), wanted(settings=LIMIT))
    assert core_plan.describe(plan) == ["reload systemd"]


def test_absent_takes_only_the_one_file_away() -> None:
    plan = unit_drop_ins.plan(seen(TEXT), wanted(state="absent"))
    assert core_plan.describe(plan) == [f"remove {PATH}", "reload systemd"]
    assert unit_drop_ins.plan(seen(), wanted(state="absent")) == ()


def test_the_diff_shows_no_secret() -> None:
    settings = {"Service": {"SetCredential": "token:new"}}
    plan = unit_drop_ins.plan(
        seen("[Service]\nSetCredential=token:old\n"), wanted(settings=settings)
    )
    shown = str(core_plan.diff(plan))
    assert "token:" in shown and "new\n" not in shown and "old\n" not in shown
    assert plan[0].arguments["text"] == "[Service]\nSetCredential=token:new\n"


@pytest.mark.parametrize(
    ("snapshot", "restart"),
    [
        (seen(), []),
        (seen(running=True), [UNIT]),
        (seen(TEXT, running=True), []),
        (seen(TEXT, running=True, outdated=True), [UNIT]),
    ],
)
def test_a_restart_is_needed_where_a_unit_runs_with_an_older_drop_in(
    snapshot: Snapshot, restart: list[str]
) -> None:
    wish = wanted(settings=LIMIT)
    result = unit_drop_ins.result(snapshot, wish, unit_drop_ins.plan(snapshot, wish))
    assert result["restart_needed"] == restart


def test_machines_and_units_may_be_named_together() -> None:
    wish = wanted(unit=["systemd-nspawn@.service", UNIT], settings=LIMIT)
    assert wish.units == (UNIT, "systemd-nspawn@.service")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": [], "settings": LIMIT}, "at least one machine"),
        ({"name": ["a/b"], "settings": LIMIT}, "machine name"),
        ({"unit": ["a/b.service"], "settings": LIMIT}, "no name of a unit"),
        ({"drop_in": "../x", "settings": LIMIT}, "drop_in"),
        ({"settings": {}}, "does nothing"),
        ({"settings": {"Service": {"MemoryMax": None}}}, "does nothing"),
        ({"settings": LIMIT, "state": "absent"}, "whole drop-in"),
        ({"settings": {"Service": {"MemoryMax": "a"}}}, "expected a size"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, t.Any], says: str) -> None:
    with pytest.raises(Failure, match=says):
        wanted(**given)
