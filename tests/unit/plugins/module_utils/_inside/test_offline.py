# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._inside import offline

SNAPSHOT = ".#machine.trixie0123456789abcdef"


@pytest.mark.parametrize("name", [SNAPSHOT, f".#{SNAPSHOT}.lck"])
def test_a_snapshot_of_an_image_is_known_by_its_name_or_its_lock(name: str) -> None:
    assert offline.abandoned([name], "trixie") == [SNAPSHOT]


@pytest.mark.parametrize(
    "name",
    [
        "trixie",
        "machine.trixie0123456789abcdef",
        ".#machine.trixie0123456789abcde",
        ".#machine.trixie-20123456789abcdef",
        ".#machine.xtrixie0123456789abcdef",
        ".#trixie0123456789abcdef",
        f"{SNAPSHOT}.raw",
    ],
)
def test_nothing_else_is_a_snapshot_of_it(name: str) -> None:
    assert offline.abandoned([name], "trixie") == []


def test_a_snapshot_that_somebody_holds_stays(tmp_path: Path) -> None:
    (tmp_path / SNAPSHOT).mkdir()
    (tmp_path / SNAPSHOT / "file").touch()
    lock = os.open(tmp_path / f".#{SNAPSHOT}.lck", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    offline.sweep(str(tmp_path / "trixie"))
    assert (tmp_path / SNAPSHOT / "file").exists()
    os.close(lock)
    offline.sweep(str(tmp_path / "trixie"))
    assert list(tmp_path.iterdir()) == []


def test_a_lock_alone_goes_as_well(tmp_path: Path) -> None:
    (tmp_path / f".#{SNAPSHOT}.lck").touch()
    offline.sweep(str(tmp_path / "trixie"))
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").touch()
    (tmp_path / SNAPSHOT).mkdir()
    (tmp_path / f".#{SNAPSHOT}.lck").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        offline.sweep(str(tmp_path / "trixie"))
    assert (tmp_path / SNAPSHOT).exists()
