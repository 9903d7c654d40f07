# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import dataclasses
import itertools
import random
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    Plan,
    Step,
    describe,
)
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import (
    PHASES,
    Record,
    Seen,
    Snapshot,
    Wanted,
    check,
    digest,
    plan,
    purged,
)
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file

NAMES = ("web", "db", "mail", "a-b.c")
TEMPLATES = ("trixie", "bookworm")
TEMPLATE_SETTINGS = {"bookworm": "[Network]\nZone=old\n"}
TEXTS = (None, "[Exec]\nNotifyReady=yes\n", "# mine\n[Network]\nPrivate=no\n")
UNITS = (None, "[Service]\nMemoryMax=1G\n", "[Service]\nTasksMax=10\n")
planner = settings(max_examples=100, deadline=None)
ZONE = nspawn_file.normalise({"Network": {"Zone": "web"}})
NO_ZONE = nspawn_file.normalise({"Exec": {"NotifyReady": True}})


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
    used: set[str] = dataclasses.field(default_factory=set)
    """Machines that have a machine ID of their own."""
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
        if seen.booted or seen.active != "inactive":
            self.used.add(name)
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
        return Snapshot(machines, frozenset(self.images), settings, self.unread)

    def _seen(self, name: str) -> Seen:
        kind, identity = self.images.get(name, (None, ""))
        settings, unit = self.texts(name)
        runs = self.runs(name)
        noted = runs and name in self.noted
        return Seen(
            image=kind,
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
            booted=name in self.used,
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
        del self.records[name]

    def clone(self, name: str, step: Step) -> None:
        source = step.arguments["source"]
        need(source in self.images, "cloned from what is not there")
        known = self.records.get(name)
        need(known and known.made and not known.identity, "a clone of which nobody knows")
        if step.arguments["again"]:
            del self.images[name]
        need(name not in self.images, "cloned over what was there")
        identity = f"inode:{next(CLOCK)}"
        self.images[name] = (self.images[source][0], identity)
        # machined takes the settings along, unless there are some.
        theirs = self.files.get(settings_file(source))
        if theirs is not None:
            self.files.setdefault(settings_file(name), theirs)
            self.inherited[name] = theirs
        self.origins[name] = source
        self.used.discard(name)
        assert known is not None
        self.records[name] = dataclasses.replace(known, identity=identity)

    def remove(self, name: str, step: Step) -> None:
        need(name not in self.active or self.active[name] == "failed", "removed while it runs")
        del self.images[name]
        self.files.pop(settings_file(name), None)

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
        need(not half_made(self, name), "a half made machine is started")
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
        self.used.add(name)
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


# --- any host, any wish ---------------------------------------------------------------------


@st.composite
def seen_machines(draw: st.DrawFn) -> Seen:
    image = draw(st.sampled_from([None, "directory", "subvolume", "raw"]))
    actives = (
        ["inactive", "failed", "active", "activating", "deactivating"]
        if image
        else ["inactive", "failed"]
    )
    active = draw(st.sampled_from(actives))
    running = active in ("active", "activating")
    text, unit = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(UNITS))
    known = draw(st.sampled_from([None, digest(text, unit), "other"])) if running else None
    return Seen(
        image=image,
        identity=draw(st.sampled_from("abc")) if image else "",
        settings=text,
        settings_elsewhere=draw(st.booleans()),
        unit=unit,
        enabled=draw(st.booleans()),
        active=active,
        frozen=active == "active" and draw(st.booleans()),
        started_with=known,
        edited_since=running and draw(st.booleans()),
        booted=image is not None and draw(st.booleans()),
        record=draw(
            st.none()
            | st.builds(
                Record,
                made=st.booleans(),
                identity=st.sampled_from(["", "a", "b"]),
                owner=st.none(),
            )
        ),
    )


snapshots = st.builds(
    lambda machines, unread: Snapshot(
        machines,
        frozenset(TEMPLATES) | {name for name, seen in machines.items() if seen.image},
        {
            **TEMPLATE_SETTINGS,
            **{
                name: seen.settings
                for name, seen in machines.items()
                if seen.image and seen.settings is not None
            },
        },
        unread,
    ),
    st.dictionaries(st.sampled_from(NAMES), seen_machines()),
    st.booleans(),
)

