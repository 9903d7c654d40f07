# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is to be done on a host so that its users can be users of machines.

Private to the collection. Pure: from what was seen and what is wanted to a plan.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._access import private_users
from .._core.plan import Plan, Step
from .._settings import nspawn_file
from . import check, equip
from .record import Record
from .seen import People, Tree
from .wanted import Guest, Wanted, settings_of


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The host as far as users are concerned."""

    people: People = dataclasses.field(default_factory=People)
    trees: t.Mapping[str, t.Optional[Tree]] = dataclasses.field(default_factory=dict)
    """By the names of images; nothing of those that cannot be looked into."""
    settings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The settings files of machines that are there."""
    records: t.Mapping[str, Record] = dataclasses.field(default_factory=dict)
    version: int = check.SHARED_SINCE


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    """Nothing when all users have private groups; else one step for each who has not."""
    if wanted.absent:
        return _taken_back(seen, wanted)
    for guest in wanted.guests:
        if not guest.leaving:
            _check(seen, guest, wanted)
    without = [name for name in wanted.names if seen.people.of(name).group != name]
    return tuple(_group(seen, name) for name in without)


def _check(seen: Snapshot, guest: Guest, wanted: Wanted) -> None:
    bound = guest.bound
    making = wanted.rules.make_groups
    check.check(bound, seen.people, wanted.rules, seen.version, making=making)
    for image in (bound.machine, guest.image):
        found = seen.trees.get(image or "")
        if image and found is not None:
            check.check_tree(bound, found, image, seen.people, seen.version)
            equip.equipment(bound, found, f"/var/lib/machines/{bound.machine}")
        if image in seen.trees:
            break
    check.check_shell(bound, seen.people, seen.version)
    check.check_private(bound, _facts(seen, guest), seen.version)


def _facts(seen: Snapshot, guest: Guest) -> private_users.Facts:
    text = seen.settings.get(guest.bound.machine)
    if guest.settings is not None:
        given = nspawn_file.with_defaults(guest.settings).updated(settings_of(guest.bound))
        text = nspawn_file.merge(None, given)
    return private_users.Facts(
        settings=text,
        command=private_users.command_in(guest.unit),
        image_uid=private_users.FIRST_PRIVATE,
        version=seen.version,
    )


def _group(seen: Snapshot, name: str) -> Step:
    person, group = seen.people.of(name), seen.people.groups.get(name)
    old = seen.people.groups.get(person.group or "")
    record = Record(
        person.group,
        made=group is None,
        joined=person.group is not None and (old is None or name not in old.members),
    )
    arguments: dict[str, t.Any] = {"record": record}
    if group is None and person.uid not in seen.people.numbers:
        arguments["gid"] = person.uid
    return Step("group", name, arguments, {"group": person.group}, {"group": name})


# --- back -----------------------------------------------------------------------------------


def _taken_back(seen: Snapshot, wanted: Wanted) -> Plan:
    """The groups that users had before; of whom others have changed since, nothing."""
    named = wanted.names if wanted.guests else tuple(seen.records)
    return tuple(
        Step(
            "ungroup",
            name,
            {"record": record, "changed": seen.people.of(name).group != name},
            {"group": name},
            {"group": record.primary},
        )
        for name, record in seen.records.items()
        if name in named
    )
