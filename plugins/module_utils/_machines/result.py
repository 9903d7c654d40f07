# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From what became of the steps to what the modules tell of each machine.

Private to the collection.
"""

from __future__ import annotations

import concurrent.futures
import typing as t
from signal import SIGKILL

from .._core.plan import Outcome, Step, describe
from .._systemd import machined
from .._systemd import units as systemd_units
from .seen import Snapshot
from .wanted import Wanted

# A message that names all of fifty failures in full is read by nobody.
FAILURES_IN_FULL = 3


def tell(
    wanted: t.Sequence[Wanted], snapshot: Snapshot, outcome: Outcome, checking: bool
) -> dict[str, dict[str, t.Any]]:
    """What became of each machine, by its name; O(checking): what would have become of it."""
    done = _by_machine(outcome.done)
    states = _states(wanted, snapshot, outcome, checking)
    degraded = {} if checking else _degraded(done)
    killed = {step.arguments["machine"] for step, _warning in outcome.noted}
    told = {}
    for one in wanted:
        steps = done.get(one.name, [])
        told[one.name] = {
            "state": states[one.name],
            "changed": bool(steps),
            "failed": False,
            "steps": describe(tuple(steps)),
            **_reason(steps),
        }
        if one.name in killed:
            told[one.name]["killed"] = True
        if degraded.get(one.name):
            told[one.name]["failed_units"] = degraded[one.name]
    for name, messages in _failures(outcome).items():
        told[name].update(failed=True, msg=" ".join(messages))
    return told


def _by_machine(steps: t.Iterable[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        if "machine" in step.arguments:
            found.setdefault(step.arguments["machine"], []).append(step)
    return found


def _reason(steps: t.Iterable[Step]) -> dict[str, str]:
    reasons = [step.arguments["reason"] for step in steps if step.verb == "restart"]
    return {"restarted_because": reasons[0]} if reasons else {}


def _failures(outcome: Outcome) -> dict[str, list[str]]:
    """What went wrong for each machine, and what was left out because something else did."""
    found: dict[str, list[str]] = {}
    common = []
    for step, error in outcome.failed:
        message = f"Could not {step.identity}: {error}"
        if "machine" in step.arguments:
            found.setdefault(step.arguments["machine"], []).append(message)
        else:
            common.append(message)
    broken = [step.subject for step, _error in outcome.failed if step.verb == "restart"]
    for name, steps in _by_machine(outcome.skipped).items():
        if name not in found:
            left_out = ", ".join(describe(tuple(steps)))
            found[name] = [f"Left out: {left_out}.", *common]
            if broken and any(step.verb == "restart" for step in steps):
                found[name].append(f"{', '.join(broken)} did not come back from a restart.")
    return found


def _states(
    wanted: t.Sequence[Wanted], snapshot: Snapshot, outcome: Outcome, checking: bool
) -> dict[str, str]:
    """The state of each machine after the run, in the words of the argument."""
    names = [one.name for one in wanted]
    if checking or not (outcome.done or outcome.failed):
        seen = {name: snapshot.of(name) for name in names}
        states = {name: _word(one.active, one.frozen, one.image) for name, one in seen.items()}
        if checking:
            states.update({one.name: _state_after(one, states[one.name]) for one in wanted})
        return _satisfied(wanted, states)
    there = {**machined.images()}
    units = systemd_units.snapshot([machined.unit_of(name) for name in names])
    found = {}
    for name in names:
        unit = units[machined.unit_of(name)]
        found[name] = _word(unit.active, unit.frozen, there.get(name))
    return _satisfied(wanted, found)


def _state_after(one: Wanted, now: str) -> str:
    """The state as it will be."""
    if one.state == "restarted":
        return "started"
    if one.state in ("stopped", "killed"):
        gone = one.state == "stopped" or one.signal == SIGKILL
        return "stopped" if gone and (one.declared or now != "absent") else now
    return one.state or now


def _satisfied(wanted: t.Sequence[Wanted], states: dict[str, str]) -> dict[str, str]:
    """A machine that ended badly has stopped all the same, if that was wanted."""
    for one in wanted:
        if one.state in ("stopped", "killed") and states[one.name] == "failed":
            states[one.name] = "stopped"
    return states


def _word(active: str, is_frozen: bool, image: t.Any) -> str:
    if active == "active":
        return "paused" if is_frozen else "started"
    if active in ("activating", "reloading", "refreshing"):
        return "starting"
    if active == "deactivating":
        return "stopping"
    if not image:
        return "absent"
    return "failed" if active == "failed" else "stopped"


def _degraded(done: t.Mapping[str, t.Sequence[Step]]) -> dict[str, list[str]]:
    """The failed units inside those machines that were waited for until they had booted."""
    fresh = [
        name
        for name, steps in done.items()
        if any(step.arguments.get("wait") == "booted" for step in steps)
    ]
    if not fresh:
        return {}
    from . import start

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return dict(zip(fresh, pool.map(start.failed_units, fresh)))


def summary(told: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """The message of a run in which machines failed."""
    failed = {name: one["msg"] for name, one in told.items() if one["failed"]}
    parts = [f"{name}: {msg}" for name, msg in list(failed.items())[:FAILURES_IN_FULL]]
    more = list(failed)[FAILURES_IN_FULL:]
    if more:
        parts.append(f"also failed, see 'machines' in the result: {', '.join(more)}")
    if len(told) == 1:
        return parts[0]
    return f"{len(failed)} of {len(told)} machines failed.\n" + "\n".join(parts)
