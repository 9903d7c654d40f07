# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Carry out a plan for the machines of a host. Private to the collection.

A verb that systemd takes for many units is called once for all of them. A machine that fails is
left out of what follows; the others go on.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import typing as t

from .._access import act as access_act
from .._core import files as core_files
from .._core import masks, progress
from .._core import plan as core_plan
from .._core.plan import Failure, Outcome, Plan, Step
from .._images import act as images_act
from .._shares import act as shares_act
from .._systemd import unit_files
from .._users import act as users_act
from . import record as machines_record
from . import start
from .start import Batch, Failures

# A clone where the file system cannot snapshot is a copy: more of them would only wait longer.
CLONES_AT_ONCE = 4
# More names than these are only counted in a line about progress.
NAMED = 3


def apply(plan: Plan) -> Outcome:
    """Carry out a plan, and say meanwhile how far it is."""
    if not plan:
        return Outcome()
    with progress.Phases("converging", "machines") as phases:
        return apply_with(VERBS, plan, phases.enter)


def apply_with(verbs: t.Mapping[str, Batch], plan: Plan, tell: t.Callable[[str], None]) -> Outcome:
    """Carry out a plan, one verb after the other, each for all its machines."""
    outcome = Outcome()
    lost: set[str] = set()
    for (verb, group), steps in itertools.groupby(plan, key=_batch_of):
        able = []
        for step in steps:
            if step.needs & lost or (group and _restart_failed(outcome)):
                outcome.skipped.append(step)
                lost.add(step.identity)
            else:
                able.append(step)
        tell(f"{verb} {_named(able)}")
        failures = _safely(verbs[verb], able) if able else {}
        for step in able:
            error = failures.get(step.identity)
            if error is None or isinstance(error, Warning):
                outcome.done.append(step)
                if error is not None:
                    outcome.noted.append((step, error))
            else:
                outcome.failed.append((step, error))
                lost.add(step.identity)
    return outcome


def _named(steps: t.Sequence[Step]) -> str:
    """The machines of some steps, as long as one line can hold them."""
    names = list(dict.fromkeys(step.arguments.get("machine", step.subject) for step in steps))
    return ", ".join(names) if len(names) <= NAMED else f"{len(names)} machines"


def _batch_of(step: Step) -> tuple[str, int]:
    return step.verb, step.arguments.get("group", 0)


def _restart_failed(outcome: Outcome) -> bool:
    """In a rolling restart the rest run on as they are when one does not come back."""
    return any(step.verb == "restart" for step, _error in outcome.failed)


def _safely(batch: Batch, steps: t.Sequence[Step]) -> Failures:
    try:
        return batch(steps)
    except Failure as failure:
        return {step.identity: failure for step in steps}


# --- verbs ----------------------------------------------------------------------------------


def _each(verb: t.Callable[[Step], None], workers: int = 8) -> Batch:
    """A verb that is carried out for one machine at a time, some side by side."""

    def batch(steps: t.Sequence[Step]) -> Failures:
        alone = tuple(dataclasses.replace(step, needs=frozenset()) for step in steps)
        verbs = {step.verb: verb for step in alone}
        outcome = core_plan.apply(alone, verbs, workers=workers, keep_going=True)
        return {step.identity: error for step, error in outcome.failed}

    return batch


def _clone(step: Step) -> None:
    name = step.subject

    def prepare(path: str, identity: str) -> None:
        """What must be so before anybody can use it, or find it without knowing whose it is."""
        if os.path.isdir(path):
            make_individual(path)
        record = machines_record.read(name)
        if record:
            machines_record.write(name, dataclasses.replace(record, identity=identity))

    images_act.clone(step.arguments["source"], name, prepare=prepare)


def make_individual(root: str) -> None:
    """Take from a clone what would make the machine the same one as its template.

    Two machines with one machine ID get one address from a DHCP server. An empty file is filled
    when the machine boots; one that says "uninitialized" would make it ask questions first. The
    ID that D-Bus keeps would be taken for the new one.
    """
    machine_id = core_files.inside(root, "/etc/machine-id")
    if os.path.isfile(machine_id) and os.path.getsize(machine_id):
        os.truncate(machine_id, 0)
    of_dbus = core_files.inside(root, "/var/lib/dbus") + "/machine-id"
    if os.path.lexists(of_dbus) and not os.path.islink(of_dbus):
        os.unlink(of_dbus)


def _remove(step: Step) -> None:
    images_act.remove(step.subject, step.arguments["identity"])
    machines_record.forget_start(step.subject)


def _clear(step: Step) -> None:
    images_act.clear(step.subject)


def _write(step: Step) -> None:
    if step.arguments["reload"]:
        unit_files.mark_unread()
    text = step.arguments["text"]
    mode = masks.mode_of(text, core_files.mode_of(step.subject))
    core_files.write(step.subject, text, mode=mode)


def _equip(step: Step) -> None:
    users_act.equip(step.arguments["root"], step.arguments["equipment"])


def _delete(step: Step) -> None:
    if step.arguments["reload"]:
        unit_files.mark_unread()
    core_files.remove(step.subject)
    core_files.remove_empty_directory(os.path.dirname(step.subject))


def _make(step: Step) -> None:
    words = step.arguments
    shares_act.make(step.subject, uid=words["uid"], gid=words["gid"], mode=words["mode"])


def _unmake(step: Step) -> None:
    shares_act.unmake(step.subject)


def _record(step: Step) -> None:
    machines_record.write(step.subject, step.arguments["record"])


def _forget(step: Step) -> None:
    machines_record.forget(step.subject)


def _revoke(steps: t.Sequence[Step]) -> Failures:
    access_act.revoke([step.subject for step in steps])
    return {}


def _reload(_steps: t.Sequence[Step]) -> Failures:
    unit_files.daemon_reload()
    return {}


def _enable(steps: t.Sequence[Step]) -> Failures:
    # The plan's own reload follows.
    unit_files.enable([step.arguments["unit"] for step in steps], reload=False)
    return {}


def _disable(steps: t.Sequence[Step]) -> Failures:
    unit_files.disable([step.arguments["unit"] for step in steps], reload=False)
    return {}


VERBS: t.Mapping[str, Batch] = {
    "revoke": _revoke,
    "thaw": start.thaw,
    "stop": start.stop,
    "kill": start.kill,
    "disable": _disable,
    "remove": _each(_remove, CLONES_AT_ONCE),
    "clear": _each(_clear, CLONES_AT_ONCE),
    "record": _each(_record),
    "make": _each(_make),
    "clone": _each(_clone, CLONES_AT_ONCE),
    "delete": _each(_delete),
    "write": _each(_write),
    "unmake": _each(_unmake),
    "equip": _each(_equip),
    "reset": start.reset,
    "forget": _each(_forget),
    "enable": _enable,
    "reload": _reload,
    "restart": start.restart,
    "start": start.start,
    "freeze": start.freeze,
}