# What is written in YAML, and by hand what a file must then say.
SAID: t.Mapping[str, tuple[t.Mapping[str, t.Any], Ini]] = {
    "zone": (
        {"Network": {"Zone": "web"}},
        {
            ("Network", "Zone"): ["web"],
            ("Exec", "NotifyReady"): ["yes"],
            ("Exec", "PrivateUsers"): ["pick"],
            ("Files", "PrivateUsersOwnership"): ["auto"],
        },
    ),
    "host": (
        {"Network": {"Private": False}, "Exec": {"PrivateUsers": False, "NotifyReady": None}},
        {("Network", "Private"): ["no"], ("Exec", "PrivateUsers"): ["no"]},
    ),
    "binds": (
        {"Files": {"Bind": ["/a", "/b"], "PrivateUsersOwnership": "map"}},
        {
            ("Files", "Bind"): ["/a", "/b"],
            ("Files", "PrivateUsersOwnership"): ["map"],
            ("Exec", "NotifyReady"): ["yes"],
            ("Exec", "PrivateUsers"): ["pick"],
        },
    ),
}
SECURE: Ini = {
    ("Exec", "NotifyReady"): ["yes"],
    ("Exec", "PrivateUsers"): ["pick"],
    ("Files", "PrivateUsersOwnership"): ["auto"],
}
SETTINGS = {word: nspawn_file.normalise(raw) for word, (raw, _expected) in SAID.items()}


@st.composite
def wishes(draw: st.DrawFn, snapshot: Snapshot) -> list[Wanted]:
    """Any wish for this host; most of them can come true."""
    wanted = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)):
        here = bool(snapshot.of(name).image)
        if draw(st.integers(0, 9)) < (3 if here else 1):
            wanted.append(dataclasses.replace(draw(asked), name=name))
        else:
            rarely = draw(st.integers(0, 9)) == 9
            images = [None, "nosuch", *NAMES] if rarely else [None] * here + sorted(snapshot.images)
            one = dataclasses.replace(
                draw(declared), name=name, image=draw(st.sampled_from(images))
            )
            wanted.append(one)
    return wanted


# As the module machines asks.
declared = st.builds(
    Wanted,
    name=st.just("?"),
    declared=st.just(True),
    state=st.sampled_from(["started", "stopped", "restarted", "paused", "absent"]),
    settings=st.sampled_from([None, *SETTINGS.values()]),
    users=st.sampled_from([(), ("alan",)]),
    unit=st.sampled_from([None, "", *UNITS[1:]]),
    enabled=st.sampled_from([None, True, False]),
    owner=st.sampled_from([None, "alan"]),
    variables=st.sampled_from([{}, {"role": "web"}]),
    restart=st.sampled_from(["never", "when_needed", "always"]),
)
# As the module machine asks: what is there, and nothing but its state.
asked = st.builds(
    Wanted,
    name=st.just("?"),
    state=st.sampled_from([None, "started", "stopped", "restarted", "paused", "killed"]),
    enabled=st.sampled_from([None, True, False]),
    signal=st.sampled_from([9, 1]),
)
Scene = tuple[Snapshot, list[Wanted]]
scenes = snapshots.flatmap(lambda snapshot: st.tuples(st.just(snapshot), wishes(snapshot)))


def impossible(world: World, wanted: t.Sequence[Wanted]) -> bool:
    """Whether something is wanted that cannot be."""
    leaving = {one.name for one in wanted if one.state == "absent"}
    unfinished = {one.name for one in wanted if half_made(world, one.name)}
    for one in wanted:
        if one.state == "absent" or (one.name in world.images and one.name not in unfinished):
            continue
        # It has no image, or none that can be trusted.
        if one.image is None:
            acts = one.state in ("started", "restarted", "paused") or one.enabled
            if one.declared or acts or one.name in unfinished:
                return True
        elif one.image not in world.images or one.image in leaving | unfinished:
            return True
    return False


def half_made(world: World, name: str) -> bool:
    record = world.records.get(name)
    begun = record is not None and record.made and not record.identity
    # Whoever has started it found it whole.
    stirs = name in world.active or name in world.used
    return begun and name in world.images and not stirs


