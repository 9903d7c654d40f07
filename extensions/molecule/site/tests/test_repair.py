# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One thing is changed by hand: check mode finds exactly that, and the next run repairs it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import Inventory
from ansible_collections.nspawn.machined.extensions.molecule.testkit.playbook import Run
from ansible_collections.nspawn.machined.extensions.molecule.testkit.state import (
    State,
    differences,
)

SETTINGS = "/etc/systemd/nspawn/db.nspawn"


class Change(t.NamedTuple):
    """What somebody does by hand, and what of the state of the host that changes."""

    command: str
    task: str
    """A part of the name of the only task that may report a change."""
    diff: str
    """What its diff must show, and nothing else."""
    changes: tuple[str, ...]


CHANGES = {
    "a service of the zone is gone": Change(
        "firewall-cmd --permanent --zone=machined --remove-service=dhcp; "
        "firewall-cmd --zone=machined --remove-service=dhcp",
        "Set zones, policies and the zones of connections",
        "zone machined",
        ("/etc/firewalld/zones/machined.xml", "firewall's zones"),
    ),
    "a machine is stopped": Change(
        "systemctl stop systemd-nspawn@web",
        "machines",
        "web",
        ("machine web",),
    ),
    "a setting is another": Change(
        f"sed -i s/green/red/ {SETTINGS}",
        "machines",
        SETTINGS,
        (SETTINGS,),
    ),
}
# What comes and goes with a machine that runs, besides the machine.
COMPANIONS = (
    "/run/systemd/nspawn/",
    "/var/lib/machines/.#",
    "bridges",
    "links",
    "services that run",
    "unit files",
    "units of machines",
)


class Course(t.NamedTuple):
    """The hosts before, changed by hand, after check mode and after the repair; and both runs."""

    change: Change
    before: dict[str, State]
    changed: dict[str, State]
    checked: Run
    after_check: dict[str, State]
    repaired: Run
    after: dict[str, State]


@pytest.fixture(scope="session", params=CHANGES)
def course(
    request: pytest.FixtureRequest,
    inventory: Inventory,
    look: t.Callable[[], dict[str, State]],
    play: t.Callable[..., Run],
) -> Course:
    change = CHANGES[request.param]
    before = look()
    for name in inventory.names:
        inventory.host(name).check_output(change.command)
    changed = look()
    checked = play("site", "--check", "--diff")
    after_check = look()
    repaired = play("site", "--diff")
    return Course(change, before, changed, checked, after_check, repaired, look())


def different(before: State, after: State) -> tuple[str, ...]:
    """What is not as it was, without companions and the backups that firewalld itself makes."""
    found = differences(before, after)
    return tuple(
        subject
        for subject in found
        if not subject.startswith(COMPANIONS) and not subject.endswith(".xml.old")
    )


def test_the_change_by_hand_is_one(course: Course, on: str) -> None:
    assert different(course.before[on], course.changed[on]) == course.change.changes


@pytest.mark.parametrize("mode", ["checked", "repaired"])
def test_exactly_the_change_is_reported(course: Course, on: str, mode: str) -> None:
    run: Run = getattr(course, mode)
    assert run.error(on) == ""
    (task,) = run.of(on, "changed")
    assert course.change.task in task.name
    found = [diff for diff in task.result["diff"] if diff["before"] != diff["after"]]
    assert [diff["before_header"] for diff in found] == [course.change.diff]


def test_check_mode_changes_nothing(course: Course, on: str) -> None:
    assert differences(course.changed[on], course.after_check[on]) == {}


def test_exactly_the_change_is_repaired(course: Course, on: str) -> None:
    left = different(course.before[on], course.after[on])
    if "machine web" in course.change.changes:
        # It runs again, as another process.
        assert course.after[on]["machine web"].startswith("runs")
        left = tuple(subject for subject in left if subject != "machine web")
    assert left == ()
