# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module C(users) calls. Private to the collection."""

from __future__ import annotations

import typing as t

from .._core import files as core_files
from .._core import locks
from .._core import module as core_module
from .._settings import nspawn_file
from .._systemd import machined
from . import act, check, plan
from . import record as users_record
from . import seen as users_seen
from . import wanted as users_wanted

Module = core_module.Module


def converge(module: Module) -> t.NoReturn:
    """The module C(users): the people of a host who are users of machines."""
    core_module.run(module, lambda: _converged(module))


def _converged(module: Module) -> dict[str, t.Any]:
    parameters = module.params
    rules = users_wanted.rules_of(parameters["home_roots"], parameters["private_group"] == "make")
    absent = parameters["state"] == "absent"
    wanted = users_wanted.wanted_of(parameters["machines"], rules, absent=absent)
    # The tools themselves hold the files' own locks, one after the other.
    with core_module.holding(module, [locks.file("/etc/group")]):
        seen = _look(wanted)
        steps = plan.plan(seen, wanted)
        for guest in wanted.guests:
            machine = guest.bound.machine
            image = machine if machine in seen.trees else guest.image or ""
            if image in seen.trees and not guest.leaving:
                surprise = check.warning(guest.bound, seen.trees[image], image)
                if surprise:
                    module.warn(surprise)
        return core_module.converge(
            module, steps, act.VERBS, workers=1, facts=lambda: _told(wanted)
        )


def _look(wanted: users_wanted.Wanted) -> plan.Snapshot:
    people = users_seen.people(
        wanted.names if not wanted.absent else list(users_record.read_all()),
        wanted.rules.home_roots,
    )
    if wanted.absent or not wanted.names:
        return plan.Snapshot(people, records=users_record.read_all())
    images = machined.images()
    asked: dict[str, frozenset[str]] = {}
    for guest in wanted.guests:
        for image in filter(None, (guest.bound.machine, guest.image)):
            shells = check.shells_of(guest.bound, people)
            asked[image] = asked.get(image, frozenset()) | shells
    texts = {
        guest.bound.machine: core_files.read(nspawn_file.path_of(guest.bound.machine))
        for guest in wanted.guests
    }
    return plan.Snapshot(
        people=people,
        trees=users_seen.trees(images, asked),
        settings={name: text for name, text in texts.items() if text is not None},
        records=users_record.read_all(),
        version=machined.systemd_version(),
    )


def _told(wanted: users_wanted.Wanted) -> dict[str, t.Any]:
    people = users_seen.people(wanted.names, wanted.rules.home_roots)
    machines = {guest.bound.machine: list(guest.bound.names) for guest in wanted.guests}
    return {
        "machines": machines,
        "users": {
            name: {"uid": one.uid, "group": one.group, "home": one.home.real or None}
            for name, one in people.persons.items()
        },
    }