def planned(
    snapshot: Snapshot, wanted: t.Sequence[Wanted], *, rolling: int = 0
) -> t.Optional[Plan]:
    """The plan; nothing when it is refused."""
    try:
        return plan(snapshot, wanted, rolling=rolling)
    except Failure:
        return None


def again(wanted: t.Iterable[Wanted]) -> list[Wanted]:
    """The wish without what is by its nature done each time."""
    return [
        dataclasses.replace(
            one,
            state=None
            if one.state == "killed" and one.signal != 9
            else "started"
            if one.state == "restarted"
            else one.state,
            restart="when_needed" if one.restart == "always" else one.restart,
        )
        for one in wanted
    ]


def check_fulfilled(before: World, after: World, one: Wanted) -> None:
    """That one wish came true, and that nothing else was done to the machine."""
    name = one.name
    if one.state == "absent":
        assert after.part_of(name)[:-1] == (None, None, None, False, None, False, None, None)
        return
    if one.image or name in before.images:
        assert name in after.images
    kept = name in before.images and not half_made(before, name)
    if kept:
        assert after.images[name] == before.images[name]
    elif one.image:
        assert after.origins[name] == one.image
    check_state(before, after, one)
    was_enabled = name in before.enabled
    assert (name in after.enabled) == (was_enabled if one.enabled is None else one.enabled)
    if not one.declared:
        assert after.texts(name) == before.texts(name)
        assert after.records.get(name) == before.records.get(name)
        return
    check_files(before, after, one, kept)
    record = after.records.get(name) or Record()
    assert (record.owner, record.variables) == (one.owner, one.variables)
    was_made = name in before.records and before.records[name].made
    assert record.made == (was_made or not kept)
    if not kept or (was_made and not before.records[name].identity):
        assert record.identity == after.images[name][1]


def check_state(before: World, after: World, one: Wanted) -> None:
    name = one.name
    was, state = before.active.get(name), one.state
    deadly = state == "killed" and one.signal == 9
    if state in ("started", "restarted", "paused"):
        assert after.active[name] in ("active", "activating") or one.wait != "booted"
        assert (name in after.frozen) == (state == "paused")
    elif state == "stopped" or deadly:
        assert after.active.get(name) in (None, "failed")
    else:
        assert after.active.get(name) == was
        assert (name in after.frozen) == (name in before.frozen)
    if not after.runs(name):
        return
    asleep = not before.runs(name)
    if asleep or state == "restarted" or (one.restart == "always" and state != "killed"):
        assert after.boots[name] == 1
    elif one.restart == "never":
        assert after.boots[name] == 0
    elif name in before.noted:
        # With what it had been started is known: restarted when that is something else now.
        expected = [read_ini(text) for text in before.runs_with[name]]
        now = [read_ini(text) for text in after.texts(name)]
        assert after.boots[name] == (expected != now)
    if one.restart != "never":
        assert after.up_to_date(name)


def check_files(before: World, after: World, one: Wanted, kept: bool) -> None:
    name = one.name
    old_settings, old_unit = before.texts(name)
    settings, unit = after.texts(name)
    assert unit == (old_unit if one.unit is None else one.unit or None)
    users = {("Files", "BindUser"): list(one.users)} if one.users else {}
    basis = old_settings
    if old_settings is None and not kept:
        basis = after.inherited.get(name)
    if one.settings is not None:
        (expected,) = [SAID[word][1] for word, value in SETTINGS.items() if value == one.settings]
        assert read_ini(settings) == {**expected, **users}
    elif basis is not None:
        assert read_ini(settings) == {**read_ini(basis), **users}
    elif name not in before.beside or not kept:
        assert read_ini(settings) == {**SECURE, **users}
    remarks = [line for line in (old_settings or "").splitlines() if line.startswith("#")]
    assert [line for line in remarks if line not in (settings or "")] == []


