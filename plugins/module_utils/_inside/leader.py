# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The first process of a machine, held so that no other can take its place.

Private to the collection. A process number is given anew when its process has ended, also between
the moment in which machined tells it and the one in which it is used.
"""

from __future__ import annotations

import contextlib
import os
import select
import typing as t

from .._core import beneath
from .._core.lines import lines_of
from .._core.plan import Failure
from .._systemd import machined

# Far more than the kernel's limit of mounts makes of mountinfo.
_LIMIT = 64 * 1024 * 1024
_CONTROL_GROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


class Leader:
    """The first process of a machine that ran when it was found."""

    def __init__(self, machine: machined.Machine, process: int, directory: int) -> None:
        self.machine = machine
        self._process = process
        self._directory = directory

    def lives(self, wait: float = 0) -> bool:
        """Whether it has not ended, nor does within so many seconds."""
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return not poll.poll(wait * 1000)

    def read(self, name: str) -> str:
        """What the kernel says of it; never of another process that has got its number."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            with open(descriptor, encoding="utf-8", errors="surrogateescape") as stream:
                text = stream.read(_LIMIT)
        except (FileNotFoundError, ProcessLookupError):
            raise stopped(self.machine.name) from None
        if len(text) == _LIMIT:
            raise Failure(f"{self.machine.name}: {name} of its first process has no end")
        return text

    def kill(self, unit: str) -> bool:
        """Kill a unit of the machine without its help; tell whether that could be done.

        A machine that is paused, or whose own systemd hangs, would not do it for us.
        """
        for line in lines_of(self.read("cgroup")):
            group = line.partition("::")[2]
            if not _is_of(self.machine.unit, group):
                continue
            for root in _CONTROL_GROUPS:
                path = f"{root}{os.path.dirname(group)}/system.slice/{unit}/cgroup.kill"
                with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as stream:
                    stream.write("1")
                    stream.flush()
                    return True
        return False


@contextlib.contextmanager
def held(name: str) -> t.Iterator[Leader]:
    """The first process of a machine that runs; an error when it does not."""
    machine = running(name)
    with contextlib.ExitStack() as stack:
        try:
            process = os.pidfd_open(machine.leader)
            stack.callback(os.close, process)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            directory = os.open(f"/proc/{machine.leader}", flags)
            stack.callback(os.close, directory)
        except (FileNotFoundError, ProcessLookupError):
            raise stopped(name) from None
        leader = Leader(machine, process, directory)
        if not is_leader(machine) or not leader.lives():
            raise stopped(name)
        yield leader


def root(name: str, *, deadline: float = beneath.DEADLINE) -> beneath.Root:
    """The root of a machine that runs, below which nothing leads out; an error when it does not."""
    machine = running(name)
    found = beneath.machine(machine.leader, lambda: is_leader(machine), deadline=deadline)
    if found is None:
        raise stopped(name)
    found.name = name
    return found


def running(name: str) -> machined.Machine:
    machined.check_name(name)
    found = machined.machines([name]).get(name)
    if found is not None and found.leader > 0:
        return found
    there = ", ".join(sorted(machined.registered())) or "none"
    raise Failure(f"{name} does not run; machines that do: {there}")


def is_leader(machine: machined.Machine) -> bool:
    """Whether the process of that number is the machine's first now.

    machined may not have noticed yet that it has ended; the process's control group knows whose
    it is, and no machine can leave its own.
    """
    try:
        with open(f"/proc/{machine.leader}/cgroup", encoding="utf-8") as stream:
            groups = [line.rstrip("\n").split(":", 2)[-1] for line in stream]
    except (FileNotFoundError, ProcessLookupError):
        return False
    if not any(_is_of(machine.unit, group) for group in groups):
        return False
    now = machined.machines([machine.name]).get(machine.name)
    return now is not None and now.leader == machine.leader


def _is_of(unit: str, group: str) -> bool:
    return bool(unit) and unit in group.split("/")


def stopped(name: str) -> Failure:
    return Failure(f"{name} has stopped meanwhile. Start it, and run this again")
