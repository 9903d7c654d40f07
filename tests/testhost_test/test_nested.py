# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On a machine whose PID 1 is systemd, which a test host is one of, hosts work as well."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .conftest import CACHE, REPOSITORY, Checkout

TOOL = "TESTHOST_CACHE=/var/tmp/cache python3 /root/tests/testhost"

LEFT = """
systemctl list-units --all --plain --no-legend 'nspawn-machined-test-*'
losetup --list --noheadings | grep /root/build || true
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


def test_a_host_boots_in_a_service_and_leaves_nothing(shared: Checkout) -> None:
    trees = [Path(line).name for line in shared.run("cache", "debian13").splitlines()]
    put(shared, "a", Path(CACHE), trees, "/var/tmp/cache")
    put(shared, "a", REPOSITORY, ["tests/testhost"], "/root")
    before = shared.ssh("a", LEFT)

    shared.ssh("a", f"{TOOL} up b")
    assert shared.ssh("a", f"{TOOL} ssh b systemctl is-system-running").strip() == "running"
    assert shared.ssh("a", f"{TOOL} ssh b ping -c 1 -W 5 198.18.0.1 | grep -c ' 0% packet loss'")
    assert "nspawn-machined-test-" in shared.ssh("a", LEFT)
    shared.ssh("a", f"{TOOL} down b")
    assert shared.ssh("a", LEFT) == before

    shared.ssh("a", f"{TOOL} up b")
    shared.ssh("a", "kill -9 $(pgrep -f '[s]ystemd-nspawn.*--machine=b')")
    shared.ssh("a", f"{TOOL} down b")
    assert shared.ssh("a", LEFT) == before
