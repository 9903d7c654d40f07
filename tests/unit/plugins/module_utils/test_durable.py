# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a power failure must not take is on the disk before anything says that it is there.

docs/durability.md says what that is, and why.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._access import act as access_act
from ansible_collections.nspawn.machined.plugins.module_utils._access import rules
from ansible_collections.nspawn.machined.plugins.module_utils._access import seen as access_seen
from ansible_collections.nspawn.machined.plugins.module_utils._core import files, memory
from ansible_collections.nspawn.machined.plugins.module_utils._core import run as core_run
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Step
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld import (
    record as firewalld_record,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images import (
    keys,
    provenance,
    staging,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.model import Provenance
from ansible_collections.nspawn.machined.plugins.module_utils._machines import act as machines_act
from ansible_collections.nspawn.machined.plugins.module_utils._machines import (
    record as machines_record,
)
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import harvest
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import record as mkosi_record


@pytest.fixture(name="synced")
def sync_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, below the place of the test, in order."""
    noted: list[str] = []

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path == tmp_path or tmp_path in path.parents:
            noted.append("." if path == tmp_path else str(path.relative_to(tmp_path)))

    monkeypatch.setattr(os, "fsync", fsync)
    return noted


def finished(names: list[str]) -> list[str]:
    return [
        os.path.join(os.path.dirname(name), files.finished_name(os.path.basename(name)))
        for name in names
    ]


def test_a_file_is_synced_before_its_name_and_each_new_directory(
    tmp_path: Path, synced: list[str]
) -> None:
    files.write(str(tmp_path / "a" / "b" / "file"), "text")
    assert finished(synced) == [".", "a", "a/b/file", "a/b"]


def test_what_need_not_last_waits_for_no_disk(tmp_path: Path, synced: list[str]) -> None:
    files.write(str(tmp_path / "a" / "file"), "text", durable=False)
    assert synced == []


def test_the_first_of_our_places_has_its_name_for_good(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "DIRECTORY", str(tmp_path / "state"))
    memory.write(memory.of("machines/web.json"), "{}")
    assert finished(synced) == [".", "state", "state/machines/web.json", "state/machines"]


@pytest.mark.parametrize("name", ["machines", "firewall", "mkosi"])
def test_a_record_outlasts_a_power_failure(
    name: str, tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "machines":
        monkeypatch.setattr(machines_record, "RECORDS", str(tmp_path))
        machines_record.write("web", machines_record.Record(made=True))
    elif name == "firewall":
        monkeypatch.setattr(firewalld_record, "path_of", str(tmp_path / "{}").format)
        monkeypatch.setattr(firewalld_record, "record_text", str)
        firewalld_record.write("web", {("zone", "web"): {}})  # type: ignore[dict-item]
    else:
        monkeypatch.setattr(mkosi_record, "STATE_DIRECTORY", str(tmp_path))
        mkosi_record.write(mkosi_record.Record("/srv/web", "salt"))
    assert len(synced) == 2
    assert synced[-1] == "."


@pytest.mark.parametrize(("kind", "times"), [("url", 2), ("path", 2), ("clone", 0)])
def test_it_is_kept_where_an_image_came_from_unless_it_is_made_again_in_no_time(
    kind: str, times: int, tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "DIRECTORY", str(tmp_path / "images"))
    (tmp_path / "images").mkdir()
    provenance.write("web", Provenance(kind=kind, source="x", imported=0.0))
    assert len(synced) == times


def test_settings_and_drop_ins_of_machines_outlast_a_power_failure(
    tmp_path: Path, synced: list[str]
) -> None:
    arguments = {"text": "[Exec]\nBoot=yes\n", "reload": False}
    machines_act._write(Step("write", str(tmp_path / "nspawn" / "web.nspawn"), arguments))
    assert finished(synced) == [".", "nspawn/web.nspawn", "nspawn"]


def test_keys_outlast_a_power_failure(tmp_path: Path, synced: list[str]) -> None:
    keys.VERBS["write"](Step("write", str(tmp_path / "ring.pgp"), {"data": b"\xff\0key"}))
    assert finished(synced) == ["ring.pgp", "."]
    assert (tmp_path / "ring.pgp").read_bytes() == b"\xff\0key"


def test_the_name_of_an_image_lasts_before_what_it_replaced_goes(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[list[str]] = []
    monkeypatch.setattr(memory, "RUNTIME", str(tmp_path / "run"))
    monkeypatch.setattr(staging, "sweep", lambda _key, _root: gone.append(list(synced)))
    with staging.stage("web", str(tmp_path)) as place:
        (Path(place.directory) / "made").mkdir()
        staging.publish(str(Path(place.directory) / "made"), place, None)
    assert (tmp_path / "web").is_dir()
    assert gone[-1][-1] == "."


def test_what_was_built_is_on_the_disk_before_it_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[list[str], list[str]]] = []
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "image.raw").touch()

    def run(argv: list[str], **_options: object) -> None:
        commands.append((argv, sorted(os.listdir(tmp_path / "out"))))

    monkeypatch.setattr(core_run, "run", run)
    harvest.promote(str(tmp_path / "stage"), str(tmp_path / "out"))
    assert commands == [
        (["sync", "--file-system", "--", str(tmp_path / "out")], ["image.raw"]),
    ]


def test_a_right_that_was_taken_away_does_not_come_back(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PATH", str(tmp_path / "rules"))
    monkeypatch.setattr(access_seen, "polkit_reloads", lambda: None)
    (tmp_path / "rules").touch()
    access_act.VERBS["remove"](Step("remove", "rules"))
    assert os.listdir(tmp_path) == []
    assert synced == ["."]
