# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking a host away, from what is there and not from what was remembered.

A host may have been killed at any moment, or its supervisor, or the command that made it. So
nothing here asks how it came to be: its cgroup, its disk's loop devices, its slot and its folder
are looked for, and what is found is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from . import disk, launch, machine, places, processes, web
from .run import HostError, run

DEADLINE = 30.0


def alive(host: places.Host) -> bool:
    """Whether anything runs in a host or around it."""
    return any(_populated(group) for group in _groups(host)) or bool(_supervisors(host))


def _populated(group: Path) -> bool:
    with contextlib.suppress(OSError):
        return "populated 1" in (group / "cgroup.events").read_text()
    return False


def _supervisors(host: places.Host) -> list[int]:
    return processes.matching(("_supervise", str(host.directory)))


def remove(host: places.Host) -> None:
    """Remove a host and everything that came with it."""
    _end_ssh(host)
    inside = [pid for group in _groups(host) for pid in _pids(group)]
    ours = processes.devices(inside) - processes.devices([os.getpid()])
    _kill(host)
    disk.detach(host.disk, ours)
    _remove_groups(host)
    machine.release(host)
    if host.directory.exists():
        shutil.rmtree(host.directory)
    if not places.hosts():
        web.end()


def _kill(host: places.Host) -> None:
    deadline = time.monotonic() + DEADLINE
    while alive(host):
        for group in _groups(host):
            with contextlib.suppress(OSError):
                (group / "cgroup.kill").write_text("1")
        for pid in _supervisors(host):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            left = [pid for group in _groups(host) for pid in _pids(group)]
            names = [" ".join(processes.arguments(pid)) for pid in left]
            raise HostError(
                f"{host.name} does not end; what it waits for is in /proc/PID/stack of "
                + ", ".join(f"{pid} ({name})" for pid, name in zip(left, names, strict=True))
            )
        time.sleep(0.05)


def _groups(host: places.Host) -> list[Path]:
    """The cgroups that a host may have, made by us or by systemd."""
    link = machine.link_of(host)
    if not link:
        return []
    root = launch.cgroup_root()
    paths = (root / launch.cgroup_name(link), root / "system.slice" / launch.unit(link))
    return [path for path in paths if path.is_dir()]


def _tree(group: Path) -> list[Path]:
    """A group and all below it, the lowest first; what goes away meanwhile is no error."""
    return [Path(path) for path, _names, _files in os.walk(group, topdown=False)]


def _pids(group: Path) -> list[int]:
    found: list[int] = []
    for path in _tree(group):
        with contextlib.suppress(OSError):
            found += map(int, (path / "cgroup.procs").read_text().split())
    return found


def _remove_groups(host: places.Host) -> None:
    link = machine.link_of(host)
    if link and launch.systemd_runs():
        run(["systemctl", "stop", launch.unit(link)], check=False)
        run(["systemctl", "reset-failed", launch.unit(link)], check=False)
    for group in _groups(host):
        for path in _tree(group):
            with contextlib.suppress(OSError):
                path.rmdir()


def _end_ssh(host: places.Host) -> None:
    """End the shared connections that Ansible keeps open for a minute more."""
    if not host.control.is_dir():
        return
    for socket in host.control.iterdir():
        run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", host.name], check=False)
    shutil.rmtree(host.control)
    with contextlib.suppress(OSError):
        host.control.parent.rmdir()