@planner
@given(scenes, st.randoms(use_true_random=False))
def test_the_plan_carried_out_gives_the_wish_and_a_second_plan_is_empty(
    scene: Scene, order: random.Random
) -> None:
    snapshot, wanted = scene
    before, world = World.of(snapshot), World.of(snapshot)
    steps = planned(snapshot, wanted)
    assert (steps is None) == impossible(before, wanted)
    if steps is None:
        return
    world.carry_out(steps, order=order)
    for one in wanted:
        check_fulfilled(before, world, one)
    assert plan(world.look(one.name for one in wanted), again(wanted)) == ()
    if any(one.declared for one in wanted) or world.boots:
        assert not world.unread


@planner
@given(scenes)
def test_what_is_not_named_stays_as_it_is(scene: Scene) -> None:
    snapshot, wanted = scene
    before, world = World.of(snapshot), World.of(snapshot)
    names = {one.name for one in wanted}
    steps = planned(snapshot, wanted) or ()
    world.carry_out(steps)
    for name in {*NAMES, *TEMPLATES} - names:
        assert world.part_of(name) == before.part_of(name)
    for step in steps:
        if step.verb != "reload":
            assert step.arguments["machine"] in names
            name = step.arguments["machine"]
            assert step.subject in (name, settings_file(name), unit_file(name))


@planner
@given(scenes)
def test_a_run_that_was_killed_at_any_moment_is_made_good_by_the_next(scene: Scene) -> None:
    snapshot, wanted = scene
    steps = planned(snapshot, wanted) or ()
    for moment in range(len(steps)):
        before, world = World.of(snapshot), World.of(snapshot)
        world.carry_out(steps[:moment])
        recover(before, world, wanted)


@planner
@given(scenes, st.randoms(use_true_random=False))
def test_whatever_fails_nothing_is_built_upon_it_and_the_next_run_makes_it_good(
    scene: Scene, order: random.Random
) -> None:
    snapshot, wanted = scene
    steps = planned(snapshot, wanted) or ()
    for step in steps:
        before, world = World.of(snapshot), World.of(snapshot)
        world.carry_out(steps, {step.identity}, order)
        recover(before, world, wanted)


def recover(before: World, world: World, wanted: list[Wanted]) -> None:
    """Run again after a run that did not come to its end."""
    world.carry_out(plan(world.look(one.name for one in wanted), wanted))
    for one in wanted:
        if one.state == "killed" and one.signal != 9:
            continue
        world.boots.clear()
        check_recovered(before, world, one)
    assert plan(world.look(one.name for one in wanted), again(wanted)) == ()


def check_recovered(before: World, world: World, one: Wanted) -> None:
    """As C(check_fulfilled), but how often it was booted on the way does not count."""
    name = one.name
    quiet = dataclasses.replace(one, restart="never", state=one.state)
    if world.runs(name):
        world.boots[name] = int(not before.runs(name) or one.state == "restarted")
    check_fulfilled(before, world, quiet)
    if one.declared and one.restart != "never" and world.runs(name):
        assert world.up_to_date(name)


# Of one machine, which steps must come before which, whatever the planner thinks.
BEFORE = [
    ("record", "clone"),
    ("clone", "write"),
    ("clone", "enable"),
    ("clone", "start"),
    ("write", "start"),
    ("write", "restart"),
    ("delete", "start"),
    ("delete", "restart"),
    ("thaw", "stop"),
    ("thaw", "kill"),
    ("thaw", "restart"),
    ("stop", "remove"),
    ("stop", "forget"),
    ("remove", "forget"),
    ("delete", "forget"),
    ("start", "freeze"),
    ("restart", "freeze"),
]
RELOADED = ("enable", "disable")


@planner
@given(scenes, st.integers(0, 3))
def test_each_step_comes_after_what_it_builds_upon(scene: Scene, rolling: int) -> None:
    snapshot, wanted = scene
    steps = planned(snapshot, wanted, rolling=rolling) or ()
    done: set[str] = set()
    for step in steps:
        assert step.needs <= done
        assert step.identity not in done
        done.add(step.identity)
    phases = [PHASES.index(step.verb) for step in steps]
    assert phases == sorted(phases)
    places: dict[tuple[str, str], list[int]] = {}
    for number, step in enumerate(steps):
        places.setdefault((step.arguments.get("machine", ""), step.verb), []).append(number)
    for name in NAMES:
        for first, then in BEFORE:
            earlier, later = places.get((name, first), []), places.get((name, then), [])
            assert not earlier or not later or max(earlier) < min(later), (first, then)
    reloads = places.get(("", "reload"), [])
    assert len(reloads) <= 1
    for number, step in enumerate(steps):
        if step.verb in RELOADED or step.subject == unit_file(step.arguments.get("machine", "")):
            assert reloads and number < reloads[0]
        if step.verb in ("start", "restart"):
            assert not reloads or reloads[0] < number


