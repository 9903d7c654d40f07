# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On a machine whose PID 1 is systemd, which a test host is one of, hosts work as well."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import CACHE, REPOSITORY, Checkout

TOOL = "TESTHOST_CACHE=/var/tmp/cache python3 /root/tests/testhost"

LEFT = """
systemctl list-units --all --plain --no-legend 'nspawn-machined-test-*'
losetup --list --noheadings
nft list tables | grep nspawn_machined || true
ip -brief link | grep nmt || true
find /sys/fs/cgroup -name 'nspawn-machined-test-*'
findmnt --noheadings --output TARGET | grep /root/build || true
ls -d /run/nspawn-machined-test 2>/dev/null || true
firewall-cmd --zone=trusted --list-interfaces | grep . || true
"""


def put(checkout: Checkout, name: str, source: Path, files: list[str], target: str) -> None:
    """Copy files of a folder into a host; holes stay holes."""
    config = str(checkout.build / "hosts" / name / "ssh_config")
    with subprocess.Popen(
        ["tar", "-C", str(source), "--sparse", "-cf", "-", *files], stdout=subprocess.PIPE
    ) as packed:
        subprocess.run(
            ["ssh", "-F", config, name, f"mkdir -p {target} && tar -C {target} -xf -"],
            stdin=packed.stdout,
            check=True,
        )
    assert packed.returncode == 0


@pytest.fixture
def machine(checkout: Checkout) -> Checkout:
    """A checkout with the host "a", where the tool and its cache lie ready."""
    checkout.run("up", "a")
    trees = [Path(line).name for line in checkout.run("cache", "debian13").splitlines()]
    put(checkout, "a", Path(CACHE), trees, "/var/tmp/cache")
    put(checkout, "a", REPOSITORY, ["tests/testhost"], "/root")
    return checkout


def test_a_host_boots_in_a_service_and_leaves_nothing(machine: Checkout) -> None:
    before = machine.ssh("a", LEFT)
    machine.ssh("a", f"{TOOL} up b")
    assert machine.ssh("a", f"{TOOL} ssh b systemctl is-system-running").strip() == "running"
    assert machine.ssh("a", f"{TOOL} ssh b ping -c 1 -W 5 198.18.0.1 | grep -c ' 0% packet loss'")
    assert "nspawn-machined-test-" in machine.ssh("a", LEFT)

    machine.ssh("a", f"{TOOL} down b")

    assert machine.ssh("a", LEFT) == before


def test_nothing_is_left_there_after_a_kill(machine: Checkout) -> None:
    before = machine.ssh("a", LEFT)
    machine.ssh("a", f"{TOOL} up b")
    # Processes of other names: the host runs systemd-nspawn for its machines too.
    machine.ssh("a", "kill -9 $(pgrep -f '[s]ystemd-nspawn.*--machine=b')")

    machine.ssh("a", f"{TOOL} down b")

    assert machine.ssh("a", LEFT) == before
