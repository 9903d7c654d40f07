# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is to be done so that the machines of a host are as they are wanted.

Private to the collection. Pure: from what was seen and what is wanted to a plan.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core import masks
from .._core.plan import Plan, Step, identities
from .._settings import nspawn_file
from .._systemd import unit_files
from .._users import equip
from . import drift, running, shown
from .check import check
from .draft import Draft
from .record import Record
from .seen import Snapshot
from .wanted import Wanted, check_all

# In this order the verbs are carried out, each for all its machines at once: one daemon-reload,
# one enable, one start. A rolling restart repeats only "restart".
PHASES = (
    "revoke",
    "thaw",
    "stop",
    "kill",
    "disable",
    "remove",
    "clear",
    "record",
    "make",
    "clone",
    "delete",
    "write",
    "unmake",
    "equip",
    "reset",
    "forget",
    "enable",
    "reload",
    "restart",
    "start",
    "freeze",
)


def plan(snapshot: Snapshot, wanted: t.Sequence[Wanted], *, rolling: int = 0) -> Plan:
    """All steps for all machines, in the order of C(PHASES)."""
    check_all(wanted)
    check(snapshot, wanted)
    steps: list[Step] = []
    for one in wanted:
        draft = Draft(snapshot, one)
        if one.state == "absent":
            _remove(draft)
        else:
            _converge(draft)
        steps += draft.steps
    steps = _once(steps)
    steps = _reloaded(steps, snapshot.unread and any(one.declared for one in wanted))
    steps.sort(key=lambda step: PHASES.index(step.verb))
    return tuple(_rolled(steps, rolling))


def _once(steps: t.Iterable[Step]) -> list[Step]:
    """Without what several machines want alike: a directory is made once."""
    return list({step.identity: step for step in reversed(list(steps))}.values())[::-1]


def _reloaded(steps: list[Step], owed: bool) -> list[Step]:
    """One daemon-reload for all that changed a unit, before whatever builds upon it.

    O(owed): also without a change, for what an earlier run has changed.
    """
    if not owed and not any(step.arguments.get("reload") for step in steps):
        return steps
    # It needs nothing: one machine's broken file must not keep the others from their reload.
    reload = Step("reload", "systemd", after={"units": "as in their files"})
    return [
        dataclasses.replace(step, needs=step.needs | identities(reload))
        if step.verb in ("restart", "start")
        else step
        for step in steps
    ] + [reload]