@planner
@given(scenes)
def test_what_one_machine_needs_is_never_another_machine(scene: Scene) -> None:
    snapshot, wanted = scene
    steps = {step.identity: step for step in planned(snapshot, wanted) or ()}
    for step in steps.values():
        for other in step.needs - {"reload systemd"}:
            assert steps[other].arguments["machine"] == step.arguments["machine"]


@planner
@given(scenes)
def test_purging_takes_what_the_collection_made_and_nothing_else(scene: Scene) -> None:
    snapshot, wanted = scene
    before, world = World.of(snapshot), World.of(snapshot)
    every = [*wanted, *purged(snapshot, wanted)]
    steps = planned(snapshot, every)
    if steps is None:
        assert impossible(before, wanted)
        return
    world.carry_out(steps)
    named = {name for one in wanted for name in (one.name, one.image)}
    for name in {*NAMES, *TEMPLATES} - named:
        record, image = before.records.get(name), before.images.get(name)
        ours = record and record.made and (not image or record.identity in ("", image[1]))
        gone = (None, None, None, False, None, False, None, None, 0)
        assert world.part_of(name) == (gone if ours else before.part_of(name))
    assert purged(world.look(NAMES), wanted) == []


# --- single cases ---------------------------------------------------------------------------

RUNNING = Seen(image="directory", identity="a", active="active", settings=TEXTS[1])
STOPPED = Seen(image="directory", identity="a", settings=TEXTS[1])


def host_with(**machines: Seen) -> Snapshot:
    return Snapshot(machines, frozenset(TEMPLATES) | set(machines))


def recorded(seen: Seen, wanted: Wanted) -> Seen:
    """The same machine, after a run has noted what was declared for it."""
    steps = plan(host_with(**{wanted.name: seen}), [wanted])
    (record,) = [step.arguments["record"] for step in steps if step.verb == "record"]
    return dataclasses.replace(seen, record=record)


def verbs(steps: Plan) -> list[str]:
    return [step.identity for step in steps]


def test_a_machine_from_nothing_is_cloned_configured_enabled_and_started() -> None:
    wanted = Wanted(
        "web", "started", image="trixie", declared=True, enabled=True, unit=UNITS[1], settings=ZONE
    )
    assert verbs(plan(host_with(), [wanted])) == [
        "record web",
        "clone web",
        "write /etc/systemd/nspawn/web.nspawn",
        "write /etc/systemd/system/systemd-nspawn@web.service.d/50-nspawn-machined.conf",
        "enable web",
        "reload systemd",
        "start web",
    ]


def test_machine_starts_without_looking_after_settings_or_records() -> None:
    seen = dataclasses.replace(STOPPED, settings=None)
    assert verbs(plan(host_with(web=seen), [Wanted("web", "started")])) == ["start web"]


def test_settings_of_a_machine_that_has_some_are_left_alone_when_none_are_given() -> None:
    wanted = Wanted("web", "started", declared=True)
    hers = recorded(dataclasses.replace(RUNNING, settings="# hers\n"), wanted)
    assert plan(host_with(web=hers), [wanted]) == ()


def test_a_record_keeps_what_was_declared_and_a_change_by_hand_does_not_change_it() -> None:
    wanted = Wanted("web", "started", declared=True, settings=ZONE, enabled=True, unit=UNITS[1])
    seen = recorded(RUNNING, wanted)
    assert seen.record is not None
    assert seen.record.declared["state"] == "started"
    assert seen.record.declared["settings"]["Network"] == {"Zone": ["web"]}
    assert seen.record.declared["unit"] == {"Service": {"MemoryMax": ["1G"]}}
    edited = dataclasses.replace(seen, settings="[Network]\nZone=db\n", enabled=False)
    assert "record" not in {step.verb for step in plan(host_with(web=edited), [wanted])}


