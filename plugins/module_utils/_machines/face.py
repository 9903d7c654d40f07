# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Between the modules about machines and the rooms that do the work. Private to the collection.

From arguments to wishes, and from what became of them to the module's result.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import typing as t
from signal import SIGKILL

from ansible.module_utils.basic import AnsibleModule

from .._core.plan import Failure, Outcome, Step, describe, diff
from .._settings import nspawn_file
from .._systemd import machined, signals, unit_text
from .._systemd import units as systemd_units
from . import host, start
from . import limits as machines_limits
from .plan import Snapshot, Wanted, plan, purged, zones

# What both modules ask in the same words.
WAITING: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "wait": {"type": "str", "choices": ["booted", "registered", "none"], "default": "booted"},
    "wait_timeout": {"type": "float", "default": 120},
    "force": {"type": "bool", "default": False},
}

# A message that names all of fifty failures in full is read by nobody.
FAILURES_IN_FULL = 3


# --- from arguments -------------------------------------------------------------------------


def wanted_of(entry: t.Mapping[str, t.Any], common: t.Mapping[str, t.Any]) -> Wanted:
    """A wish from one entry of C(machines), checked as far as it can be without looking."""
    name = entry["name"]
    machined.check_name(name)
    if entry["image"] is not None:
        machined.check_image_name(entry["image"])
    here = f"machine {name}"
    return Wanted(
        name=name,
        state=entry["state"],
        image=entry["image"],
        declared=True,
        settings=_settings_of(entry["settings"], f"{here}, settings"),
        users=_users_of(entry["users"], here),
        unit=None if entry["unit"] is None else unit_text.render(entry["unit"], f"{here}, unit"),
        enabled=entry["enabled"],
        owner=entry["owner"],
        variables=entry["vars"] or {},
        restart=entry["restart"] or common["restart"],
        wait=entry["wait"] or common["wait"],
        wait_timeout=_timeout(entry["wait_timeout"], common["wait_timeout"]),
        force=common["force"],
    )


def _timeout(given: t.Optional[float], common: float) -> float:
    timeout = common if given is None else given
    if timeout <= 0:
        raise Failure(f"wait_timeout: {timeout:g} is too short; expected seconds above 0")
    return timeout


def _settings_of(
    raw: t.Optional[t.Mapping[str, t.Any]], what: str
) -> t.Optional[nspawn_file.Settings]:
    if raw is None:
        return None
    settings = nspawn_file.normalise(raw, what)
    nspawn_file.check(settings, machined.systemd_version(), what)
    return settings


def _users_of(users: t.Sequence[str], here: str) -> tuple[str, ...]:
    if users:
        bound = nspawn_file.normalise({"Files": {"BindUser": list(users)}})
        nspawn_file.check(bound, machined.systemd_version(), f"{here}, users")
    return tuple(users)


def some(names: t.Sequence[str], parameters: t.Mapping[str, t.Any]) -> list[Wanted]:
    """The same wish for machines that are there, from the arguments of C(machine)."""
    for name in names:
        machined.check_name(name)
    number = signals.number_of(parameters["signal"])
    return [
        Wanted(
            name=name,
            state=parameters["state"],
            enabled=parameters["enabled"],
            wait=parameters["wait"],
            wait_timeout=_timeout(None, parameters["wait_timeout"]),
            force=parameters["force"],
            signal=number,
            whom=parameters["kill_whom"],
        )
        for name in names
    ]


# --- to a result ----------------------------------------------------------------------------


def converge(
    module: AnsibleModule,
    wanted: t.Sequence[Wanted],
    *,
    rolling: int = 0,
    purge: bool = False,
    limits: bool = True,
    expected: t.Collection[str] = (),
) -> dict[str, t.Any]:
    """Look, plan, act unless in check mode, and tell what became of each machine.

    O(expected) are images that would be there by now, had earlier tasks not been in check mode too.
    """
    if not module.check_mode:
        machined.require()
    snapshot = host.look(wanted, recorded=purge)
    if module.check_mode:
        snapshot = dataclasses.replace(snapshot, images=snapshot.images.union(expected))
    every = [*wanted, *(purged(snapshot, wanted) if purge else ())]
    steps = plan(snapshot, every, rolling=rolling)
    if limits:
        machines_limits.check(steps, zones(snapshot, every, steps))
    outcome = Outcome(done=list(steps)) if module.check_mode else host.carry_out(steps)
    told = _told(every, snapshot, outcome, module.check_mode)
    result: dict[str, t.Any] = {
        "changed": bool(outcome.done),
        "plan": describe(steps),
        "machines": told,
    }
    if module._diff:
        result["diff"] = diff(steps)
    for _step, warning in outcome.noted:
        module.warn(str(warning))
    for name, one in told.items():
        if one.get("failed_units"):
            module.warn(f"{name} has booted but is degraded: {', '.join(one['failed_units'])}")
    if outcome.failed:
        raise Failure(_summary(told), **result)
    return result


def _told(
    wanted: t.Sequence[Wanted], snapshot: Snapshot, outcome: Outcome, checking: bool
) -> dict[str, dict[str, t.Any]]:
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
            states.update({one.name: _wished(one, states[one.name]) for one in wanted})
        return _satisfied(wanted, states)
    there = {**machined.images()}
    units = systemd_units.snapshot([machined.unit_of(name) for name in names])
    found = {}
    for name in names:
        unit = units[machined.unit_of(name)]
        found[name] = _word(unit.active, unit.frozen, there.get(name))
    return _satisfied(wanted, found)


def _wished(one: Wanted, now: str) -> str:
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
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return dict(zip(fresh, pool.map(start.failed_units, fresh)))


def _summary(told: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    failed = {name: one["msg"] for name, one in told.items() if one["failed"]}
    parts = [f"{name}: {msg}" for name, msg in list(failed.items())[:FAILURES_IN_FULL]]
    more = list(failed)[FAILURES_IN_FULL:]
    if more:
        parts.append(f"also failed, see 'machines' in the result: {', '.join(more)}")
    if len(told) == 1:
        return parts[0]
    return f"{len(failed)} of {len(told)} machines failed.\n" + "\n".join(parts)
