# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._shares import memory
from ansible_collections.nspawn.machined.plugins.module_utils._shares.memory import Record


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RECORDS", str(tmp_path / "records"))


def test_what_is_remembered_comes_back_and_can_be_forgotten(tmp_path: Path) -> None:
    record = Record("dockerx", True, ("mary",), ("docker.socket",))
    memory.write("ci", record)
    assert memory.read("ci") == record and memory.names() == ["ci"]
    assert (tmp_path / "records" / "ci.json").stat().st_mode & 0o077 == 0
    memory.forget("ci")
    assert memory.read("ci") is None and memory.names() == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"group": 1}', "no json"])
def test_what_is_no_record_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "ci.json").write_text(text)
    with pytest.raises(Failure, match="not a record"):
        memory.read("ci")
