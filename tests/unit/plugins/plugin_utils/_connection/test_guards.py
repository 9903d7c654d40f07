# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guards are shells here, and note what they would end."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.plugin_utils._connection import (
    entry,
    hosts,
    making,
)
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.guards import Guards
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.keeping import Keeping
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.lane import Lane


class Target:
    """A machine whose units are lines in a file."""

    def __init__(self, directory: Path) -> None:
        self.ended = directory / "ended"
        self.guards = 0

    def guard(self) -> entry.Entry:
        self.guards += 1
        script = f'echo "$1" >>{shlex.quote(str(self.ended))}'
        return entry._guard(["sh", "-c", script, "sh"])

    def units(self) -> list[str]:
        """Those that were ended, once there is one."""
        end = time.monotonic() + 5
        while not self.ended.exists() and time.monotonic() < end:
            time.sleep(0.02)
        return sorted(set(self.ended.read_text().split()))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


@pytest.fixture
def keeping(tmp_path: Path) -> t.Iterator[Keeping]:
    with subprocess.Popen(["/bin/sleep", "300"]) as process:
        yield Keeping(tmp_path, process.pid)
        process.kill()


@pytest.fixture
def guards(target: Target, keeping: Keeping) -> Guards:
    host = hosts.Host(None, None)
    way = making.Way(host, t.cast("entry.Target", target), 10.0)
    return Guards(way.guard, 10.0, keeping, "web\n")


def test_what_has_ended_by_itself_is_left_alone(
    guards: Guards, target: Target, keeping: Keeping
) -> None:
    for number in range(3):
        with guards.over(f"unit{number}"):
            pass
    assert target.guards == 1
    for kept in keeping.drop("web\n"):
        Lane(kept.descriptors, 5).finish()
    assert not target.ended.exists()


def test_what_is_interrupted_is_ended(guards: Guards, target: Target) -> None:
    with guards.over("before"):
        pass
    with pytest.raises(KeyboardInterrupt), guards.over("unit"):
        raise KeyboardInterrupt
    assert target.units() == ["unit"]


def test_whose_task_is_killed_is_ended(guards: Guards, target: Target) -> None:
    with guards.over("before"):
        pass
    pid = os.fork()
    if not pid:
        with guards.over("unit"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert target.units() == ["unit"]


def test_two_at_once_have_a_guard_each(guards: Guards, target: Target) -> None:
    with guards.over("one"):
        with pytest.raises(KeyboardInterrupt), guards.over("other"):
            raise KeyboardInterrupt
        assert target.units() == ["other"]
    assert target.guards == 2


def test_a_guard_that_was_killed_is_replaced(
    guards: Guards, target: Target, keeping: Keeping
) -> None:
    lane, process = guards._make(keeping)
    keeping.give(guards._key, lane.descriptors)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(KeyboardInterrupt), guards.over("unit"):
        raise KeyboardInterrupt
    assert target.units() == ["unit"]
    lane.close()
