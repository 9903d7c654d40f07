# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine must have, said plainly where it has not."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from . import launch, network, places
from .run import HostError, run

# A command and the Debian package that brings it.
COMMANDS = {
    "btrfstune": "btrfs-progs",
    "ip": "iproute2",
    "losetup": "mount",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ssh": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
    "zstd": "zstd",
}
FILES = {
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "/usr/lib/apt/apt-helper": "apt",
}
NEEDED_DISK = 6 * 1024**3


def missing() -> list[str]:
    commands = {package for command, package in COMMANDS.items() if not shutil.which(command)}
    files = {package for file, package in FILES.items() if not Path(file).exists()}
    return sorted(commands | files)


def requirements(say: Callable[[str], None]) -> None:
    """Install what is missing of this tool's system packages."""
    _root()
    if not (packages := missing()):
        return
    if not shutil.which("apt-get"):
        raise HostError(f"install these, by the names of your distribution: {' '.join(packages)}")
    say(f"installing {' '.join(packages)}")
    run(["apt-get", "-q", "update"])
    run(["apt-get", "-q", "--yes", "--no-install-recommends", "install", *packages])


def machine() -> None:
    """Refuse a machine that cannot boot hosts."""
    _root()
    _file_system("cgroup2", "boot a kernel with cgroup2 (4.5 or later)")
    launch.cgroup_root()
    _file_system("btrfs", "load it (modprobe btrfs) or boot a kernel that has it")
    if not Path("/dev/loop-control").exists():
        raise HostError("there are no loop devices: run modprobe loop")
    _veth()
    places.BUILD.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(places.BUILD).free
    if free < NEEDED_DISK:
        raise HostError(
            f"{places.BUILD} has {free / 1024**3:.1f} GiB left, and a host needs "
            f"{NEEDED_DISK / 1024**3:.0f} GiB: make room, or set TESTHOST_BUILD to another disk"
        )


def _root() -> None:
    if os.geteuid():
        raise HostError("test hosts need root (mounts, cgroups, links): run it with sudo")


def _file_system(name: str, remedy: str) -> None:
    def known() -> bool:
        lines = Path("/proc/filesystems").read_text().splitlines()
        return any(line.split()[-1] == name for line in lines)

    if not known():
        with contextlib.suppress(HostError):
            run(["modprobe", name], check=False)
    if not known():
        raise HostError(f"this kernel has no {name}: {remedy}")


def _veth() -> None:
    probe = f"{network.PREFIX}p{os.getpid()}"[:15]
    made = run(["ip", "link", "add", probe, "type", "veth"], check=False)
    if made.returncode:
        raise HostError(
            f"this kernel makes no veth links ({made.stderr.strip()}): load veth, or run where "
            "network interfaces may be made"
        )
    run(["ip", "link", "delete", probe])
