# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import progress


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(progress, "DIRECTORY", str(tmp_path / "progress"))
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    return tmp_path / "progress"


def said(place: Path, name: str) -> dict[str, t.Any]:
    end = time.monotonic() + 10
    while not (place / name).exists():
        assert time.monotonic() < end, "nothing was said"
        time.sleep(0.01)
    fields: dict[str, t.Any] = json.loads((place / name).read_text())
    return fields


def test_a_silent_phase_is_said_again_and_again_and_gone_in_the_end(place: Path) -> None:
    with progress.Phases("building", "/srv/a/b") as phases:
        phases.enter("Installing")
        first = said(place, "srv-a-b.json")
        time.sleep(0.1)
        later = said(place, "srv-a-b.json")
        assert later["phase"] == "Installing"
        assert later["subject"] == "/srv/a/b"
        assert later["seconds"] > first["seconds"]
    assert list(place.iterdir()) == []


def test_bytes_are_counted(place: Path) -> None:
    with progress.Meter("pulling", "web", 100) as meter:
        time.sleep(0.02)
        meter.advance(40)
        assert said(place, "web.json")["done"] == 40
    assert list(place.iterdir()) == []


def test_a_place_that_cannot_be_written_is_no_error(place: Path) -> None:
    place.write_text("not a directory")
    with progress.Phases("building", "/srv/a") as phases:
        phases.enter("Installing")
        time.sleep(0.05)


def test_everybody_may_read_it_whatever_the_umask(place: Path) -> None:
    old = os.umask(0o077)
    try:
        with progress.Meter("pulling", "web", 100) as meter:
            time.sleep(0.02)
            meter.advance(40)
            modes = [path.stat().st_mode & 0o777 for path in (place, place / "web.json")]
    finally:
        os.umask(old)
    assert modes == [0o755, 0o644]
