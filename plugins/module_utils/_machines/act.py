# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Look at the machines of a host, and carry out a plan for them. Private to the collection.

However many machines there are, looking costs the same few processes, and a verb that systemd
takes for many units is called once for all of them. A machine that fails is left out of what
follows; the others go on.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import typing as t

from .._core import files as core_files
from .._core import progress
from .._core.plan import Failure, Outcome, Plan, Step, apply
from .._images import act, provenance
from .._settings import nspawn_file
from .._systemd import machined, unit_files
from .._systemd import units as systemd_units
from . import record as machines_record
from . import start
from .plan import Seen, Snapshot, Wanted
from .start import Batch, Failures

# A clone where the file system cannot snapshot is a copy: more of them would only wait longer.
CLONES_AT_ONCE = 4
# More names than these are only counted in a line about progress.
NAMED = 3


# --- look -----------------------------------------------------------------------------------


def look(wanted: t.Sequence[Wanted], *, recorded: bool = False) -> Snapshot:
    """The host as it is, as far as these machines are concerned; O(recorded): all of ours too."""
    names = list(dict.fromkeys(one.name for one in wanted))
    if recorded:
        names += [name for name in machines_record.names() if name not in names]
    images = machined.images()
    units = systemd_units.snapshot([machined.unit_of(name) for name in names])
    strangers = _strangers(units)
    sources = {one.image for one in wanted if one.image}
    texts = {name: core_files.read(nspawn_file.path_of(name)) for name in sources}
    return Snapshot(
        machines={
            name: _seen(name, images.get(name), units[machined.unit_of(name)], strangers)
            for name in names
        },
        images=frozenset(images),
        image_settings={name: text for name, text in texts.items() if text is not None},
        unread=unit_files.unread(),
    )


def _strangers(units: t.Mapping[str, systemd_units.UnitState]) -> dict[str, str]:
    """The units of machines that run without their own unit."""
    running = {unit for unit, state in units.items() if state.running}
    suspects = [
        name
        for name in machined.registered()
        if machined.unit_of(name) in units and machined.unit_of(name) not in running
    ]
    found = machined.machines(suspects)
    return {name: machine.unit for name, machine in found.items()}


def _seen(
    name: str,
    image: t.Optional[machined.Image],
    state: systemd_units.UnitState,
    strangers: t.Mapping[str, str],
) -> Seen:
    unit = machined.unit_of(name)
    file = nspawn_file.locate(name, image.path if image else None)
    drop_in = unit_files.drop_in_path(unit)
    seen = Seen(
        image=image.type if image else None,
        identity=provenance.identity_of(image.path) if image else "",
        settings=core_files.read(nspawn_file.path_of(name)),
        settings_elsewhere=bool(file and file.path != nspawn_file.path_of(name)),
        unit=core_files.read(drop_in),
        enabled=state.enabled,
        active=state.active,
        frozen=state.frozen,
        stranger=strangers.get(name),
        record=machines_record.read(name),
    )
    if seen.half_made and image and seen.record:
        return dataclasses.replace(seen, booted=has_booted(image.path, seen.record.image))
    if not state.running:
        return seen
    files = [drop_in, *([file.path] if file else [])]
    return dataclasses.replace(
        seen,
        started_with=machines_record.started_with(name, unit),
        edited_since=systemd_units.younger_than_start(unit, files),
    )


# --- act ------------------------------------------------------------------------------------


def carry_out(plan: Plan) -> Outcome:
    """Carry out a plan, and say meanwhile how far it is."""
    if not plan:
        return Outcome()
    with progress.Phases("converging", "machines") as phases:
        return carry_out_with(BATCHES, plan, phases.enter)


def carry_out_with(
    batches: t.Mapping[str, Batch], plan: Plan, tell: t.Callable[[str], None]
) -> Outcome:
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
        failures = _safely(batches[verb], able) if able else {}
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


def _each(verb: t.Callable[[Step], None], workers: int = 8) -> Batch:
    """A verb that is carried out for one machine at a time, some side by side."""

    def batch(steps: t.Sequence[Step]) -> Failures:
        alone = tuple(dataclasses.replace(step, needs=frozenset()) for step in steps)
        verbs = {step.verb: verb for step in alone}
        outcome = apply(alone, verbs, workers=workers, keep_going=True)
        return {step.identity: error for step, error in outcome.failed}

    return batch


def _clone(step: Step) -> None:
    name, source = step.subject, step.arguments["source"]
    # A killed run had asked machined for it, which may have done so since we looked.
    cut_off = step.arguments["again"] or act.was_cut_off(name)
    if cut_off:
        _clear_half_made(name)
    try:
        act.clone(source, name)
    except Failure:
        if not cut_off:
            raise
        # Or only now.
        _clear_half_made(name)
        act.clone(source, name)
    path = machined.image_path(name)
    if os.path.isdir(path):
        make_individual(path)
    else:
        path = machined.image_path(name, "raw")
    record = machines_record.read(name)
    if record:
        identity = provenance.identity_of(path)
        machines_record.write(name, dataclasses.replace(record, identity=identity))


def has_booted(root: str, template: t.Optional[str]) -> bool:
    """Whether a clone has another machine ID than its template, which only a boot gives it."""
    own = _machine_id(root)
    return bool(own) and (not template or own != _machine_id(machined.image_path(template)))


def _machine_id(root: str) -> str:
    """The machine ID in an image that is a directory; empty when there is none yet."""
    try:
        with open(core_files.inside(root, "/etc/machine-id"), encoding="ascii") as stream:
            found = stream.read(64).strip()
    except (OSError, ValueError):
        return ""
    return found if found != "uninitialized" else ""


def _clear_half_made(name: str) -> None:
    """Without the settings, which machined would take along: they may be somebody's own."""
    act.await_clone(name)
    if name not in machined.images():
        return
    path = nspawn_file.path_of(name)
    text, mode = core_files.read(path), core_files.mode_of(path)
    act.remove(name)
    if text is not None:
        core_files.write(path, text, mode=mode)


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
    act.remove(step.subject)
    machines_record.forget_start(step.subject)


def _write(step: Step) -> None:
    if step.arguments["reload"]:
        unit_files.mark_unread()
    core_files.write(step.subject, step.arguments["text"], mode=core_files.mode_of(step.subject))


def _delete(step: Step) -> None:
    if step.arguments["reload"]:
        unit_files.mark_unread()
    core_files.remove(step.subject)
    core_files.remove_empty_directory(os.path.dirname(step.subject))


def _record(step: Step) -> None:
    machines_record.write(step.subject, step.arguments["record"])


def _forget(step: Step) -> None:
    machines_record.forget(step.subject)


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


BATCHES: t.Mapping[str, Batch] = {
    "thaw": start.thaw,
    "stop": start.stop,
    "kill": start.kill,
    "disable": _disable,
    "remove": _each(_remove, CLONES_AT_ONCE),
    "record": _each(_record),
    "clone": _each(_clone, CLONES_AT_ONCE),
    "delete": _each(_delete),
    "write": _each(_write),
    "reset": start.reset,
    "forget": _each(_forget),
    "enable": _enable,
    "reload": _reload,
    "restart": start.restart,
    "start": start.start,
    "freeze": start.freeze,
}
