# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What there is of machines on a host, read once for all of them. Private to the collection.

However many machines there are, looking costs the same few processes.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._access import private_users
from .._access import seen as access_seen
from .._access import wanted as access_wanted
from .._core import files as core_files
from .._images import hidden
from .._images.identity import identity_of
from .._settings import nspawn_file
from .._shares import seen as shares_seen
from .._systemd import machined, unit_files
from .._systemd import units as systemd_units
from .._users import check as users_check
from .._users import seen as users_seen
from .._users import wanted as users_wanted
from . import record as machines_record
from .wanted import Wanted

RUNNING = frozenset({"active", "activating", "reloading", "refreshing"})


@dataclasses.dataclass(frozen=True)
class Seen:
    """One machine as it is."""

    image: t.Optional[str] = None
    """The type of its image."""
    path: t.Optional[str] = None
    """Where that is."""
    leftover: bool = False
    """There is a clone that was to become its image when a run was cut off."""
    identity: str = ""
    """What stays the same of its image under any name (see C(_images.identity))."""
    settings: t.Optional[str] = None
    """The text of its file in /etc."""
    settings_elsewhere: bool = False
    """There is a file in one of the places that count when there is none in /etc."""
    unit: t.Optional[str] = None
    """The text of its drop-in."""
    settings_mode: int = 0o644
    unit_mode: int = 0o644
    """Who may read these files."""
    enabled: bool = False
    active: str = "inactive"
    frozen: bool = False
    stranger: t.Optional[str] = None
    """The unit in which a machine of this name runs, when that is not its own."""
    started_with: t.Optional[str] = None
    """The digest of the files that the running machine was started with, when that is known."""
    edited_since: bool = False
    """Its files are younger than its start."""
    record: t.Optional[machines_record.Record] = None
    grant: t.Optional[access_wanted.Grant] = None
    """What people other than root may do with it."""

    @property
    def running(self) -> bool:
        return self.active in RUNNING

    @property
    def stoppable(self) -> bool:
        """It runs, or is about to stop and may hang in that."""
        return self.running or self.active == "deactivating"

    @property
    def is_ours(self) -> bool:
        """Its image is the one that the collection made."""
        record = self.record
        return bool(record and record.made and record.identity and record.identity == self.identity)


NOTHING = Seen()


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The host as it is."""

    machines: t.Mapping[str, Seen]
    images: frozenset[str]
    """The names of all images."""
    image_settings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The text of the settings of images that are cloned: the clone takes it along."""
    unread: bool = False
    """A run was cut off between a change of a unit and systemd's reload."""

    people: t.Mapping[access_wanted.Owner, access_seen.Person] = dataclasses.field(
        default_factory=dict
    )
    """What the host makes of the names of owners."""
    host: shares_seen.Host = dataclasses.field(default_factory=shares_seen.Host)
    """What there is of all that machines shall be shown."""
    residents: users_seen.People = dataclasses.field(default_factory=users_seen.People)
    """What it makes of the names of users."""
    trees: t.Mapping[str, t.Optional[users_seen.Tree]] = dataclasses.field(default_factory=dict)
    """What the images of machines with users have of users; nothing of those that are files."""
    rules: users_wanted.Rules = dataclasses.field(default_factory=users_wanted.Rules)
    version: int = 0
    """Of systemd; looked at when something depends on it."""

    def of(self, name: str) -> Seen:
        return self.machines.get(name, NOTHING)

    def named_for(self, one: Wanted) -> tuple[str, ...]:
        """Whom files that are there make users of a machine that says nothing of these files."""
        seen = self.of(one.name)
        if not one.declared or one.state == "absent":
            return ()
        settings = None
        if one.settings is None:
            settings = seen.settings
            if settings is None and one.image and not seen.image:
                settings = self.image_settings.get(one.image)
        drop_in = seen.unit if one.unit is None else one.unit
        named = users_wanted.named_in(settings, private_users.command_in(drop_in))
        ours = seen.record.users if seen.record else ()
        return tuple(name for name in named if name not in ours)


# --- look -----------------------------------------------------------------------------------


def snapshot(
    wanted: t.Sequence[Wanted],
    *,
    also: t.Iterable[str] = (),
    rules: t.Optional[users_wanted.Rules] = None,
) -> Snapshot:
    """The host as it is, as far as these machines are concerned, and those named O(also).

    O(rules) are those for users.
    """
    names = list(dict.fromkeys([*(one.name for one in wanted), *also]))
    images = machined.images()
    leftovers = hidden.left()
    units = systemd_units.snapshot([machined.unit_of(name) for name in names])
    strangers = _strangers(units)
    rights = access_seen.granted()
    sources = {one.image for one in wanted if one.image}
    shares = [share for one in wanted for share in one.shares]
    texts = {name: core_files.read(nspawn_file.path_of(name)) for name in sources}
    machines = {
        name: dataclasses.replace(
            _seen(name, images.get(name), units[machined.unit_of(name)], strangers),
            leftover=name in leftovers,
            grant=rights.get(name),
        )
        for name in names
    }
    snapshot = Snapshot(
        machines=machines,
        images=frozenset(images),
        image_settings={name: text for name, text in texts.items() if text is not None},
        unread=unit_files.unread(),
        people=access_seen.people(
            owner for one in wanted if one.grant for owner in one.grant.owners
        ),
        host=shares_seen.snapshot(shares),
        version=machined.systemd_version() if shares else 0,
    )
    return _with_residents(snapshot, wanted, images, rules or users_wanted.Rules())


def _with_residents(
    snapshot: Snapshot,
    wanted: t.Sequence[Wanted],
    images: t.Mapping[str, machined.Image],
    rules: users_wanted.Rules,
) -> Snapshot:
    """Nobody who asks for no users pays for a look at them."""
    bound = {name for one in wanted for name in one.bound.names}
    named = {name for one in wanted for name in snapshot.named_for(one)}
    people = users_seen.people(bound | named, rules.home_roots)
    asked: dict[str, frozenset[str]] = {}
    for one in wanted:
        record = snapshot.of(one.name).record
        image = one.name if one.name in images else one.image
        if image and (one.bound.names or (one.declared and record and record.users)):
            shells = users_check.shells_of(one.bound, people)
            asked[image] = asked.get(image, frozenset()) | shells
    if not asked and not named:
        return dataclasses.replace(snapshot, residents=people, rules=rules)
    return dataclasses.replace(
        snapshot,
        residents=people,
        trees=users_seen.trees(images, asked),
        rules=rules,
        version=machined.systemd_version(),
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
        path=image.path if image else None,
        identity=identity_of(image.path) if image else "",
        settings=core_files.read(nspawn_file.path_of(name)),
        settings_elsewhere=bool(file and file.path != nspawn_file.path_of(name)),
        unit=core_files.read(drop_in),
        settings_mode=core_files.mode_of(nspawn_file.path_of(name)),
        unit_mode=core_files.mode_of(drop_in),
        enabled=state.enabled,
        active=state.active,
        frozen=state.frozen,
        stranger=strangers.get(name),
        record=machines_record.read(name),
    )
    if not state.running:
        return seen
    files = [drop_in, *([file.path] if file else [])]
    return dataclasses.replace(
        seen,
        started_with=machines_record.started_with(name, unit),
        edited_since=systemd_units.younger_than_start(unit, files),
    )