def test_a_clone_keeps_the_settings_of_its_template() -> None:
    snapshot = Snapshot({}, frozenset(TEMPLATES), TEMPLATE_SETTINGS)
    steps = plan(snapshot, [Wanted("web", "stopped", image="bookworm", declared=True)])
    (write,) = [step for step in steps if step.verb == "write"]
    assert write.arguments["text"] == TEMPLATE_SETTINGS["bookworm"]


def test_a_running_machine_is_restarted_only_when_its_settings_changed() -> None:
    wanted = Wanted("web", "started", declared=True, settings=ZONE, restart="when_needed")
    steps = plan(host_with(web=RUNNING), [wanted])
    assert steps[-1].identity == "restart web"
    assert "web.nspawn" in steps[-1].arguments["reason"]
    never = dataclasses.replace(wanted, restart="never")
    assert "restart" not in {step.verb for step in plan(host_with(web=RUNNING), [never])}


def test_settings_that_were_edited_and_put_back_need_no_restart() -> None:
    there = dataclasses.replace(RUNNING, settings="[Exec]\nNotifyReady=no\n", edited_since=True)
    wanted = Wanted("web", "started", declared=True, settings=NO_ZONE, restart="when_needed")
    text = next(s for s in plan(host_with(web=there), [wanted]) if s.verb == "write").after
    assert isinstance(text, str)
    known = dataclasses.replace(recorded(there, wanted), started_with=digest(text, None))
    assert [step.verb for step in plan(host_with(web=known), [wanted])] == ["write"]


def test_a_machine_that_was_started_before_its_files_changed_is_restarted() -> None:
    stale = dataclasses.replace(RUNNING, edited_since=True)
    wanted = Wanted("web", "started", declared=True, restart="when_needed")
    assert verbs(plan(host_with(web=recorded(stale, wanted)), [wanted])) == ["restart web"]


def test_rolling_numbers_the_groups_of_restarts() -> None:
    snapshot = host_with(a=RUNNING, b=RUNNING, c=RUNNING)
    wanted = [Wanted(name, "restarted") for name in "abc"]
    groups = [step.arguments["group"] for step in plan(snapshot, wanted, rolling=2)]
    assert groups == [0, 0, 1]


def test_a_machine_that_is_starting_already_is_waited_for() -> None:
    starting = dataclasses.replace(RUNNING, active="activating")
    wanted = Wanted("web", "started")
    assert verbs(plan(host_with(web=starting), [wanted])) == ["start web"]
    patient = dataclasses.replace(wanted, wait="registered")
    assert plan(host_with(web=starting), [patient]) == ()


def test_only_a_machine_that_runs_is_killed() -> None:
    steps = plan(host_with(a=RUNNING, b=STOPPED), [Wanted(name, "killed") for name in "ab"])
    assert verbs(steps) == ["kill a"]


def test_a_machine_that_hangs_in_its_shutdown_is_stopped_and_killed_like_one_that_runs() -> None:
    hanging = dataclasses.replace(RUNNING, active="deactivating")
    for state, verb in (("stopped", "stop"), ("killed", "kill")):
        assert verbs(plan(host_with(web=hanging), [Wanted("web", state)])) == [f"{verb} web"]


def test_a_machine_that_hangs_in_its_shutdown_is_stopped_before_it_is_started() -> None:
    hanging = dataclasses.replace(RUNNING, active="deactivating")
    for state in ("started", "restarted"):
        (step,) = plan(host_with(web=hanging), [Wanted("web", state, force=True)])
        assert step.identity == "restart web" and step.arguments["force"]


def test_a_pause_ends_before_what_the_machine_must_be_awake_for() -> None:
    paused = dataclasses.replace(RUNNING, frozen=True)
    assert verbs(plan(host_with(web=paused), [Wanted("web", "killed")])) == ["thaw web", "kill web"]
    harmless = Wanted("web", "killed", signal=1)
    assert verbs(plan(host_with(web=paused), [harmless])) == ["kill web"]


