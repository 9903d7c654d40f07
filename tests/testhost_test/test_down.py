# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking a host down leaves nothing, whatever happened to it before."""

from __future__ import annotations

import os
import signal
import time
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


def partitioned(checkout: Checkout, file: str) -> Path:
    """Attach a partitioned file inside a host; gives the partition's place in /sys."""
    device = Path(checkout.ssh("a", PARTITIONED.format(file=file)).strip())
    partition = Path("/sys/block") / device.name / f"{device.name}p1"
    assert partition.exists()
    return partition


def test_down_leaves_nothing_of_a_host_with_a_machine_in_it(checkout: Checkout) -> None:
    checkout.run("up", "a")
    slot = checkout.slot("a")
    checkout.ssh("a", f"machinectl -q import-tar {GUEST} g && machinectl start g")
    assert checkout.ssh("a", "machinectl show g -p State").strip() == "State=running"
    assert set(checkout.traces([slot])) == EVERYTHING

    checkout.run("down", "a")

    assert checkout.traces([slot]) == {}


@pytest.mark.parametrize("where", ["/var/lib", "/dev/shm"])
def test_down_leaves_no_loop_device_that_was_made_inside(checkout: Checkout, where: str) -> None:
    checkout.run("up", "a")
    file = f"{where}/{checkout.build.name}.raw"
    partition = partitioned(checkout, file)

    checkout.run("down", "a")

    assert not loops(file)
    assert not partition.exists()


@pytest.mark.parametrize("victim", ["_supervise", "systemd-nspawn"])
def test_down_leaves_nothing_after_a_kill(checkout: Checkout, victim: str) -> None:
    checkout.run("up", "a")
    slot = checkout.slot("a")
    file = f"/var/lib/{checkout.build.name}.raw"
    partition = partitioned(checkout, file)

    os.kill(pid_of(checkout, victim), signal.SIGKILL)
    checkout.run("down", "a")

    assert checkout.traces([slot]) == {}
    assert not loops(file)
    assert not partition.exists()


@pytest.mark.parametrize("moment", ["claimed", "copied", "started", "booting"])
def test_down_leaves_nothing_of_an_up_that_was_killed(checkout: Checkout, moment: str) -> None:
    directory = checkout.build / "hosts" / "a"
    signs = {
        "claimed": lambda: directory in claims().values(),
        "copied": lambda: (directory / "disk.img").exists(),
        "started": lambda: (directory / "console.log").exists(),
        "booting": lambda: (directory / "ssh_config").exists(),
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
