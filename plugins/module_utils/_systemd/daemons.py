# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a daemon of systemd's is enabled and runs, and whether that was our doing.

Private to the collection. What was enabled here is remembered before it is: a run that is cut off
in between can still be undone. systemd enables and disables more units along with a daemon; those
are remembered too, and are afterwards as they were.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .._core import files, memory
from .._core.plan import Plan, Step, Verbs, identities
from .._core.run import run

RECORDS = memory.of("daemons")

# What Also= of a daemon's unit names, from systemd 252 to 262.
ALONG: t.Mapping[str, tuple[str, ...]] = {
    "systemd-networkd.service": (
        "systemd-networkd.socket",
        "systemd-networkd-varlink.socket",
        "systemd-networkd-varlink-metrics.socket",
        "systemd-networkd-resolve-hook.socket",
        "systemd-networkd-persistent-storage.service",
        "systemd-network-generator.service",
        "systemd-networkd-wait-online.service",
    )
}
# Where networkd has only machines to care for, a boot would wait in vain for it to be online.
UNWANTED: t.Mapping[str, str] = {
    "systemd-networkd.service": "systemd-networkd-wait-online.service",
}


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is there of a daemon."""

    service: str
    running: bool = False
    enabled: bool = False
    ours: bool = False
    """It was us who enabled it."""
    along: frozenset[str] = frozenset()
    """Of the units that are enabled along with it, those that are."""
    before: t.Optional[frozenset[str]] = None
    """Those that were before we enabled it, when that is known."""
    settled: bool = True
    """What we do not want of them has been disabled again. Who enables it later means it."""
    triggers: tuple[str, ...] = ()
    """What starts it when somebody comes, as networkd's socket does for each new link."""


def snapshot(service: str) -> Seen:
    text = files.read(_record_of(service))
    record = _parsed(text or "")
    return Seen(
        service,
        running=_says("is-active", service),
        enabled=_says("is-enabled", service),
        ours=text is not None,
        along=frozenset(unit for unit in ALONG.get(service, ()) if _is_enabled(unit)),
        before=None if record is None else frozenset(record["before"]),
        settled=record is None or bool(record["settled"]),
        triggers=tuple(unit for unit in _shown("TriggeredBy", service).split() if not rests(unit)),
    )


def _parsed(text: str) -> t.Optional[dict[str, t.Any]]:
    """What a record says; an older one only that the daemon was enabled here."""
    try:
        found = json.loads(text)
        return {"before": [str(unit) for unit in found["before"]], "settled": found["settled"]}
    except (ValueError, TypeError, KeyError):
        return None


def _is_enabled(unit: str) -> bool:
    """Not: static, indirect, masked, or not there."""
    return run(["systemctl", "is-enabled", "--", unit], check=False).stdout.strip() == "enabled"


def rests(unit: str) -> bool:
    """Whether it does not run, and is not about to: one that starts may have read its files."""
    return _shown("ActiveState", unit) in ("inactive", "failed")


def _shown(word: str, unit: str) -> str:
    return run(["systemctl", "show", f"--property={word}", "--value", "--", unit]).stdout.strip()


def _says(question: str, service: str) -> bool:
    return run(["systemctl", "--quiet", question, "--", service], check=False).rc == 0


def _record_of(service: str) -> str:
    return os.path.join(RECORDS, service)


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Seen, wanted: bool, *, present: bool) -> Plan:
    """Enable and start a daemon, or take that back; not O(wanted): leave it as it is."""
    if not wanted:
        return ()
    return _up(seen) if present else _down(seen)


def _up(seen: Seen) -> Plan:
    steps: list[Step] = []
    before = seen.along if seen.before is None else seen.before
    if not seen.enabled:
        if not seen.ours or seen.settled:
            steps.append(Step("remember", seen.service, {"before": before}))
        states = {"enabled": False}, {"enabled": True}
        steps.append(Step("enable", seen.service, {}, *states, identities(*steps)))
    if not seen.enabled or not seen.settled:
        unwanted = UNWANTED.get(seen.service)
        if unwanted and unwanted not in before:
            steps.append(Step("disable", unwanted, needs=identities(*steps)))
        arguments = {"before": before}
        steps.append(Step("settle", seen.service, arguments, needs=identities(*steps)))
    if not seen.running:
        states = {"running": False}, {"running": True}
        steps.append(Step("start", seen.service, {}, *states, identities(*steps)))
    return tuple(steps)


def _down(seen: Seen) -> Plan:
    if not seen.ours:
        return ()
    steps: list[Step] = []
    if seen.enabled:
        steps.append(Step("disable", seen.service, {}, {"enabled": True}, {"enabled": False}))
        for unit in sorted(seen.before or ()):
            steps.append(Step("enable", unit, needs=identities(steps[0])))
    # What was enabled before may go on: others want it.
    triggers = tuple(unit for unit in seen.triggers if unit not in (seen.before or ()))
    if seen.running or triggers:
        states = {"running": True}, {"running": False}
        arguments = {"triggers": triggers}
        steps.append(Step("stop", seen.service, arguments, *states, identities(*steps)))
    return (*steps, Step("forget", seen.service, needs=identities(*steps)))


def ends(plan: Plan) -> bool:
    return any(step.verb == "stop" for step in plan)


# --- act ------------------------------------------------------------------------------------


def _remember(step: Step) -> None:
    _write(step, settled=False)


def _settle(step: Step) -> None:
    _write(step, settled=True)


def _write(step: Step, *, settled: bool) -> None:
    record = {"before": sorted(step.arguments["before"]), "settled": settled}
    memory.write(_record_of(step.subject), json.dumps(record) + "\n")


def _forget(step: Step) -> None:
    memory.forget(_record_of(step.subject))


def start(step: Step) -> None:
    _systemctl(step)


def stop(step: Step) -> None:
    """Stop it together with what would start it again."""
    _systemctl(step, *step.arguments["triggers"])


def _systemctl(step: Step, *beside: str) -> None:
    words = ["systemctl", "--no-ask-password", step.verb, "--", *beside, step.subject]
    run(words, timeout=120)


VERBS: Verbs = {
    "remember": _remember,
    "settle": _settle,
    "enable": _systemctl,
    "start": start,
    "disable": _systemctl,
    "stop": stop,
    "forget": _forget,
}
