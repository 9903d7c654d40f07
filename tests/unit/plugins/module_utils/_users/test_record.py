# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._users import record
from ansible_collections.nspawn.machined.plugins.module_utils._users.record import Record


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORDS", str(tmp_path))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    known = Record("users", made=True, joined=False)
    (tmp_path / "alan.json").write_text('{"primary": "users", "made": true, "joined": false}\n')
    (tmp_path / ".bea.json").write_text("unfinished")
    assert record.read_all() == {"alan": known}
    assert record.path_of("alan") == str(tmp_path / "alan.json")


def test_a_record_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "alan.json").write_text("{}")
    with pytest.raises(Failure, match=r"alan\.json: is not a record"):
        record.read_all()


def test_nothing_is_remembered_of_a_fresh_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "RECORDS", str(tmp_path / "nosuch"))
    assert record.read_all() == {}
