# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Starts and stops of units, each with a deadline. Private to the collection.

Many units at once, side by side. What becomes of each is told; nothing is raised for one of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import time
import typing as t

from .._core import run
from .._core.plan import Failure
from . import bus, journal
from . import units as systemd_units
from .units import UnitState

EXPORTS = "/run/systemd/nspawn/unix-export"

# A unit that was killed needs a moment until systemd has taken note and cleaned up.
KILL_WAIT = 15


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a unit that was started or stopped."""

    word: str
    """started, failed, timed out; stopped, killed, hangs"""
    state: UnitState
    failure: Failure | None = None
    killed: bool = False
    """It had to be killed, also when it was started again after that."""


def start(units: t.Sequence[str], timeout: float) -> dict[str, Outcome]:
    """Start units side by side and wait for all of them, at most until the deadline.

    One that fails does not keep the others from starting. One that is not ready at the deadline
    goes on starting.
    """
    if not units:
        return {}
    began = time.time()
    deadline = time.monotonic() + timeout
    before = systemd_units.snapshot(units)
    failed = [unit for unit, state in before.items() if state.active == "failed"]
    if failed:
        # Several attempts in short time would otherwise end in "start-limit-hit".
        _systemctl(["reset-failed", "--", *failed], timeout=30)
    _clear_leftovers([unit for unit, state in before.items() if not state.running])
    said = _until(["start", "--", *units], deadline)
    states = systemd_units.snapshot(units)
    return {unit: _started(state, timeout, said, began) for unit, state in states.items()}


def _started(state: UnitState, timeout: float, said: str, began: float) -> Outcome:
    if state.active in ("active", "reloading"):
        return Outcome("started", state)
    if state.active in ("activating", "deactivating") or state.job:
        word, result = "timed out", "timeout" if state.active == "activating" else ""
        message = f"{state.name} was not ready within {timeout:g} s (it is {state.active})"
    else:
        word, result = "failed", ""
        # What the journal does not have: why systemd did not even try.
        own = re.search(rf"^Failed to start {re.escape(state.name)}: (.*)", said, re.MULTILINE)
        message = f"{state.name} did not start (it is {state.active})"
        message += f": {own.group(1)}" if own else ""
    failure = journal.explain(state.name, message, since=began, result=result)
    return Outcome(word, state, failure)


def stop(units: t.Sequence[str], timeout: float, *, force: bool = True) -> dict[str, Outcome]:
    """Stop units side by side; at the deadline kill what is left, or leave it without O(force)."""
    if not units:
        return {}
    began = time.time()
    _until(["stop", "--", *units], time.monotonic() + timeout)
    states = systemd_units.snapshot(units)
    hanging = [unit for unit, state in states.items() if state.running]
    if hanging and force:
        send_signal(hanging, signal.SIGKILL)
        states.update(_buried(hanging, KILL_WAIT))
    return {
        unit: _stopped(state, unit in hanging and force, timeout, began)
        for unit, state in states.items()
    }


def _stopped(state: UnitState, killed: bool, timeout: float, began: float) -> Outcome:
    if not state.running:
        return Outcome("killed" if killed else "stopped", state, killed=killed)
    message = f"{state.name} did not stop within {timeout:g} s (it is {state.active})"
    if killed:
        message += ", not even when its processes were killed"
    return Outcome("hangs", state, journal.explain(state.name, message, since=began))


def restart(
    units: t.Sequence[str], stop_timeout: float, start_timeout: float, *, force: bool = True
) -> dict[str, Outcome]:
    """Stop and start, each with a deadline of its own; what hangs in its stop is not started."""
    stopped = stop(units, stop_timeout, force=force)
    hanging = {unit: outcome for unit, outcome in stopped.items() if outcome.failure}
    started = start([unit for unit in units if unit not in hanging], start_timeout)
    for unit, outcome in started.items():
        started[unit] = dataclasses.replace(outcome, killed=stopped[unit].killed)
    return {**hanging, **started}


def await_killed(units: t.Sequence[str], timeout: float) -> dict[str, Outcome]:
    """Wait for units that were sent SIGKILL, and clean up after them."""
    began = time.time()
    states = _buried(units, timeout)
    return {unit: _stopped(state, True, timeout, began) for unit, state in states.items()}


def _buried(units: t.Sequence[str], timeout: float) -> dict[str, UnitState]:
    """The units after their processes were killed, without what those left behind."""
    _until(["stop", "--", *units], time.monotonic() + timeout)
    # Killed is what we wanted; "failed" would be reported as somebody's fault for ever.
    _systemctl(["reset-failed", "--", *units], timeout=30)
    states = systemd_units.snapshot(units)
    _clear_leftovers([unit for unit, state in states.items() if not state.running])
    return states


def send_signal(units: t.Sequence[str], number: int) -> None:
    """To all processes of the units; one that has none just ended is no matter."""
    _systemctl(["kill", f"--signal={number}", "--", *units], timeout=30)


def _until(arguments: t.Sequence[str], deadline: float) -> str:
    """Let systemctl wait for its jobs. The jobs go on when it is ended at the deadline."""
    try:
        return _systemctl(arguments, timeout=max(0.1, deadline - time.monotonic()))
    except run.CommandFailed as error:
        if error.result.rc != -1:
            raise
        return error.result.stderr


def _systemctl(arguments: t.Sequence[str], timeout: float) -> str:
    """Whether each unit did what it was told shows in its state, not in the exit code."""
    argv = ["systemctl", "--no-ask-password", *arguments]
    return run.run(argv, timeout=timeout, check=False).stderr


def _clear_leftovers(units: t.Iterable[str]) -> None:
    """Take away what a machine that was killed leaves mounted, and what then bars its next start.

    From 254 on systemd-nspawn mounts a directory under /run for each machine, unmounts it at its
    orderly end, and refuses to start when it is there. A machine of the same name that runs
    outside its unit keeps what is its own.
    """
    for unit in units:
        found = re.fullmatch(r"systemd-nspawn@(.+)\.service", unit)
        name = found.group(1) if found else ""
        path = f"{EXPORTS}/{name}"
        if name and os.path.ismount(path) and not _is_registered(name):
            run.run(["umount", "--", path], timeout=30, check=False)
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _is_registered(machine: str) -> bool:
    try:
        bus.call(bus.MACHINED, "GetMachine", "s", machine)
    except bus.CallFailed:
        return False
    return True
