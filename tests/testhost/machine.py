# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts share of this machine: slots, and the few settings that are the whole kernel's.

All of it lies in one folder in /run. It is made by the first host, of whatever checkout, and goes
with the last, when the settings are put back as they were found.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import typing as t
from pathlib import Path

from . import network, places
from .network import Link
from .run import HostError

# 14 machines is where a host stops with the kernel's default of 128 inotify instances, and from
# inside a host it cannot be raised.
SYSCTLS = {"fs/inotify/max_user_instances": 8192, "net/ipv4/ip_forward": 1}

SLOTS = places.REGISTRY / "slots"
BEFORE = places.REGISTRY / "before.json"
LOCK = places.REGISTRY / "lock"

# What systemd in a host adds to the /dev that it shares with the machine.
DEV = Path("/dev")
DEV_LINKS = {"log": "/run/systemd/journal/dev-log", "initctl": "/run/initctl"}
DEV_DIRECTORIES = ("hugepages", "mqueue")


def claim(host: places.Host) -> Link:
    """Take a slot for a host; the first one also prepares the machine."""
    with places.locked(LOCK):
        mine = [slot for slot, owner in _claims().items() if owner == host.directory]
        if mine:
            link = Link(mine[0])
        else:
            link = network.free(_claims(), network.present(), network.interfaces())
        _remember_before()
        SLOTS.mkdir(exist_ok=True)
        (SLOTS / str(link.slot)).write_text(str(host.directory))
        for name, least in SYSCTLS.items():
            _raise(Path("/proc/sys") / name, least)
        network.open_way_out(link)
    return link


def release(host: places.Host) -> None:
    """Give back whatever slots a host has; the last one also puts the machine back."""
    if not places.REGISTRY.is_dir():
        return
    with places.locked(LOCK):
        for slot, owner in _claims().items():
            if owner == host.directory:
                network.remove(Link(slot))
                network.close_way_out(Link(slot))
                (SLOTS / str(slot)).unlink()
        if not _claims():
            network.remove_table()
            _put_back()
            shutil.rmtree(places.REGISTRY)


def link_of(host: places.Host) -> Link | None:
    return next((Link(slot) for slot, owner in _claims().items() if owner == host.directory), None)


def _claims() -> dict[int, Path]:
    """Who holds which slot."""
    if not SLOTS.is_dir():
        return {}
    return {int(entry.name): Path(entry.read_text()) for entry in SLOTS.iterdir()}


def _remember_before() -> None:
    if BEFORE.exists():
        return
    before: dict[str, t.Any] = {
        name: (Path("/proc/sys") / name).read_text().strip() for name in SYSCTLS
    }
    before["dev"] = sorted(os.listdir(DEV))
    partial = BEFORE.with_suffix(".partial")
    partial.write_text(json.dumps(before))
    partial.rename(BEFORE)


def _raise(path: Path, least: int) -> None:
    found = int(path.read_text())
    if found >= least:
        return
    try:
        path.write_text(str(least))
    except OSError as exc:
        raise HostError(
            f"{path} is {found}, hosts need {least}, and it cannot be set here ({exc.strerror}): "
            "set it outside of this container"
        ) from exc


def _put_back() -> None:
    if not BEFORE.exists():
        return
    before = json.loads(BEFORE.read_text())
    for path in (Path("/proc/sys") / name for name in SYSCTLS):
        was = before[str(path.relative_to("/proc/sys"))]
        if path.read_text().strip() != was:
            path.write_text(was)
    for name in {*DEV_LINKS, *DEV_DIRECTORIES} - set(before["dev"]):
        path = DEV / name
        if path.is_symlink() and str(path.readlink()) == DEV_LINKS.get(name):
            path.unlink()
        elif path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()
