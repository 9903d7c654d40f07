# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes found by what they are: an id that was written down may be somebody else's by now."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

ALL = Path("/proc")


def arguments(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return (ALL / str(pid) / "cmdline").read_text(errors="replace").split("\0")[:-1]
    return []


def every() -> list[int]:
    return [int(entry.name) for entry in ALL.iterdir() if entry.name.isdigit()]


def matching(wanted: Sequence[str]) -> list[int]:
    """The processes of this program that were started with these arguments in a row."""
    found = []
    for pid in every():
        given = arguments(pid)
        runs = (given[at : at + len(wanted)] == list(wanted) for at in range(len(given)))
        if (
            pid != os.getpid()
            and any(Path(word).name == "testhost" for word in given)
            and any(runs)
        ):
            found.append(pid)
    return found


def devices(pids: Iterable[int]) -> set[str]:
    """The devices (MAJOR:MINOR) of everything that these processes have mounted."""
    found: set[str] = set()
    seen: set[str] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            namespace = os.readlink(ALL / str(pid) / "ns/mnt")
            if namespace not in seen:
                seen.add(namespace)
                lines = (ALL / str(pid) / "mountinfo").read_text().splitlines()
                found.update(line.split()[2] for line in lines)
    return found
