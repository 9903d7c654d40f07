# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._inside import leader as leaders
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.machined import Machine

WEB = Machine("web", "container", "", "systemd-nspawn@web.service", 1, "running", "/", 0)


def test_a_process_that_has_ended_says_nothing_more() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        held = os.pidfd_open(process.pid)
        directory = os.open(f"/proc/{process.pid}", os.O_RDONLY | os.O_DIRECTORY)
        leader = leaders.Leader(WEB, held, directory)
        assert leader.lives()
        assert leader.read("stat").startswith(f"{process.pid} (")
        process.kill()
        process.wait()
    assert not leader.lives(1)
    with pytest.raises(Failure, match="web has stopped meanwhile"):
        leader.read("uid_map")
    os.close(held)
    os.close(directory)


@pytest.mark.parametrize(
    ("group", "ours"),
    [
        ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", True),
        ("/machine.slice/systemd-nspawn@web.service", True),
        ("/machine.slice/systemd-nspawn@web-2.service/payload", False),
        ("/machine.slice/xsystemd-nspawn@web.service", False),
        ("/", False),
        ("", False),
    ],
)
def test_a_process_is_a_machine_s_by_its_control_group(group: str, ours: bool) -> None:
    assert leaders._is_of(WEB.unit, group) == ours


def test_a_machine_without_a_unit_has_no_process() -> None:
    assert not leaders._is_of("", "/")
