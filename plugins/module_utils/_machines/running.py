# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The steps that make a machine run, stop, pause or end as it is wanted.

Private to the collection. Pure. C(_machines.start) carries them out.
"""

from __future__ import annotations

import typing as t
from signal import SIGKILL

from .._core.plan import State
from .._systemd import signals
from .draft import Draft
from .record import digest


def settle(draft: Draft) -> None:
    """From what the machine does to what it shall do."""
    wanted, seen = draft.wanted, draft.seen
    if wanted.state == "stopped":
        if seen.stoppable:
            stop(draft)
    elif wanted.state == "killed":
        if seen.stoppable:
            _kill(draft)
    elif wanted.state in ("started", "restarted", "paused"):
        paused = wanted.state == "paused"
        reason = _restart_reason(draft) if seen.stoppable else None
        if seen.frozen and (reason or not paused):
            _thaw(draft)
        if reason:
            before = {"state": "started" if seen.running else "stopping"}
            _start(draft, "restart", before=before, reason=reason)
        elif not seen.running:
            _start(draft, "start", before={"state": "stopped"})
        elif seen.active == "activating" and wanted.wait == "booted":
            # Somebody else has begun, or a run of ours was cut off. This waits for the end.
            _start(draft, "start", before={"state": "starting"})
        if paused and (reason or not seen.frozen):
            needs = draft.steps[-1:]
            draft.step("freeze", after={"state": "paused"}, needs=needs, unit=draft.unit)


def _thaw(draft: Draft) -> None:
    before, after = {"state": "paused"}, {"state": "started"}
    draft.step("thaw", before=before, after=after, unit=draft.unit)


# --- start ----------------------------------------------------------------------------------


def _start(draft: Draft, verb: str, *, before: State, reason: str = "") -> None:
    after: dict[str, t.Any] = {"state": "started"}
    if reason:
        after["restarted"] = reason
    draft.step(
        verb,
        before=before,
        after=after,
        # Not the enablement: whether it starts with the host is another matter.
        needs=[step for step in draft.steps if step.verb not in ("record", "enable")],
        unit=draft.unit,
        wait=draft.wanted.wait,
        timeout=draft.wanted.wait_timeout,
        force=draft.wanted.force,
        reason=reason,
        # A drop-in that a killed run wrote may not have been read yet.
        reload=draft.unread,
    )


def _restart_reason(draft: Draft) -> t.Optional[str]:
    """Why a running machine is restarted, in words; nothing when it is left to run."""
    if draft.wanted.state == "restarted":
        return "it was asked for"
    if not draft.seen.running:
        return "it was still stopping"
    if draft.wanted.restart == "always":
        return "restart is always"
    if draft.wanted.restart != "when_needed":
        return None
    return _outdated(draft)


def _outdated(draft: Draft) -> t.Optional[str]:
    seen = draft.seen
    changed = {step.subject for step in draft.steps_of("write", "delete")}
    if seen.started_with is not None:
        new = digest(draft.files.settings(), draft.files.unit())
        stale = seen.started_with != new
    else:
        stale = seen.edited_since or bool(changed)
    if not stale and any(step.arguments["equipment"].linger for step in draft.steps_of("equip")):
        return "users of it get service managers"
    if not stale:
        return None
    if changed:
        return f"it runs without the change of {' and '.join(sorted(changed))}"
    return "its files were changed since it was started"


# --- stop -----------------------------------------------------------------------------------


def stop(draft: Draft, *, leaves: bool = False) -> None:
    """O(leaves): the machine will not be there any more."""
    if draft.seen.frozen:
        _thaw(draft)
    draft.step(
        "stop",
        before={"state": "started"},
        after={"state": "stopped"},
        needs=draft.steps_of("thaw"),
        unit=draft.unit,
        timeout=draft.wanted.wait_timeout,
        force=draft.wanted.force,
        leaves=leaves,
    )


def _kill(draft: Draft) -> None:
    number, whom = draft.wanted.signal, draft.wanted.whom
    deadly = number == SIGKILL
    if deadly and draft.seen.frozen:
        _thaw(draft)
    sent = {"signal": f"{signals.name_of(number)} to {whom}"}
    draft.step(
        "kill",
        before={"state": "started"} if deadly else {},
        after={"state": "stopped"} if deadly else sent,
        needs=draft.steps_of("thaw"),
        unit=draft.unit,
        signal=number,
        whom=whom,
        timeout=draft.wanted.wait_timeout,
    )
