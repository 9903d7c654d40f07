# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that exist on paper: a model of one, and single cases."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import random
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Plan, Step
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.record import Record, digest
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._users.seen import (
    Home,
    People,
    Person,
)

NAMES = ("web", "db", "mail", "a-b.c")
TEMPLATES = ("trixie", "bookworm")
TEMPLATE_SETTINGS = {"bookworm": "[Network]\nZone=old\n"}
HOME = Home("/home/alan", "/home/alan", is_directory=True, uid=1000, gid=1000)
ALAN = Person("alan", 1000, "alan", "/bin/bash", HOME, gid=1000)
RESIDENTS = People({"alan": ALAN}, roots=("/home",))
TEXTS = (None, "[Exec]\nNotifyReady=yes\n", "# mine\n[Network]\nPrivate=no\n")
UNITS = (None, "[Service]\nMemoryMax=1G\n", "[Service]\nTasksMax=10\n")


# --- a model of a host ----------------------------------------------------------------------

# It knows what systemd, machined and a file system do when they are told the words of a step, and
# what they refuse; it asks the planner nothing.

Ini = dict[tuple[str, str], list[str]]
UNKNOWN_TEXTS: tuple[t.Optional[str], t.Optional[str]] = ("?", "?")


def read_ini(text: t.Optional[str]) -> Ini:
    found: Ini = {}
    section = ""
    for line in (text or "").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, _equals, value = line.partition("=")
            found.setdefault((section, key), []).append(value)
    return found


def settings_file(name: str) -> str:
    return f"/etc/systemd/nspawn/{name}.nspawn"


def unit_file(name: str) -> str:
    return f"/etc/systemd/system/systemd-nspawn@{name}.service.d/50-nspawn-machined.conf"


class Broken(AssertionError):
    """A step that a real host would have refused, or that would have lost something."""


def need(fact: object, what: str) -> None:
    if not fact:
        raise Broken(what)


