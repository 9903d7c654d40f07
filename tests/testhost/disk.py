# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disks of test hosts: btrfs in sparse files, and the loop devices that lie on them."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

from .run import IN_NAMESPACES, HostError, output, run

OPTIONS = "loop,noatime,compress=zstd:1,discard=async"


def make(image: Path, size: str) -> None:
    """Make an empty file system in a sparse file."""
    run(["truncate", "--size", size, str(image)])
    run(["mkfs.btrfs", "--quiet", "--metadata", "single", "--data", "single", str(image)])


def mount(image: Path, target: Path) -> None:
    run(["mount", "-t", "btrfs", "-o", OPTIONS, "--", str(image), str(target)])


def copy(image: Path, target: Path) -> None:
    """Copy an image and give the copy an identity of its own.

    Two file systems of one UUID cannot be mounted side by side before Linux 6.7.
    """
    run(["cp", "--sparse=always", "--reflink=auto", "--", str(image), str(target)])
    run(["btrfstune", "-m", str(target)])


class Loop(t.NamedTuple):
    """A loop device and the file behind it."""

    device: str
    file: str
    behind: str  # MAJOR:MINOR of what the file lies on


def loops() -> list[Loop]:
    columns = "NAME,BACK-FILE,BACK-MAJ:MIN"
    found = output(["losetup", "--list", "--json", "--output", columns])
    return [
        Loop(entry["name"], entry["back-file"] or "", (entry["back-maj:min"] or "").strip())
        for entry in (json.loads(found)["loopdevices"] if found.strip() else [])
    ]


def detach(image: Path, devices: set[str]) -> None:
    """Detach every loop device that lies on a disk, or on one of the devices of a host.

    Loop devices are the whole machine's, and do not end with the container that made them. One
    that lies on the host's disk keeps that disk in use as well.
    """
    deadline = time.monotonic() + 10
    while True:
        present = loops()
        disks = [loop for loop in present if _file(loop) == image]
        within = [loop for loop in present if loop.behind in devices and loop not in disks]
        if disks and not within:
            devices = devices | _devices_on(disks[0].device)
            within = [loop for loop in present if loop.behind in devices and loop not in disks]
        if not disks and not within:
            return
        for loop in within or disks:
            run(["partx", "--delete", loop.device], check=False)
            run(["losetup", "--detach", loop.device], check=False)
        if time.monotonic() > deadline:
            names = ", ".join(f"{loop.device} ({loop.file})" for loop in (*within, *disks))
            raise HostError(f"{names} is still in use: look for who has it mounted")
        time.sleep(0.05)


def _file(loop: Loop) -> Path:
    return Path(loop.file.removesuffix(" (deleted)"))


def _devices_on(device: str) -> set[str]:
    """The device numbers of a file system's subvolumes, seen through a mount of our own."""
    script = 'mount -t btrfs -o subvolid=5 "$1" /mnt && find /mnt -inum 256 -printf "%D\n"'
    found = run([*IN_NAMESPACES, "sh", "-c", script, "sh", device], check=False).stdout
    return {f"{os.major(int(number))}:{os.minor(int(number))}" for number in found.split()}
