# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import random
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    Plan,
    describe,
)
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import (
    PHASES,
    plan,
    purged,
)
from ansible_collections.nspawn.machined.plugins.module_utils._machines.record import Record, digest
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.seen import (
    Snapshot as Nsswitch,
)
from ansible_collections.nspawn.machined.plugins.module_utils._users.seen import Tree
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import Bound
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.scenes import (
    SAID,
    SECURE,
    SETTINGS,
    Scene,
    impossible,
    scenes,
)
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    CLOCK,
    NAMES,
    RUNNING,
    STOPPED,
    TEMPLATES,
    UNITS,
    ZONE,
    World,
    host_with,
    is_ours,
    read_ini,
    recorded,
    settings_file,
    unit_file,
    verbs,
)

planner = settings(max_examples=100, deadline=None)


# --- any host, and anything that is wanted --------------------------------------------------


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
        assert name not in after.hidden
        assert after.part_of(name)[:-1] == (None, None, None, False, None, False, None, None)
        return
    if one.image or name in before.images:
        assert name in after.images
    kept = name in before.images
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
    assert name not in after.hidden
    check_files(before, after, one, kept)
    record = after.records.get(name) or Record()
    assert (record.owner, record.variables) == (one.owner, one.variables)
    assert record.made == (not kept or is_ours(before, name))
    if record.made:
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
        if steps[moment].verb != "clone":
            continue
        for part in range(1, CLONE_PARTS + 1):
            before, world = World.of(snapshot), World.of(snapshot)
            world.carry_out(steps[:moment])
            for act in world.parts_of_clone(steps[moment].subject, steps[moment])[:part]:
                act()
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


CLONE_PARTS = 4
Deed = t.Callable[[World, str], None]


def makes(world: World, name: str) -> None:
    """Somebody makes a machine by hand."""
    if name not in world.images:
        world.images[name] = ("directory", f"inode:{next(CLOCK)}")


def replaces(world: World, name: str) -> None:
    """Somebody throws a machine away and makes another one."""
    if name not in world.active:
        world.images[name] = ("raw", f"inode:{next(CLOCK)}")


deeds = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([makes, replaces]))


@planner
@given(scenes, deeds, st.integers(1, CLONE_PARTS))
def test_nothing_that_is_there_after_a_kill_is_lost_whoever_made_it(
    scene: Scene, done: t.Mapping[str, Deed], part: int
) -> None:
    snapshot, wanted = scene
    steps = planned(snapshot, wanted) or ()
    for moment, step in enumerate(steps):
        world = World.of(snapshot)
        world.carry_out(steps[:moment])
        if step.verb == "clone":
            for act in world.parts_of_clone(step.subject, step)[:part]:
                act()
        for name, deed in done.items():
            deed(world, name)
        there, owned = dict(world.images), {n for n in world.images if is_ours(world, n)}
        world.carry_out(plan(world.look(one.name for one in wanted), wanted))
        for one in wanted:
            if one.state == "absent":
                assert one.name not in world.images
                continue
            assert one.name not in there or world.images[one.name] == there[one.name]
            if one.declared:
                assert world.records[one.name].made == (one.name not in there or one.name in owned)
        assert plan(world.look(one.name for one in wanted), again(wanted)) == ()
        lost = {one.name for one in purged(world.look(NAMES), [])} & set(there)
        assert lost <= owned


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
        ours = is_ours(before, name) if image else record and record.made
        gone = (None, None, None, False, None, False, None, None, 0)
        assert world.part_of(name) == (gone if ours else before.part_of(name))
    assert purged(world.look(NAMES), wanted) == []


# --- single cases ---------------------------------------------------------------------------


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


