# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a piece of work costs: time, and on the host processor time, processes and memory."""

from __future__ import annotations

import dataclasses
import time
import typing as t
from collections.abc import Callable

from .host import Host

# Processes and threads take their numbers from one counter, machines' own included. Processor
# time is that of the whole test host, with all that happens inside its machines.
COUNTERS = """
echo $$
sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat
rm -f /run/bench-memory
"""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One measurement."""

    way: str
    case: str
    count: int
    wall: float
    """Seconds, on the controller's clock."""
    cpu: float
    """Seconds of processor time on the host."""
    processes: int
    memory: int | None
    """Peak resident memory of the module, in KiB; nothing where there is none."""

    def as_dict(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


def measured(host: Host, way: str, case: str, count: int, work: Callable[[Host], object]) -> Sample:
    pid, usage = _counters(host)
    started = time.monotonic()
    work(host)
    wall = time.monotonic() - started
    memory = host.shell("cat /run/bench-memory 2>/dev/null || true").split()
    pid_after, usage_after = _counters(host)
    return Sample(
        way,
        case,
        count,
        wall,
        (usage_after - usage) / 1e6,
        pid_after - pid,
        max(map(int, memory)) if memory else None,
    )


def _counters(host: Host) -> tuple[int, int]:
    pid, usage = host.shell(COUNTERS).split()
    return int(pid), int(usage)
