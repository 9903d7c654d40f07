# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, Step
from ansible_collections.nspawn.machined.plugins.module_utils._machines import act as machines_act
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import PHASES, plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted

NAMES = [f"n{number}" for number in range(6)]
EVERYTHING = [
    Wanted(name, "started", image="trixie", declared=True, enabled=True, unit="[Service]\nNice=1\n")
    for name in NAMES
]
FROM_NOTHING = plan(Snapshot({}, frozenset({"trixie"})), EVERYTHING)


def silence(_phase: str) -> None:
    """Nobody looks on."""


class Batches:
    """Carries nothing out, but notes what it was given; some steps fail."""

    def __init__(self, failing: t.Collection[str]) -> None:
        self.failing = failing
        self.calls: list[tuple[str, list[str]]] = []
        self.table = dict.fromkeys(PHASES, self._batch)

    def _batch(self, steps: t.Sequence[Step]) -> dict[str, Exception]:
        self.calls.append((steps[0].verb, [step.subject for step in steps]))
        return {
            step.identity: Failure("as wanted by the test")
            for step in steps
            if step.identity in self.failing
        }


def test_each_verb_is_called_once_for_all_machines() -> None:
    batches = Batches(())
    outcome = machines_act.apply_with(batches.table, FROM_NOTHING, silence)
    verbs = [verb for verb, _subjects in batches.calls]
    assert verbs == ["record", "clone", "write", "enable", "reload", "start"]
    assert dict(batches.calls)["start"] == NAMES
    assert list(FROM_NOTHING) == outcome.done
    assert not outcome.failed and not outcome.skipped


@settings(max_examples=50, deadline=None)
@given(st.sets(st.sampled_from([step.identity for step in FROM_NOTHING])))
def test_a_machine_that_fails_does_not_keep_another_from_being_started(failing: set[str]) -> None:
    failing -= {"reload systemd"}
    outcome = machines_act.apply_with(Batches(failing).table, FROM_NOTHING, silence)
    touched = {step.arguments["machine"] for step in FROM_NOTHING if step.identity in failing}
    done = {step.identity for step in outcome.done}
    for name in NAMES:
        if name not in touched:
            assert f"start {name}" in done
        if {f"clone {name}", f"write /etc/systemd/nspawn/{name}.nspawn"} & failing:
            assert f"start {name}" not in done
    every = [*outcome.done, *outcome.skipped, *(step for step, _error in outcome.failed)]
    assert sorted(step.identity for step in every) == sorted(s.identity for s in FROM_NOTHING)


def test_nothing_is_started_when_systemd_could_not_read_its_units() -> None:
    outcome = machines_act.apply_with(Batches({"reload systemd"}).table, FROM_NOTHING, silence)
    assert [step.verb for step in outcome.skipped] == ["start"] * len(NAMES)


def test_a_batch_that_fails_as_a_whole_fails_for_each_of_its_machines() -> None:
    def broken(steps: t.Sequence[Step]) -> dict[str, Exception]:
        raise Failure("systemd is gone")

    table = {**Batches(()).table, "enable": broken}
    outcome = machines_act.apply_with(table, FROM_NOTHING, silence)
    assert [step.identity for step, _error in outcome.failed] == [f"enable {n}" for n in NAMES]
    assert outcome.done[-1].verb == "start"


def test_a_rolling_restart_leaves_the_rest_running_when_one_does_not_come_back() -> None:
    running = Seen(image="directory", identity="a", active="active", settings="")
    snapshot = Snapshot(dict.fromkeys(NAMES, running), frozenset(NAMES))
    steps = plan(snapshot, [Wanted(name, "restarted") for name in NAMES], rolling=2)
    batches = Batches({"restart n2"})
    outcome = machines_act.apply_with(batches.table, steps, silence)
    assert batches.calls == [("restart", ["n0", "n1"]), ("restart", ["n2", "n3"])]
    assert [step.subject for step in outcome.skipped] == ["n4", "n5"]


def test_a_clone_loses_the_machine_id_of_its_template(tmp_path: Path) -> None:
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/machine-id").write_text("0" * 31 + "1\n")
    (root / "var/lib/dbus").mkdir(parents=True)
    (root / "var/lib/dbus/machine-id").write_text("0" * 31 + "1\n")
    machines_act.make_individual(str(root))
    assert (root / "etc/machine-id").read_text() == ""
    assert not (root / "var/lib/dbus/machine-id").exists()


def test_a_link_in_an_image_does_not_lead_to_the_hosts_machine_id(tmp_path: Path) -> None:
    host = tmp_path / "host-id"
    host.write_text("the host's\n")
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/machine-id").symlink_to(host)
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/dbus").symlink_to(tmp_path)
    (tmp_path / "machine-id").write_text("the host's\n")
    machines_act.make_individual(str(root))
    assert host.read_text() == "the host's\n"
    assert (tmp_path / "machine-id").exists()


def test_the_link_that_dbus_has_to_the_machine_id_stays(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dbus").mkdir(parents=True)
    link = tmp_path / "var/lib/dbus/machine-id"
    link.symlink_to("/etc/machine-id")
    machines_act.make_individual(str(tmp_path))
    assert link.is_symlink()


def test_a_step_that_was_done_with_a_warning_is_done() -> None:
    def warned(steps: t.Sequence[Step]) -> dict[str, Exception]:
        return {steps[0].identity: UserWarning("it was killed")}

    steps = plan(
        Snapshot({name: Seen(image="directory", active="active") for name in NAMES}, frozenset()),
        [Wanted(name, "stopped") for name in NAMES],
    )
    outcome = machines_act.apply_with({"stop": warned}, steps, silence)
    assert outcome.done == list(steps) and not outcome.failed
    assert [(step.subject, str(warning)) for step, warning in outcome.noted] == [
        (NAMES[0], "it was killed")
    ]


def test_each_verb_is_told_before_it_is_carried_out() -> None:
    told: list[str] = []
    machines_act.apply_with(Batches(()).table, FROM_NOTHING, told.append)
    assert told == [
        "record 6 machines",
        "clone 6 machines",
        "write 6 machines",
        "enable 6 machines",
        "reload systemd",
        "start 6 machines",
    ]
    told.clear()
    few = plan(Snapshot({}, frozenset({"trixie"})), EVERYTHING[:2])
    machines_act.apply_with(Batches(()).table, few, told.append)
    assert told[-1] == "start n0, n1"
