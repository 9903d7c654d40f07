# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Start and stop machines, many at once, and wait until they have booted.

Private to the collection. Each batch takes the steps of one verb and returns the failures of
those that failed.
"""

from __future__ import annotations

import concurrent.futures
import signal
import time
import typing as t

from .._core import files as core_files
from .._core.lines import lines_of
from .._core.plan import Failure, Step
from .._core.run import CommandFailed, run
from .._settings import nspawn_file
from .._systemd import jobs, journal, machined, unit_files, units
from . import record

Failures = dict[str, Exception]
"""What went wrong, by the identity of the step. A warning tells of a step that was done."""
Batch = t.Callable[[t.Sequence[Step]], Failures]


class Killed(UserWarning):
    """A machine did not stop in time, and O(force) says what is done then."""


BOOTED = frozenset({"running", "degraded"})
# A boot takes 150 ms at least, and each look costs a process in the machine.
POLL_INTERVAL = 0.2


def start(steps: t.Sequence[Step]) -> Failures:
    return _together(steps, _start)


def restart(steps: t.Sequence[Step]) -> Failures:
    return _together(steps, _restart)


def stop(steps: t.Sequence[Step]) -> Failures:
    return _together(steps, _stop)


def kill(steps: t.Sequence[Step]) -> Failures:
    return _together(steps, _kill)


def freeze(steps: t.Sequence[Step]) -> Failures:
    return _systemctl("freeze", steps)


def thaw(steps: t.Sequence[Step]) -> Failures:
    return _systemctl("thaw", steps)


def reset(steps: t.Sequence[Step]) -> Failures:
    """A unit that failed would stay in systemd's list after its machine is gone."""
    return _systemctl("reset-failed", steps)


def _systemctl(verb: str, steps: t.Sequence[Step]) -> Failures:
    run(["systemctl", verb, "--", *(step.arguments["unit"] for step in steps)])
    return {}


def _together(steps: t.Sequence[Step], act: Batch) -> Failures:
    """All at once that have the same patience, and these groups side by side."""
    groups: dict[tuple[t.Any, ...], list[Step]] = {}
    for step in steps:
        a = step.arguments
        patience = (a.get("wait"), a["timeout"], a.get("force"), a.get("signal"), a.get("whom"))
        groups.setdefault(patience, []).append(step)
    with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
        failures: Failures = {}
        for found in pool.map(act, groups.values()):
            failures.update(found)
        return failures


# --- start ----------------------------------------------------------------------------------


def _start(steps: t.Sequence[Step]) -> Failures:
    texts = {step.subject: _texts(step) for step in steps}
    wait, timeout = steps[0].arguments["wait"], steps[0].arguments["timeout"]
    deadline = time.monotonic() + timeout
    if wait == "booted":
        failures = _failures(steps, jobs.start(_units_of(steps), timeout))
    else:
        _systemctl_no_block("start", steps)
        failures = _await_registered(steps, deadline) if wait == "registered" else {}
    _remember(steps, failures, texts)
    if wait == "booted":
        failures.update(_await_booted(_left(steps, failures), texts, deadline))
    return failures


def _restart(steps: t.Sequence[Step]) -> Failures:
    first = steps[0].arguments
    if first["wait"] == "booted":
        texts = {step.subject: _texts(step) for step in steps}
        deadline = time.monotonic() + 2 * first["timeout"]
        timeout = first["timeout"]
        outcomes = jobs.restart(_units_of(steps), timeout, timeout, force=first["force"])
        failures = _failures(steps, outcomes)
        _remember(steps, failures, texts)
        failures.update(_await_booted(_left(steps, failures), texts, deadline))
        return failures
    failures = _stop(steps)
    left = _left(steps, failures)
    return {**failures, **(_start(left) if left else {})}


def _kill(steps: t.Sequence[Step]) -> Failures:
    """Send a signal, and wait for the end of those that cannot survive it."""
    first = steps[0].arguments
    number = first["signal"]
    failures: Failures = {}
    if first["whom"] == "leader":
        for step in steps:
            try:
                machined.kill_leader(step.subject, number)
            except Failure as failure:
                failures[step.identity] = failure
    else:
        jobs.send_signal(_units_of(steps), number)
    left = _left(steps, failures)
    if number == signal.SIGKILL and left:
        outcomes = jobs.await_killed(_units_of(left), first["timeout"])
        failures.update(_hanging(left, outcomes))
    return failures


def _stop(steps: t.Sequence[Step]) -> Failures:
    first = steps[0].arguments
    outcomes = jobs.stop(_units_of(steps), first["timeout"], force=first["force"])
    leaving = [step.arguments["unit"] for step in steps if step.arguments.get("leaves")]
    failed = [unit for unit in leaving if outcomes[unit].state.active == "failed"]
    if failed:
        # A machine that did not stop well, and is gone, would stay in systemd's list.
        run(["systemctl", "reset-failed", "--", *failed])
    return _failures(steps, outcomes)


def _units_of(steps: t.Sequence[Step]) -> list[str]:
    return [step.arguments["unit"] for step in steps]