def _rolled(steps: list[Step], size: int) -> list[Step]:
    """Number the groups in which machines are restarted, so that not all are down at once."""
    if size < 1:
        return steps
    result: list[Step] = []
    count = 0
    for step in steps:
        if step.verb == "restart":
            step = dataclasses.replace(step, arguments={**step.arguments, "group": count // size})
            count += 1
        result.append(step)
    return result


def purged(snapshot: Snapshot, wanted: t.Iterable[Wanted]) -> list[Wanted]:
    """The machines that the collection made and that nobody wants any more.

    One that was made by somebody else since then is theirs. One that others are cloned from is
    still wanted.
    """
    kept = {name for one in wanted for name in (one.name, one.image)}
    return [
        Wanted(name, state="absent", declared=True)
        for name, seen in sorted(snapshot.machines.items())
        if name not in kept
        and seen.record
        and seen.record.made
        and (not seen.image or seen.is_ours)
    ]


# --- a machine that shall be there ----------------------------------------------------------


def _converge(draft: Draft) -> None:
    if draft.wanted.declared:
        _record(draft)
        shown.make(draft)
    if draft.files.cloned:
        _clone(draft)
    elif draft.wanted.declared:
        _clear(draft)
    if draft.wanted.declared:
        _files(draft)
        _equip(draft)
    _enablement(draft)
    running.settle(draft)


def _record(draft: Draft) -> None:
    """Before the clone: what is begun must be known as ours if it is cut off."""
    wanted, seen = draft.wanted, draft.seen
    old = seen.record or Record()
    if draft.files.cloned:
        made = Record(made=True, image=wanted.image)
    elif old.made and not seen.is_ours:
        # A clone that was cut off never got its name: somebody else made this one.
        made = dataclasses.replace(old, made=False, image=None, identity="")
    else:
        made = old
    new = dataclasses.replace(
        made,
        owner=wanted.owner,
        variables=dict(wanted.variables),
        users=wanted.users,
        declared=drift.declared(
            wanted.state, wanted.enabled, draft.files.exact_settings(), wanted.unit
        ),
        binds=draft.files.binds(),
        directories=shown.remembered(draft),
    )
    if new != old:
        draft.step("record", before=_shown(old), after=_shown(new, old), record=new)


def _clone(draft: Draft) -> None:
    draft.step(
        "clone",
        before={"image": None},
        after={"image": f"clone of {draft.wanted.image}"},
        needs=draft.steps,
        source=draft.wanted.image,
    )


def _clear(draft: Draft) -> None:
    """What a new clone would have taken the place of."""
    if draft.seen.leftover:
        draft.step("clear", before={"leftovers": "a cut-off run's"}, after={})


def _files(draft: Draft) -> None:
    cloned = draft.steps_of("clone")
    _settings(draft, draft.files.settings(), cloned)
    _unit(draft, draft.files.unit(), cloned)


def _equip(draft: Draft) -> None:
    """What makes users known in it; before it starts, as then it looks who has a manager."""
    if draft.tree is None:
        return
    left = draft.seen.record.users if draft.seen.record else ()
    change = equip.equipment(draft.wanted.bound, draft.tree, draft.root, left)
    if change:
        draft.step(
            "equip",
            before=change.before,
            after=change.after,
            needs=draft.steps_of("clone"),
            root=draft.root,
            equipment=change,
        )


def _settings(draft: Draft, text: t.Optional[str], needs: t.Sequence[Step]) -> None:
    path, seen = nspawn_file.path_of(draft.name), draft.seen
    change = masks.change(seen.settings, seen.settings_mode, text)
    _file(draft, path, change, reload=False, needs=needs, text=text)


def _unit(draft: Draft, text: t.Optional[str], needs: t.Sequence[Step]) -> None:
    path, seen = unit_files.drop_in_path(draft.unit), draft.seen
    change = masks.change(seen.unit, seen.unit_mode, text)
    _file(draft, path, change, reload=True, needs=needs, text=text)


def _file(
    draft: Draft,
    path: str,
    change: t.Optional[masks.Change],
    *,
    reload: bool,
    needs: t.Sequence[Step],
    text: t.Optional[str],
) -> None:
    if change is None:
        return
    verb = "delete" if text is None else "write"
    # A clone brings the settings of its template along: what is there then is not what was
    # seen. The step is the same either way.
    _mode, before, after = change
    draft.step(verb, path, before=before, after=after, needs=needs, text=text, reload=reload)


def _enablement(draft: Draft) -> None:
    enabled, before = draft.wanted.enabled, draft.seen.enabled
    if enabled is not None and enabled != before:
        draft.step(
            "enable" if enabled else "disable",
            before={"enabled": before},
            after={"enabled": enabled},
            needs=draft.steps_of("clone") if enabled else (),
            unit=draft.unit,
            reload=True,
        )


# --- a machine that shall not ---------------------------------------------------------------


def _remove(draft: Draft) -> None:
    seen = draft.seen
    if seen.grant:
        # Or else they would have the next machine that somebody makes under this name.
        owners = ", ".join(str(owner) for owner in seen.grant.owners)
        draft.step("revoke", before={"owners": owners}, after={})
    if seen.stoppable:
        running.stop(draft, leaves=True)
    if seen.enabled:
        draft.step("disable", before={"enabled": True}, after={}, unit=draft.unit, reload=True)
    if seen.image:
        # Not needed by it: the disablement. An image that cannot be started is no harm.
        draft.step(
            "remove",
            before={"image": seen.image},
            after={},
            needs=draft.steps_of("stop"),
            identity=seen.identity,
        )
    _clear(draft)
    gone = list(draft.steps)
    _settings(draft, None, gone)
    _unit(draft, None, gone)
    shown.unmake(draft, gone)
    if seen.active == "failed":
        before, after = {"state": "failed"}, {"state": "absent"}
        draft.step("reset", before=before, after=after, needs=gone, unit=draft.unit)
    if seen.record:
        draft.step("forget", before=_shown(seen.record), after={}, needs=draft.steps)


def _shown(record: Record, beside: t.Optional[Record] = None) -> dict[str, t.Any]:
    """A record as the diff shows it: what the user can have an opinion of, and no secret."""
    old = beside.variables if beside else None
    shown: dict[str, t.Any] = {
        "owner": record.owner,
        "vars": masks.leaves(record.variables, old),
    }
    return {key: value for key, value in shown.items() if value}
