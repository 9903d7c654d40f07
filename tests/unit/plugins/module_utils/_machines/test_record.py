# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._machines import (
    record as machines_record,
)
from ansible_collections.nspawn.machined.plugins.module_utils._machines.record import Record, digest

UNIT = "systemd-nspawn@web.service"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directories of the host, somewhere else."""
    for name in ("RECORDS", "STARTS", "INVOCATIONS"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(machines_record, name, str(tmp_path / name))
    return tmp_path


def run_as(places: Path, invocation: str) -> Path:
    link = places / "INVOCATIONS" / f"invocation:{UNIT}"
    link.unlink(missing_ok=True)
    link.symlink_to(invocation)
    return link


records = st.builds(
    Record,
    made=st.booleans(),
    image=st.none() | st.text(),
    identity=st.text(),
    owner=st.none() | st.text(),
    variables=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())),
    declared=st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(["started", "stopped"]),
            "enabled": st.booleans(),
            "settings": st.dictionaries(st.text(), st.dictionaries(st.text(), st.lists(st.text()))),
        },
    ),
)


@given(records)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    machines_record.write("web", record)
    assert machines_record.read("web") == record
    assert machines_record.names() == ["web"]
    machines_record.forget("web")
    assert machines_record.read("web") is None and not machines_record.names()


def test_a_record_of_the_first_versions_is_read(places: Path) -> None:
    (places / "RECORDS/web.json").write_text(
        '{"made": true, "image": "trixie", "identity": "a", "owner": null, "vars": {}}'
    )
    assert machines_record.read("web") == Record(made=True, image="trixie", identity="a")


def test_a_record_is_for_root_alone(places: Path) -> None:
    machines_record.write("web", Record())
    assert (places / "RECORDS/web.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"made": 1}'])
def test_a_record_that_is_none_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines_record, "RECORDS", str(tmp_path))
    (tmp_path / "web.json").write_text(text)
    with pytest.raises(Failure, match=r"web\.json: is not a record"):
        machines_record.read("web")


def test_what_a_machine_was_started_with_is_known_as_long_as_it_runs(places: Path) -> None:
    run_as(places, "first")
    machines_record.remember_start("web", UNIT, "[Exec]\nBoot=yes\n", None)
    known = machines_record.started_with("web", UNIT)
    assert known == digest("[Exec]\nBoot=yes\n", None)
    run_as(places, "second")
    assert machines_record.started_with("web", UNIT) is None


def test_nothing_is_remembered_of_a_machine_that_does_not_run(places: Path) -> None:
    machines_record.remember_start("web", UNIT, None, None)
    assert not list((places / "STARTS").iterdir())
