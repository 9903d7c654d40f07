# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines that cannot boot: an error in time, with what the machine's journal said last."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.extensions.molecule.testkit import served
from ansible_collections.nspawn.machined.extensions.molecule.testkit.playbook import Run
from ansible_collections.nspawn.machined.extensions.molecule.testkit.state import (
    State,
    differences,
)

TIMEOUT = 8
# What Ansible and a machine's stop may take beyond the time that a machine has to start.
SLACK = 15


class Tried(t.NamedTuple):
    """The run, and the hosts before it and after all was taken away again."""

    run: Run
    before: dict[str, State]
    after: dict[str, State]


@pytest.fixture(scope="session")
def tried(
    play: t.Callable[..., Run],
    look: t.Callable[[], dict[str, State]],
    web_files: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tried:
    """Starts a machine without an init, and one whose process never says that it is ready."""
    entry = {"state": "started", "wait_timeout": TIMEOUT}
    never = {"Exec": {"Boot": False, "Parameters": ["/bin/sleep", "1000"]}}
    images: list[dict[str, t.Any]] = [
        {"name": "hollow", "url": served.HOLLOW_URL, "verify": "none"},
        {"name": "silent", "clone_from": "guest"},
    ]
    file = tmp_path_factory.mktemp("playbook") / "boot.yml"
    tasks = [
        {"name": "images", "nspawn.machined.images": {"images": images}},
        {
            "name": "without an init",
            "nspawn.machined.machines": {"machines": [{"name": "hollow", **entry}]},
            "ignore_errors": True,
        },
        {
            "name": "never ready",
            "nspawn.machined.machines": {
                "machines": [{"name": "silent", **entry, "settings": never}]
            },
            "ignore_errors": True,
        },
        {
            "name": "clean up",
            "nspawn.machined.machines": {
                "machines": [{"name": image["name"], "state": "absent"} for image in images],
                "wait_timeout": 5,
                "force": True,
            },
        },
    ]
    file.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    before = look()
    run = play(file)
    return Tried(run, before, look())


@pytest.mark.parametrize(
    ("title", "says"),
    [
        # nspawn's own last words, as they stand in the journal.
        ("without an init", r"execv.*No such file or directory|init"),
        ("never ready", rf"{TIMEOUT} s"),
    ],
)
def test_a_machine_that_cannot_boot_fails_in_time_and_says_why(
    tried: Tried, on: str, title: str, says: str
) -> None:
    (task,) = (task for task in tried.run.of(on) if task.name == title)
    assert task.outcome == "ignored"
    assert task.seconds < TIMEOUT + SLACK
    assert re.search(says, task.message), task.message


def test_a_machine_that_could_not_boot_can_be_taken_away(tried: Tried, on: str) -> None:
    assert not tried.run.error(on)
    assert differences(tried.before[on], tried.after[on]) == {}
