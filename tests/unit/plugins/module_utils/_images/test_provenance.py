# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._images import provenance
from ansible_collections.nspawn.machined.plugins.module_utils._images.identity import identity_of
from ansible_collections.nspawn.machined.plugins.module_utils._images.model import Provenance
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.image_classes import SYSEXT

RECORD = Provenance("url", "https://example.org/a.tar", 1.0)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(provenance, "DIRECTORY", str(tmp_path / "state" / "images"))
    return tmp_path


def known(path: Path) -> Provenance:
    return dataclasses.replace(RECORD, identity=identity_of(str(path)))


def test_a_record_is_read_as_it_was_written_and_for_root_alone(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    provenance.write("image", known(tmp_path / "image"))
    assert provenance.read("image", str(tmp_path / "image")) == known(tmp_path / "image")
    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "state" / "images" / "image.json").st_mode & 0o777 == 0o600


def test_a_record_does_not_speak_for_another_image_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    provenance.write("image", known(tmp_path / "image"))
    (tmp_path / "image").rename(tmp_path / "away")
    (tmp_path / "image").mkdir()
    assert provenance.read("image", str(tmp_path / "image")) is None


def test_a_change_that_was_begun_counts_once_its_image_is_there(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    provenance.write("image", known(tmp_path / "old"))
    provenance.begin("image", dataclasses.replace(known(tmp_path / "new"), etag="2"))
    assert provenance.read("image", str(tmp_path / "old")) == known(tmp_path / "old")
    found = provenance.read("image", str(tmp_path / "new"))
    assert found is not None and found.etag == "2"


def test_what_was_begun_and_never_made_does_not_speak_for_what_somebody_else_makes(
    tmp_path: Path,
) -> None:
    (tmp_path / "image").mkdir()
    provenance.begin("image", RECORD)
    assert provenance.read("image", str(tmp_path / "image")) is None
    assert provenance.read("image") is None


def test_a_record_goes_along_with_a_rename(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    provenance.write("old", known(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    provenance.rename("old", "new")
    found = provenance.read("new", str(tmp_path / "new"))
    assert found is not None and found.names == ("old",)
    assert set(provenance.records()) == {"new"}


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "images"
    folder.mkdir(parents=True)
    for number, text in enumerate(("", "{", "[]", '{"kind": 1}', '"text"')):
        (folder / f"{number}.json").write_text(text)
    assert provenance.records() == {}


def test_nothing_is_known_where_nothing_was_ever_written() -> None:
    assert provenance.records() == {}
    assert provenance.read("image") is None
    provenance.forget("image")


def test_what_was_begun_is_not_finished_until_it_is_written_or_taken_back(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    provenance.write("other", RECORD)
    provenance.begin("image", RECORD)
    assert provenance.begun("image") == RECORD
    assert provenance.names() == {"image": False, "other": True}
    provenance.write("image", known(tmp_path / "image"))
    assert provenance.begun("image") is None
    assert provenance.names() == {"image": True, "other": True}
    provenance.begin("image", RECORD)
    provenance.take_back("image")
    assert provenance.names() == {"image": True, "other": True}


def test_a_record_that_was_not_written_to_its_end_is_not_finished(tmp_path: Path) -> None:
    provenance.write("image", RECORD)
    unfinished = tmp_path / "state" / "images" / ".image.json.nspawn-machined-new"
    unfinished.write_text("{")
    assert provenance.names() == {"image": False}
    provenance.write("image", RECORD)
    assert not unfinished.exists() and provenance.names() == {"image": True}


def test_what_an_image_is_owed_is_remembered() -> None:
    provenance.begin("image", dataclasses.replace(RECORD, owed={"limit": 5, "read_only": True}))
    begun = provenance.begun("image")
    assert begun is not None and begun.owed == {"limit": 5, "read_only": True}


def test_images_of_one_name_and_two_classes_have_two_records(tmp_path: Path) -> None:
    machine, extension = RECORD, dataclasses.replace(RECORD, source="/other.tar")
    provenance.write("image", machine)
    provenance.begin("sysext/image", extension)
    assert provenance.begun("image") is None
    assert provenance.begun("sysext/image") == extension
    assert provenance.names() == {"image": True}
    assert provenance.names(SYSEXT) == {"sysext/image": False}
    provenance.write("sysext/image", extension)
    assert set(provenance.records()) == {"image"}
    assert set(provenance.records(SYSEXT)) == {"sysext/image"}
    provenance.forget("image")
    assert provenance.records(SYSEXT) == {"sysext/image": (extension,)}
    provenance.forget("sysext/image")
    assert not (tmp_path / "state").exists()