@dataclasses.dataclass
class World:
    """What is on a host; a machine is in a table when it has what the table is about."""

    images: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """Type and identity."""
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    loaded: dict[str, t.Optional[str]] = dataclasses.field(default_factory=dict)
    """The drop-ins as systemd has read them."""
    enabled: set[str] = dataclasses.field(default_factory=set)
    active: dict[str, str] = dataclasses.field(default_factory=dict)
    """Whatever is not inactive."""
    frozen: set[str] = dataclasses.field(default_factory=set)
    runs_with: dict[str, tuple[t.Optional[str], t.Optional[str]]] = dataclasses.field(
        default_factory=dict
    )
    noted: set[str] = dataclasses.field(default_factory=set)
    """Machines of whose start the collection has noted the files."""
    records: dict[str, Record] = dataclasses.field(default_factory=dict)
    beside: set[str] = dataclasses.field(default_factory=set)
    """Machines with settings in another place than /etc."""
    unread: bool = False
    origins: dict[str, str] = dataclasses.field(default_factory=dict)
    """What was cloned here, and with which settings of its template."""
    inherited: dict[str, str] = dataclasses.field(default_factory=dict)
    hidden: dict[str, str] = dataclasses.field(default_factory=dict)
    """What machined has cloned and nobody has given its name yet: for whom, and its identity."""
    boots: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    @classmethod
    def of(cls, snapshot: Snapshot) -> World:
        world = cls(unread=snapshot.unread)
        for template in snapshot.images - set(snapshot.machines):
            world.images[template] = ("subvolume", f"inode:{template}")
        for name, text in snapshot.image_settings.items():
            world.files.setdefault(settings_file(name), text)
        for name, seen in snapshot.machines.items():
            world._add(name, seen)
        return world

    def _add(self, name: str, seen: Seen) -> None:
        if seen.leftover:
            self.hidden[name] = f"inode:{next(CLOCK)}"
        if seen.image:
            self.images[name] = (seen.image, seen.identity)
        for path, text in ((settings_file(name), seen.settings), (unit_file(name), seen.unit)):
            self.files.pop(path, None)
            if text is not None:
                self.files[path] = text
        self.loaded[unit_file(name)] = "# what it was before" if self.unread else seen.unit
        if seen.enabled:
            self.enabled.add(name)
        if seen.active != "inactive":
            self.active[name] = seen.active
        if seen.frozen:
            self.frozen.add(name)
        if seen.record:
            self.records[name] = seen.record
        if seen.settings_elsewhere:
            self.beside.add(name)
        if seen.running:
            now = (seen.settings, seen.unit)
            if seen.started_with is not None:
                self.noted.add(name)
                self.runs_with[name] = now if seen.started_with == digest(*now) else UNKNOWN_TEXTS
            else:
                self.runs_with[name] = UNKNOWN_TEXTS if seen.edited_since else now

    def texts(self, name: str) -> tuple[t.Optional[str], t.Optional[str]]:
        return self.files.get(settings_file(name)), self.files.get(unit_file(name))

    def runs(self, name: str) -> bool:
        return self.active.get(name) in ("active", "activating")

    def up_to_date(self, name: str) -> bool:
        """It runs with what its files say, remarks apart."""
        return [read_ini(text) for text in self.runs_with[name]] == [
            read_ini(text) for text in self.texts(name)
        ]

    def look(self, names: t.Iterable[str]) -> Snapshot:
        """What the collection would see."""
        settings = {
            name: self.files[settings_file(name)]
            for name in self.images
            if settings_file(name) in self.files
        }
        machines = {name: self._seen(name) for name in names}
        return Snapshot(
            machines,
            frozenset(self.images),
            settings,
            self.unread,
            residents=RESIDENTS,
            version=258,
        )

    def _seen(self, name: str) -> Seen:
        kind, identity = self.images.get(name, (None, ""))
        settings, unit = self.texts(name)
        runs = self.runs(name)
        noted = runs and name in self.noted
        return Seen(
            image=kind,
            leftover=name in self.hidden,
            identity=identity,
            settings=settings,
            settings_elsewhere=name in self.beside,
            unit=unit,
            enabled=name in self.enabled,
            active=self.active.get(name, "inactive"),
            frozen=name in self.frozen,
            started_with=digest(*self.runs_with[name]) if noted else None,
            edited_since=runs and self.runs_with[name] != (settings, unit),
            record=self.records.get(name),
        )

    # What the verbs do.

    def carry_out(
        self,
        steps: t.Iterable[Step],
        failing: t.Collection[str] = (),
        order: t.Optional[random.Random] = None,
    ) -> None:
        """Verb by verb, the machines of each in any order; what needs a failed step is left out."""
        lost: set[str] = set()
        for verb, group in itertools.groupby(steps, key=lambda step: step.verb):
            batch = list(group)
            if order:
                order.shuffle(batch)
            for step in batch:
                if step.identity in failing or step.needs & lost:
                    lost.add(step.identity)
                elif verb == "reload":
                    self.reload()
                else:
                    getattr(self, verb)(step.arguments["machine"], step)

    def reload(self) -> None:
        self.unread = False
        for name in NAMES:
            self.loaded[unit_file(name)] = self.files.get(unit_file(name))

    def record(self, name: str, step: Step) -> None:
        self.records[name] = step.arguments["record"]

    def forget(self, name: str, step: Step) -> None:
        need(name not in self.images, "forgotten while its image is there")
        need(settings_file(name) not in self.files, "forgotten while its settings are there")
        need(name not in self.hidden, "forgotten while half a clone is there")
        del self.records[name]

    def clone(self, name: str, step: Step) -> None:
        for part in self.parts_of_clone(name, step):
            part()

    def parts_of_clone(self, name: str, step: Step) -> list[t.Callable[[], None]]:
        """Between any two of them the run can be killed."""
        source = step.arguments["source"]
        identity = f"inode:{next(CLOCK)}"
        return [
            lambda: self._copied(name, source, identity),
            lambda: self._recorded(name, identity),
            lambda: self._inherited(name, source),
            lambda: self._published(name, source, identity),
        ]

    def _copied(self, name: str, source: str, identity: str) -> None:
        need(source in self.images, "cloned from what is not there")
        known = self.records.get(name)
        need(known and known.made and not known.identity, "a clone of which nobody knows")
        need(name not in self.images, "cloned though it is there")
        self.hidden[name] = identity

    def _recorded(self, name: str, identity: str) -> None:
        self.records[name] = dataclasses.replace(self.records[name], identity=identity)

    def _inherited(self, name: str, source: str) -> None:
        # machined takes the settings along, unless there are some.
        theirs = self.files.get(settings_file(source))
        if theirs is not None:
            self.files.setdefault(settings_file(name), theirs)
            self.inherited[name] = theirs

    def _published(self, name: str, source: str, identity: str) -> None:
        self.images[name] = (self.images[source][0], self.hidden.pop(name))
        self.origins[name] = source

    def remove(self, name: str, step: Step) -> None:
        need(name not in self.active or self.active[name] == "failed", "removed while it runs")
        need(step.arguments["identity"] == self.images[name][1], "another one is removed")
        del self.images[name]
        self.files.pop(settings_file(name), None)

    def clear(self, name: str, step: Step) -> None:
        del self.hidden[name]

    def write(self, name: str, step: Step) -> None:
        need(step.subject in (settings_file(name), unit_file(name)), "another file")
        self.files[step.subject] = step.arguments["text"]
        self.unread = self.unread or step.subject == unit_file(name)

    def delete(self, name: str, step: Step) -> None:
        need(step.subject in (settings_file(name), unit_file(name)), "another file")
        self.files.pop(step.subject, None)
        self.unread = self.unread or step.subject == unit_file(name)

    def enable(self, name: str, step: Step) -> None:
        need(name in self.images, "enabled without an image")
        self.enabled.add(name)

    def disable(self, name: str, step: Step) -> None:
        self.enabled.discard(name)

    def stop(self, name: str, step: Step) -> None:
        need(name not in self.frozen, "a frozen machine cannot stop")
        need(name in self.active, "stopped although it did not run")
        del self.active[name]
        self.runs_with.pop(name, None)

    def kill(self, name: str, step: Step) -> None:
        if step.arguments["signal"] == 9:
            self.stop(name, step)

    def start(self, name: str, step: Step) -> None:
        need(name in self.images, "started without an image")
        need(name not in self.frozen, "a frozen machine cannot start")
        need(not self.runs(name) or self.active[name] == "activating", "started though it runs")
        need(self.active.get(name) != "deactivating", "started while it stops")
        if name not in self.active or self.active[name] == "failed":
            self._boot(name)
        self.active[name] = "active"

    def restart(self, name: str, step: Step) -> None:
        need(name in self.active, "restarted though it did not run")
        need(name not in self.frozen, "a frozen machine cannot stop")
        self._boot(name)
        self.active[name] = "active"

    def _boot(self, name: str) -> None:
        settings, unit = self.texts(name)
        need(self.loaded.get(unit_file(name)) == unit, "started with a drop-in that was not read")
        self.boots[name] += 1
        self.runs_with[name] = (settings, unit)
        self.noted.add(name)

    def reset(self, name: str, step: Step) -> None:
        need(self.active.get(name) == "failed", "reset although it did not fail")
        del self.active[name]

    def freeze(self, name: str, step: Step) -> None:
        need(self.active.get(name) == "active", "frozen although it does not run")
        self.frozen.add(name)

    def thaw(self, name: str, step: Step) -> None:
        self.frozen.remove(name)

    def part_of(self, name: str) -> tuple[object, ...]:
        """All that there is of one machine."""
        record = self.records.get(name)
        return (
            self.images.get(name),
            *self.texts(name),
            name in self.enabled,
            self.active.get(name),
            name in self.frozen,
            self.runs_with.get(name),
            record,
            self.boots[name],
        )


CLOCK = itertools.count(1000)


def is_ours(world: World, name: str) -> bool:
    """Whether the collection made the image of a machine that has one."""
    record = world.records.get(name)
    known = record is not None and record.made and record.identity
    return bool(known) and known == world.images[name][1]


# --- single cases ---------------------------------------------------------------------------

ZONE = nspawn_file.normalise({"Network": {"Zone": "web"}})
NO_ZONE = nspawn_file.normalise({"Exec": {"NotifyReady": True}})
RUNNING = Seen(image="directory", identity="a", active="active", settings=TEXTS[1])
STOPPED = Seen(image="directory", identity="a", settings=TEXTS[1])


def host_with(**machines: Seen) -> Snapshot:
    images = frozenset(TEMPLATES) | set(machines)
    return Snapshot(machines, images, residents=RESIDENTS, version=258)


def recorded(seen: Seen, wanted: Wanted) -> Seen:
    """The same machine, after a run has noted what was declared for it."""
    steps = plan(host_with(**{wanted.name: seen}), [wanted])
    (record,) = [step.arguments["record"] for step in steps if step.verb == "record"]
    return dataclasses.replace(seen, record=record)


def verbs(steps: Plan) -> list[str]:
    return [step.identity for step in steps]
