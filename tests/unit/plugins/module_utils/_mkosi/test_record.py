# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import record
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.record import Record


@pytest.fixture(autouse=True)
def _memory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "STATE_DIRECTORY", str(tmp_path / "memory/mkosi"))


def test_what_was_remembered_is_read_again_until_it_is_forgotten() -> None:
    known = Record(
        "/srv/a", "salt", ("mkosi.conf",), "sha256:0", ("/srv/a/out.tar",), "25.3", 7, ("/srv",)
    )
    record.write(known)
    assert record.read("/srv/a") == known
    assert record.exists("/srv/a")
    record.forget("/srv/a")
    assert not record.exists("/srv/a")


def test_a_directory_that_nobody_remembers_has_a_salt_of_its_own() -> None:
    one, other = record.read("/srv/a"), record.read("/srv/a")
    assert (one.files, one.digest, one.outputs) == ((), None, ())
    assert one.salt != other.salt


@pytest.mark.parametrize("text", ["", '{"salt": "x"', "[]", "{}"])
def test_a_record_that_was_cut_off_is_none(text: str, tmp_path: pathlib.Path) -> None:
    record.write(Record("/srv/a", "salt", digest="sha256:0"))
    (file,) = (tmp_path / "memory/mkosi").iterdir()
    file.write_text(text)
    assert record.read("/srv/a").digest is None


def test_what_is_made_above_a_directory_is_remembered_with_each_that_is_below(
    tmp_path: pathlib.Path,
) -> None:
    top, first, second = (str(tmp_path / part) for part in ("top", "top/in/a", "top/b"))
    made = record.read(first).above
    assert made == (f"{top}/in", top)
    record.write(Record(first, "salt", above=made))
    (tmp_path / "top/in").mkdir(parents=True)
    assert record.read(second).above == (top,)
    assert record.read(str(tmp_path / "other")).above == ()
