# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking a host down leaves nothing, whatever happened to it before."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from pathlib import Path

import pytest

from .conftest import REGISTRY, Checkout, before, claims, loops, pid_of, wait_for

EVERYTHING = {
    "addresses let out",
    "cgroups",
    "claims",
    "folders",
    "links",
    "loop devices",
    "mounts",
    "processes",
}

GUEST = "/usr/share/nspawn-machined-test/guest.tar"

# A disk with a partition: its loop device is the whole machine's, and keeps the host's disk in use.
PARTITIONED = """
set -e
truncate -s 64M {file}
printf 'label: gpt\\nsize=8M\\n' | sfdisk -q {file}
device=$(losetup --find --show {file})
partx --add "$device"
echo "$device"
"""


class Device(t.NamedTuple):
    """A loop device that was made inside a host."""

    file: str
    partition: Path

    def is_left(self) -> bool:
        return bool(loops(self.file)) or self.partition.exists()


def attach(checkout: Checkout, directory: str) -> Device:
    """Attach a partitioned file inside a host."""
    file = f"{directory}/{checkout.build.name}.raw"
    name = Path(checkout.ssh("a", PARTITIONED.format(file=file)).strip()).name
    device = Device(file, Path("/sys/block") / name / f"{name}p1")
    assert loops(file) and device.partition.exists()
    return device


def test_down_leaves_nothing_of_a_host_with_machines_and_loop_devices(checkout: Checkout) -> None:
    checkout.run("up", "a")
    slot = checkout.slot("a")
    checkout.ssh("a", f"machinectl -q import-tar {GUEST} g && machinectl start g")
    assert checkout.ssh("a", "machinectl show g -p State").strip() == "State=running"
    devices = [attach(checkout, "/var/lib"), attach(checkout, "/dev/shm")]
    assert set(checkout.traces([slot])) == EVERYTHING

    checkout.run("down", "a")

    assert checkout.traces([slot]) == {}
    assert not any(device.is_left() for device in devices)


@pytest.mark.parametrize("victim", ["_supervise", "systemd-nspawn"])
def test_a_host_ends_with_its_supervisor_and_down_leaves_nothing(
    checkout: Checkout, victim: str
) -> None:
    checkout.run("up", "a")
    slot = checkout.slot("a")
    device = attach(checkout, "/var/lib")

    os.kill(pid_of(checkout, victim), signal.SIGKILL)
    wait_for(lambda: "stopped" in checkout.run("list"))
    checkout.run("down", "a")

    assert checkout.traces([slot]) == {}
    assert not device.is_left()


@pytest.mark.parametrize("moment", ["claimed", "copied", "started", "booting"])
def test_down_leaves_nothing_of_an_up_that_was_killed(checkout: Checkout, moment: str) -> None:
    directory = checkout.build / "hosts" / "a"
    signs = {
        "claimed": lambda: directory in claims().values(),
        "copied": (directory / "disk.img").exists,
        "started": (directory / "console.log").exists,
        "booting": (directory / "ssh_config").exists,
    }
    process = checkout.start("up", "a")
    wait_for(signs[moment], seconds=300)
    slot = checkout.slot("a")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert checkout.traces([slot])

    checkout.run("down", "a")
    time.sleep(0.5)  # whatever was about to start has started by now

    assert checkout.traces([slot]) == {}


def test_up_after_a_kill_boots_anew(checkout: Checkout) -> None:
    checkout.run("up", "a")
    os.kill(pid_of(checkout, "systemd-nspawn"), signal.SIGKILL)
    wait_for(lambda: "stopped" in checkout.run("list"))

    checkout.run("up", "a")

    assert checkout.ssh("a", "systemctl is-system-running").strip() == "running"


def test_the_machine_is_as_before_when_the_last_host_is_gone(checkout: Checkout) -> None:
    instances = Path("/proc/sys/fs/inotify/max_user_instances")
    checkout.run("up", "a")
    was = before()
    checkout.run("up", "b")
    assert int(instances.read_text()) >= 8192

    checkout.run("down", "a")
    assert int(instances.read_text()) >= 8192
    assert checkout.ssh("b", "systemctl is-system-running").strip() == "running"

    checkout.run("down", "b")
    if claims():
        pytest.skip("hosts of other checkouts run on this machine")
    assert instances.read_text().strip() == was["fs/inotify/max_user_instances"]
    assert {"hugepages", "initctl", "log", "mqueue"} & set(os.listdir("/dev")) <= set(was["dev"])
    assert not REGISTRY.exists()
