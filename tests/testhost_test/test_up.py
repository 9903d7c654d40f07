# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing hosts up: what they are, and what is said where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Checkout, wait_for

IN_NAMESPACE = ("unshare", "--mount", "--propagation", "private", "sh", "-c")


def boot(checkout: Checkout, name: str) -> str:
    """What is another one after another boot."""
    return checkout.ssh(name, "cat /etc/machine-id; stat -c %Y /proc/1")


@pytest.mark.parametrize(("distribution", "version"), [("debian12", "252"), ("debian13", "257")])
def test_a_host_is_a_whole_system(shared: Checkout, distribution: str, version: str) -> None:
    name = "a" if distribution == "debian13" else "old"
    shared.run("up", name, "--distribution", distribution)

    answers = shared.ssh(
        name,
        "systemctl is-system-running; firewall-cmd --state; stat -f -c %T /var/lib/machines;"
        "systemctl --version | awk 'NR==1 {print $2}'; hostname; readlink /etc/resolv.conf",
    ).splitlines()

    assert answers == [
        *("running", "running", "btrfs", version, name),
        "../run/systemd/resolve/stub-resolv.conf",
    ]


def test_up_leaves_a_host_alone_that_runs(shared: Checkout) -> None:
    inventory = (shared.build / "hosts" / "a" / "inventory.yml").read_text()
    was = boot(shared, "a")

    assert shared.run("up", "a") == inventory
    assert boot(shared, "a") == was


def test_a_host_that_runs_another_distribution_is_not_replaced(shared: Checkout) -> None:
    was = boot(shared, "a")
    said = shared.refused("up", "a", "--distribution", "debian12")
    assert "a runs debian13, not debian12" in said
    assert boot(shared, "a") == was


def test_hosts_reach_each_other_and_the_web_server(shared: Checkout) -> None:
    shared.run("up", "old", "--distribution", "debian12")
    (shared.build / "www" / "hello").write_text("hello\n")
    port = json.loads((shared.build / "www.json").read_text())["port"]
    address = f"198.18.0.{shared.slot('old') * 4 + 2}"
    gateway = f"198.18.0.{shared.slot('a') * 4 + 1}"

    assert "1 received" in shared.ssh("a", f"ping -c 1 -W 5 {address}")
    assert shared.ssh("a", f"curl -sf http://{gateway}:{port}/hello") == "hello\n"


def test_a_host_comes_back_from_its_own_reboot(shared: Checkout) -> None:
    shared.ssh("a", "touch /var/lib/kept /run/lost")
    shared.start("ssh", "a", "systemctl reboot").communicate(timeout=60)

    wait_for(lambda: _answers(shared, "a", "test -e /var/lib/kept -a ! -e /run/lost"))


def test_without_root_the_error_says_so(checkout: Checkout) -> None:
    around = ("setpriv", "--reuid", "65534", "--clear-groups")
    assert "need root" in checkout.refused("up", "a", around=around)


def test_without_links_the_error_says_so(checkout: Checkout) -> None:
    around = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    assert "makes no veth links" in checkout.refused("up", "a", around=around)


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ("grep -v btrfs /proc/filesystems > {0}; mount --bind {0} /proc/filesystems", "no btrfs"),
        (
            "grep -v cgroup2 /proc/filesystems > {0}; mount --bind {0} /proc/filesystems",
            "no cgroup2",
        ),
        (
            "mount -t tmpfs none /dev; mknod /dev/null c 1 3; mknod /dev/urandom c 1 9",
            "modprobe loop",
        ),
        ("umount -R -l /sys/fs/cgroup", "no cgroup2 is mounted"),
    ],
)
def test_what_the_kernel_lacks_is_named(
    checkout: Checkout, tmp_path: Path, hidden: str, said: str
) -> None:
    script = f'{hidden.format(tmp_path / "shown")}; exec "$@"'
    assert said in checkout.refused("up", "a", around=(*IN_NAMESPACE, script, "sh"))
    assert checkout.traces() == {}


def _answers(checkout: Checkout, name: str, command: str) -> bool:
    process = checkout.start("ssh", name, command)
    process.communicate(timeout=60)
    return process.returncode == 0