def _failures(steps: t.Sequence[Step], outcomes: t.Mapping[str, jobs.Outcome]) -> Failures:
    """Those that failed, and a warning for those that had to be killed."""
    found = _hanging(steps, outcomes)
    for step in steps:
        if outcomes[step.arguments["unit"]].killed:
            found.setdefault(
                step.identity,
                Killed(
                    f"{step.subject} did not stop within {step.arguments['timeout']:g} s and was"
                    " killed"
                ),
            )
    return found


def _hanging(steps: t.Sequence[Step], outcomes: t.Mapping[str, jobs.Outcome]) -> Failures:
    found = {step.identity: outcomes[step.arguments["unit"]].failure for step in steps}
    return {identity: failure for identity, failure in found.items() if failure}


def _left(steps: t.Sequence[Step], failures: Failures) -> list[Step]:
    """Those that did not fail."""
    errors = [failures.get(step.identity) for step in steps]
    return [
        step for step, error in zip(steps, errors) if error is None or isinstance(error, Warning)
    ]


def _systemctl_no_block(verb: str, steps: t.Sequence[Step]) -> None:
    run(["systemctl", "--no-ask-password", "--no-block", verb, "--", *_units_of(steps)])


# --- what it was started with ---------------------------------------------------------------


Texts = tuple[t.Optional[str], t.Optional[str]]


def _texts(step: Step) -> Texts:
    """The files that count when the machine is started now."""
    return (
        core_files.read(nspawn_file.path_of(step.subject)),
        core_files.read(unit_files.drop_in_path(step.arguments["unit"])),
    )


def _remember(steps: t.Iterable[Step], failures: Failures, texts: t.Mapping[str, Texts]) -> None:
    for step in _left(list(steps), failures):
        record.remember_start(step.subject, step.arguments["unit"], *texts[step.subject])


# --- wait -----------------------------------------------------------------------------------


def _await_registered(steps: t.Sequence[Step], deadline: float) -> Failures:
    waiting = {step.subject: step for step in steps}
    failures: Failures = {}

    def lost(name: str, message: str) -> None:
        step = waiting.pop(name)
        failures[step.identity] = journal.explain(step.arguments["unit"], f"{name} {message}")

    while True:
        for name in machined.registered():
            waiting.pop(name, None)
        states = units.snapshot(_units_of(list(waiting.values())))
        for name, step in list(waiting.items()):
            state = states[step.arguments["unit"]]
            if not state.running and not state.job:
                lost(name, "ended before it was registered")
        if not waiting:
            return failures
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_INTERVAL)
    for name, step in list(waiting.items()):
        lost(name, f"was not registered with machined within {step.arguments['timeout']:g} s")
    return failures


def _await_booted(
    steps: t.Sequence[Step], texts: t.Mapping[str, Texts], deadline: float
) -> Failures:
    """Wait for those that do not say themselves when they are ready."""
    silent = [step for step in steps if not says_when_ready(texts[step.subject][0])]
    if not silent:
        return {}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = zip(silent, pool.map(lambda step: _poll(step, deadline), silent))
        return {step.identity: failure for step, failure in found if failure}


def says_when_ready(settings: t.Optional[str]) -> bool:
    value = nspawn_file.parse(settings or "").last("Exec", "NotifyReady") or "no"
    return value.lower() in ("yes", "y", "true", "t", "on", "1")


def _poll(step: Step, deadline: float) -> t.Optional[Failure]:
    """Ask until it has booted. C(--wait) would hang when the boot ends just before it begins."""
    state = "unknown"
    while time.monotonic() < deadline:
        state = system_state(step.subject, min(10, max(0.1, deadline - time.monotonic())))
        if state in BOOTED:
            return None
        if (
            state == "unknown"
            and not units.snapshot([step.arguments["unit"]])[step.arguments["unit"]].running
        ):
            return journal.explain(step.arguments["unit"], f"{step.subject} ended while it booted")
        time.sleep(POLL_INTERVAL)
    message = (
        f"{step.subject} had not booted within {step.arguments['timeout']:g} s (its systemd says "
        f"{state})"
    )
    if state == "unknown":
        message += (
            "; without a D-Bus inside only [Exec] NotifyReady=yes in its settings tells, or "
            "wait: registered"
        )
    return journal.explain(step.arguments["unit"], message)


def system_state(name: str, timeout: float = 10) -> str:
    """What the systemd inside says of itself; "unknown" while it cannot be asked."""
    argv = ["systemctl", f"--machine={name}", "is-system-running"]
    try:
        said = run(argv, timeout=timeout, check=False).stdout.strip()
    except CommandFailed:
        return "unknown"
    return said or "unknown"


def failed_units(name: str) -> list[str]:
    """The units inside a machine that have failed; none when it cannot be asked."""
    argv = ["systemctl", f"--machine={name}", "--failed", "--plain", "--no-legend", "--full"]
    try:
        lines = lines_of(run(argv, timeout=10, check=False).stdout)
    except CommandFailed:
        return []
    return [line.split()[0] for line in lines if line.strip()]