def test_a_record_keeps_what_was_declared_and_a_change_by_hand_does_not_change_it() -> None:
    wanted = Wanted("web", "started", declared=True, settings=ZONE, enabled=True, unit=UNITS[1])
    seen = recorded(RUNNING, wanted)
    assert seen.record is not None
    assert seen.record.declared["state"] == "started"
    assert seen.record.declared["settings"]["Network"] == {"Zone": ["web"]}
    assert seen.record.declared["unit"] == {"Service": {"MemoryMax": ["1G"]}}
    edited = dataclasses.replace(seen, settings="[Network]\nZone=db\n", enabled=False)
    assert "record" not in {step.verb for step in plan(host_with(web=edited), [wanted])}


def test_rolling_numbers_the_groups_of_restarts() -> None:
    snapshot = host_with(a=RUNNING, b=RUNNING, c=RUNNING)
    wanted = [Wanted(name, "restarted") for name in "abc"]
    groups = [step.arguments["group"] for step in plan(snapshot, wanted, rolling=2)]
    assert groups == [0, 0, 1]


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


def test_what_lies_where_a_clone_was_cut_off_is_somebody_elses_and_is_kept() -> None:
    used = Seen(image="directory", identity="c", record=Record(made=True, image="trixie"))
    wanted = Wanted("web", "stopped", image="trixie", declared=True)
    steps = plan(host_with(web=used), [wanted])
    assert "clone" not in {step.verb for step in steps}
    assert recorded(used, wanted).record == dataclasses.replace(
        t.cast("Record", steps[0].arguments["record"]), made=False, image=None, identity=""
    )


def test_a_record_that_knows_no_image_purges_none() -> None:
    begun = dataclasses.replace(STOPPED, record=Record(made=True))
    nothing = Seen(record=Record(made=True))
    assert [one.name for one in purged(host_with(theirs=begun, gone=nothing), [])] == ["gone"]


def test_a_machine_that_was_made_anew_by_somebody_else_is_not_purged() -> None:
    theirs = dataclasses.replace(STOPPED, identity="b", record=Record(made=True, identity="a"))
    ours = dataclasses.replace(STOPPED, record=Record(made=True, identity="a"))
    assert [one.name for one in purged(host_with(old=ours, new=theirs), [])] == ["old"]


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


TREE = Tree(nsswitch=Nsswitch("passwd: files\n", libraries=frozenset({"systemd"})))
LINGERING = Wanted(
    "web",
    "started",
    image="trixie",
    declared=True,
    bound=Bound("web", ("alan",), frozenset({"alan"})),
    restart="when_needed",
)


def test_a_clone_learns_of_its_users_before_it_starts() -> None:
    host = dataclasses.replace(host_with(), trees={"trixie": TREE})
    steps = plan(host, [LINGERING])
    assert [step.verb for step in steps] == ["record", "clone", "write", "equip", "start"]
    (equip,) = [step for step in steps if step.verb == "equip"]
    assert equip.arguments["root"] == "/var/lib/machines/web"
    assert equip.needs == {"clone web"} and equip.identity in steps[-1].needs


def test_a_machine_is_restarted_for_a_service_manager_and_not_for_a_name() -> None:
    asked = "passwd: files systemd\ngroup: files systemd\nshadow: files systemd\n"
    ready = Tree(nsswitch=Nsswitch(asked, libraries=frozenset({"systemd"})))
    wanted = dataclasses.replace(LINGERING, image=None)
    text = next(s for s in plan(host_with(web=RUNNING), [wanted]) if s.verb == "write").after
    assert isinstance(text, str)
    known = recorded(dataclasses.replace(RUNNING, settings=text), wanted)
    known = dataclasses.replace(known, started_with=digest(text, None))
    host = dataclasses.replace(host_with(web=known), trees={"web": ready})
    assert verbs(plan(host, [wanted])) == ["equip web", "restart web"]
    # With all of it there, nothing is to be done.
    done = dataclasses.replace(ready, linger=frozenset({"alan"}))
    assert plan(dataclasses.replace(host, trees={"web": done}), [wanted]) == ()
    unknown = dataclasses.replace(TREE, linger=frozenset({"alan"}))
    assert verbs(plan(dataclasses.replace(host, trees={"web": unknown}), [wanted])) == ["equip web"]