def test_an_absent_machine_is_stopped_before_its_image_goes() -> None:
    seen = dataclasses.replace(RUNNING, enabled=True, unit=UNITS[1], record=Record(made=True))
    assert verbs(plan(host_with(web=seen), [Wanted("web", "absent", declared=True)])) == [
        "stop web",
        "disable web",
        "remove web",
        "delete /etc/systemd/nspawn/web.nspawn",
        "delete /etc/systemd/system/systemd-nspawn@web.service.d/50-nspawn-machined.conf",
        "forget web",
        "reload systemd",
    ]


def test_a_clone_that_was_cut_off_is_made_anew() -> None:
    half = Seen(image="directory", identity="c", record=Record(made=True, image="trixie"))
    wanted = Wanted("web", "stopped", image="trixie", declared=True)
    clone = next(s for s in plan(host_with(web=half), [wanted]) if s.verb == "clone")
    assert clone.arguments["again"]


def test_a_clone_that_was_cut_off_and_booted_by_hand_is_kept() -> None:
    used = Seen(image="directory", identity="c", booted=True, record=Record(made=True))
    wanted = Wanted("web", "stopped", image="trixie", declared=True)
    steps = plan(host_with(web=used), [wanted])
    assert "clone" not in {step.verb for step in steps}
    assert recorded(used, wanted).record == dataclasses.replace(
        t.cast("Record", steps[0].arguments["record"]), identity="c"
    )


def test_a_machine_that_was_made_anew_by_somebody_else_is_not_purged() -> None:
    theirs = dataclasses.replace(STOPPED, identity="b", record=Record(made=True, identity="a"))
    ours = dataclasses.replace(STOPPED, record=Record(made=True, identity="a"))
    assert [one.name for one in purged(host_with(old=ours, new=theirs), [])] == ["old"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("web", "started", image="trixi", declared=True), "Did you mean trixie"),
        (Wanted("web", "started", declared=True), "none is named to clone it from"),
        (Wanted("bookwor", "started"), "Did you mean bookworm"),
        (Wanted("other", "started"), "a machine of this name runs in session-1.scope"),
    ],
)
def test_what_cannot_come_true_is_refused_before_anything_changes(
    wanted: Wanted, message: str
) -> None:
    other = dataclasses.replace(STOPPED, stranger="session-1.scope")
    with pytest.raises(Failure, match=message):
        plan(host_with(other=other), [Wanted("other2", "absent"), wanted])


def test_a_machine_wanted_twice_is_refused() -> None:
    with pytest.raises(Failure, match="web: wanted more than once"):
        check(host_with(web=STOPPED), [Wanted("web"), Wanted("web")])


def test_a_machine_is_not_cloned_from_one_that_is_removed_in_the_same_call() -> None:
    wanted = [Wanted("old", "absent", declared=True), Wanted("new", image="old", declared=True)]
    with pytest.raises(Failure, match="new: cannot be cloned from old, which is to be absent"):
        plan(host_with(old=STOPPED), wanted)
    assert "clone new" in verbs(plan(host_with(old=STOPPED), wanted[1:]))


def test_what_others_are_cloned_from_is_not_purged() -> None:
    ours = dataclasses.replace(STOPPED, record=Record(made=True, identity="a"))
    wanted = [Wanted("new", image="old", declared=True)]
    assert purged(host_with(old=ours), wanted) == []


def test_what_a_cut_off_run_left_unread_is_read_also_when_nothing_else_is_to_be_done() -> None:
    wanted = Wanted("web", "started", declared=True)
    snapshot = dataclasses.replace(host_with(web=recorded(RUNNING, wanted)), unread=True)
    assert verbs(plan(snapshot, [wanted])) == ["reload systemd"]


@pytest.mark.parametrize("unread", [False, True])
def test_a_start_reloads_systemd_only_for_what_a_cut_off_run_left_unread(unread: bool) -> None:
    stopped = dataclasses.replace(STOPPED, unit=UNITS[1])
    snapshot = Snapshot({"web": stopped}, frozenset({"web"}), unread=unread)
    found = describe(plan(snapshot, [Wanted("web", state="started", declared=True, image="web")]))
    assert ("reload systemd" in found) == unread
    assert "start web" in found
