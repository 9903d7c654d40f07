# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.host import (
    without_new_directories,
)


@pytest.mark.parametrize("there", ["", "a", "a/cache", "a/cache/debian~sid"])
def test_directories_that_mkosi_makes_when_it_is_asked_go_again(there: str, tmp_path: Path) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with without_new_directories([str(tmp_path / "a/cache"), str(tmp_path / "b")]):
        for name in ("a/cache/debian~sid", "b/debian~sid"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_somebody_else_puts_there_meanwhile_stays(tmp_path: Path) -> None:
    with without_new_directories([str(tmp_path / "cache")]):
        (tmp_path / "cache/debian~sid").mkdir(parents=True)
        (tmp_path / "cache/debian~sid/package").touch()
    assert (tmp_path / "cache/debian~sid/package").exists()
