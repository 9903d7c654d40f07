# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether a daemon of systemd's is enabled and runs, and whether that was our doing.

Private to the collection. What was enabled here is remembered before it is: a run that is cut off
in between can still be undone.
"""

from __future__ import annotations

import dataclasses
import os

from .._core import memory
from .._core.plan import Plan, Step, Verbs, identities
from .._core.run import run

RECORDS = memory.of("daemons")


@dataclasses.dataclass(frozen=True)
class Seen:
    """What is there of a daemon."""

    service: str
    running: bool = False
    enabled: bool = False
    ours: bool = False
    """It was us who enabled it."""


def snapshot(service: str) -> Seen:
    return Seen(
        service,
        running=_says("is-active", service),
        enabled=_says("is-enabled", service),
        ours=os.path.exists(_record_of(service)),
    )


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
    if not seen.enabled:
        if not seen.ours:
            steps.append(Step("remember", seen.service))
        states = {"enabled": False}, {"enabled": True}
        steps.append(Step("enable", seen.service, {}, *states, identities(*steps)))
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
    if seen.running:
        states = {"running": True}, {"running": False}
        steps.append(Step("stop", seen.service, {}, *states, identities(*steps)))
    return (*steps, Step("forget", seen.service, needs=identities(*steps)))


def ends(plan: Plan) -> bool:
    return any(step.verb == "stop" for step in plan)


# --- act ------------------------------------------------------------------------------------


def _remember(step: Step) -> None:
    memory.write(_record_of(step.subject), f"{step.subject}\n")


def _forget(step: Step) -> None:
    memory.forget(_record_of(step.subject))


def start(step: Step) -> None:
    _systemctl(step)


def _systemctl(step: Step) -> None:
    run(["systemctl", "--no-ask-password", step.verb, "--", step.subject], timeout=120)


VERBS: Verbs = {
    "remember": _remember,
    "enable": _systemctl,
    "start": start,
    "disable": _systemctl,
    "stop": _systemctl,
    "forget": _forget,
}
