# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import itertools
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils import _settings, _units
from ansible_collections.nspawn.machined.plugins.module_utils._machined import unit_of
from ansible_collections.nspawn.machined.plugins.module_utils._machines import (
    NOTHING,
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
from ansible_collections.nspawn.machined.plugins.module_utils._plan import (
    Failure,
    Plan,
    Step,
    describe,
)

NAMES = ("web", "db", "mail", "a-b.c")
TEMPLATES = ("trixie", "bookworm")
TEMPLATE_SETTINGS = {"bookworm": "[Network]\nZone=old\n"}
TEXTS = (None, "[Exec]\nNotifyReady=yes\n", "# mine\n[Network]\nPrivate=no\n")
UNITS = (None, "[Service]\nMemoryMax=1G\n", "[Service]\nTasksMax=10\n")
planner = settings(max_examples=60, deadline=None)
ZONE = _settings.normalise({"Network": {"Zone": "web"}})
NO_ZONE = _settings.normalise({"Exec": {"NotifyReady": True}})


# --- a model of a host ----------------------------------------------------------------------


class Host:
    """What the verbs do, without a host."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.machines = dict(snapshot.machines)
        self.image_settings = snapshot.image_settings
        self.templates = snapshot.images - set(snapshot.machines)
        self.clock = itertools.count(1000)

    def snapshot(self) -> Snapshot:
        there = {name for name, seen in self.machines.items() if seen.image}
        return Snapshot(self.machines, frozenset(self.templates | there), self.image_settings)

    def carry_out(self, steps: t.Iterable[Step]) -> None:
        for step in steps:
            if step.verb != "reload":
                name = step.arguments["machine"]
                seen = self.machines.get(name, NOTHING)
                changes = getattr(self, "_" + step.verb)(seen, step)
                self.machines[name] = dataclasses.replace(seen, **changes)

    def _record(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        return {"record": step.arguments["record"]}

    def _forget(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        return {"record": None}

    def _clone(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        source = step.arguments["source"]
        assert source in self.snapshot().images
        assert not seen.image or step.arguments["again"], "cloned over what was there"
        assert seen.record is not None and seen.record.made, "a clone of which nobody knows"
        identity = f"inode:{next(self.clock)}"
        kept = seen.settings if not step.arguments["again"] else None
        return {
            "image": "directory",
            "identity": identity,
            "settings": kept or self.image_settings.get(source),
            "record": dataclasses.replace(seen.record, identity=identity),
        }

    def _remove(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        assert not seen.running, "removed while it runs"
        return {"image": None, "identity": "", "settings": None}

    def _write(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        field = "settings" if step.subject.endswith(".nspawn") else "unit"
        return {field: step.arguments.get("text"), "edited_since": seen.running}

    _delete = _write

    def _enable(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        return {"enabled": True}

    def _disable(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        return {"enabled": False}

    def _stop(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        assert not seen.frozen, "a frozen machine cannot stop"
        return {"active": "inactive", "started_with": None, "edited_since": False}

    _kill = _stop

    def _start(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        assert seen.image, "started without an image"
        assert not seen.frozen
        with_this = digest(seen.settings, seen.unit)
        return {"active": "active", "started_with": with_this, "edited_since": False}

    _restart = _start

    def _reset(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        return {"active": "inactive"}

    def _freeze(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        assert seen.running
        return {"frozen": True}

    def _thaw(self, seen: Seen, step: Step) -> dict[str, t.Any]:
        return {"frozen": False}


# --- any host, any wish ---------------------------------------------------------------------


@st.composite
def seen_machines(draw: st.DrawFn) -> Seen:
    image = draw(st.sampled_from([None, "directory", "subvolume", "raw"]))
    actives = (
        ["inactive", "failed", "active", "activating", "deactivating"] if image else ["inactive"]
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


snapshots = st.dictionaries(st.sampled_from(NAMES), seen_machines()).map(
    lambda machines: Snapshot(
        machines,
        frozenset(TEMPLATES) | {name for name, seen in machines.items() if seen.image},
        TEMPLATE_SETTINGS,
    )
)

declared = st.builds(
    Wanted,
    name=st.just("?"),
    declared=st.just(True),
    state=st.sampled_from(["started", "stopped", "restarted", "paused", "killed", "absent"]),
    image=st.sampled_from(TEMPLATES),
    settings=st.sampled_from([None, ZONE, NO_ZONE]),
    users=st.sampled_from([(), ("alan",)]),
    unit=st.sampled_from([None, "", *UNITS[1:]]),
    enabled=st.sampled_from([None, True, False]),
    owner=st.sampled_from([None, "alan"]),
    variables=st.sampled_from([{}, {"role": "web"}]),
    restart=st.sampled_from(["never", "when_needed", "always"]),
)

wishes = st.dictionaries(st.sampled_from(NAMES), declared).map(
    lambda entries: [dataclasses.replace(one, name=name) for name, one in entries.items()]
)


def again(wanted: t.Iterable[Wanted]) -> list[Wanted]:
    """The wish without what is by its nature done each time."""
    return [
        dataclasses.replace(
            one,
            state="started" if one.state == "restarted" else one.state,
            restart="when_needed" if one.restart == "always" else one.restart,
        )
        for one in wanted
    ]


def converged(snapshot: Snapshot, wanted: t.Sequence[Wanted]) -> Snapshot:
    host = Host(snapshot)
    host.carry_out(plan(snapshot, wanted))
    return host.snapshot()


@planner
@given(snapshots, wishes)
def test_the_plan_carried_out_gives_the_wish(snapshot: Snapshot, wanted: list[Wanted]) -> None:
    after = converged(snapshot, wanted)
    for one in wanted:
        seen = after.of(one.name)
        if one.state == "absent":
            assert dataclasses.replace(seen, settings_elsewhere=False) == NOTHING
            continue
        assert seen.image
        assert seen.running == (one.state not in ("stopped", "killed"))
        assert seen.active != "deactivating"
        assert seen.frozen == (one.state == "paused")
        assert one.enabled in (None, seen.enabled)
        assert one.unit in (None, seen.unit or "")
        if one.settings == ZONE:
            assert "Zone=web" in (seen.settings or "")
        assert ("BindUser=alan" in (seen.settings or "")) == bool(one.users)
        if one.owner:
            assert seen.record and seen.record.owner == "alan"
        if seen.running and one.restart != "never":
            assert seen.started_with in (None, digest(seen.settings, seen.unit))
            assert not (seen.started_with is None and seen.edited_since)


@planner
@given(snapshots, wishes)
def test_a_second_plan_is_empty(snapshot: Snapshot, wanted: list[Wanted]) -> None:
    assert plan(converged(snapshot, wanted), again(wanted)) == ()


@planner
@given(snapshots, wishes, st.integers(0, 30))
def test_a_run_that_was_killed_is_made_good_by_the_next(
    snapshot: Snapshot, wanted: list[Wanted], moment: int
) -> None:
    host = Host(snapshot)
    host.carry_out(plan(snapshot, wanted)[:moment])
    between = host.snapshot()
    host.carry_out(plan(between, wanted))
    after, straight = host.snapshot(), converged(snapshot, wanted)
    for one in wanted:
        ours, theirs = after.of(one.name), straight.of(one.name)
        for field in ("image", "enabled", "running", "frozen", "unit"):
            assert bool(getattr(ours, field)) == bool(getattr(theirs, field)), field
        assert _settings.parse(ours.settings or "") == _settings.parse(theirs.settings or "")
    assert plan(after, again(wanted)) == ()


@planner
@given(snapshots, wishes)
def test_no_step_touches_what_was_not_named(snapshot: Snapshot, wanted: list[Wanted]) -> None:
    names = {one.name for one in wanted}
    for step in plan(snapshot, wanted):
        if step.verb == "reload":
            continue
        name = step.arguments["machine"]
        assert name in names
        assert step.subject in (
            name,
            _settings.path_of(name),
            _units.drop_in_path(unit_of(name)),
        )


@planner
@given(snapshots, wishes, st.integers(0, 3))
def test_each_step_comes_after_what_it_needs(
    snapshot: Snapshot, wanted: list[Wanted], rolling: int
) -> None:
    done: set[str] = set()
    phases = []
    for step in plan(snapshot, wanted, rolling=rolling):
        assert step.needs <= done
        assert step.identity not in done
        done.add(step.identity)
        phases.append(PHASES.index(step.verb))
    assert phases == sorted(phases)


@planner
@given(snapshots, wishes)
def test_what_one_machine_needs_is_never_another_machine(
    snapshot: Snapshot, wanted: list[Wanted]
) -> None:
    steps = {step.identity: step for step in plan(snapshot, wanted)}
    for step in steps.values():
        for need in step.needs - {"reload systemd"}:
            assert steps[need].arguments["machine"] == step.arguments["machine"]


@planner
@given(snapshots, wishes)
def test_purging_takes_only_what_the_collection_made(
    snapshot: Snapshot, wanted: list[Wanted]
) -> None:
    for one in purged(snapshot, wanted):
        record = snapshot.of(one.name).record
        assert record and record.made
        assert one.name not in {other.name for other in wanted}


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


@pytest.mark.parametrize("unread", [False, True])
def test_a_start_reloads_systemd_only_for_what_a_cut_off_run_left_unread(unread: bool) -> None:
    stopped = dataclasses.replace(STOPPED, unit=UNITS[1])
    snapshot = Snapshot({"web": stopped}, frozenset({"web"}), unread=unread)
    found = describe(plan(snapshot, [Wanted("web", state="started", declared=True, image="web")]))
    assert ("reload systemd" in found) == unread
    assert "start web" in found
