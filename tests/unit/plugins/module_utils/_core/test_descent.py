# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import descent, trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.descent import Descent

DEPTH = 1200


def descriptors_open() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(name="deep")
def make_deep_tree(tmp_path: Path) -> Iterator[int]:
    """A directory in a directory, and so on, far beyond the longest path there can be."""
    top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    here = os.dup(top)
    for _level in range(DEPTH):
        os.mkdir("level", dir_fd=here)
        below = os.open("level", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    yield top
    # What pytest uses itself goes no deeper than Python's stack.
    trees.remove_at(top, "level", "deep")
    os.close(top)


def test_it_goes_down_and_up_as_deep_as_it_is_with_few_descriptors(deep: int) -> None:
    before = descriptors_open()
    with Descent(deep, "/deep", mounts=False) as place:
        for _level in range(DEPTH):
            place.enter("level")
            assert descriptors_open() - before <= descent.OPEN + 1
        assert place.depth == DEPTH
        assert os.listdir(place.here) == []
        names = {place.leave() for _level in range(DEPTH)}
        assert (names, place.depth) == ({"level"}, 0)
        assert os.path.samestat(os.fstat(place.here), os.fstat(deep))
    assert descriptors_open() == before


def leave_all(place: Descent) -> None:
    while place.depth:
        place.leave()


def test_a_directory_that_was_moved_away_is_not_left_to_elsewhere(tmp_path: Path) -> None:
    below = tmp_path / "/".join(f"d{level}" for level in range(descent.OPEN + 3))
    below.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with Descent(top, str(tmp_path), mounts=False) as place:
            for level in range(descent.OPEN + 3):
                place.enter(f"d{level}")
            (tmp_path / "d0" / "d1" / "d2").rename(tmp_path / "elsewhere" / "d2")
            with pytest.raises(OSError, match="Stale"):
                leave_all(place)
    finally:
        os.close(top)


def test_neither_links_nor_files_are_entered(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "file").touch()
    top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with Descent(top, "there", mounts=True) as place:
        for name in ("link", "file"):
            with pytest.raises(OSError, match=name):
                place.enter(name)
        assert place.depth == 0
    os.close(top)


def test_the_way_is_shown_without_what_would_harm_the_screen(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J").mkdir()
    top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with Descent(top, "/srv", mounts=True) as place:
        assert (place.shown(), place.shown("x")) == ("/srv", "/srv/x")
        place.enter("a\x1b[2J")
        assert place.shown("b\n") == "/srv/a\\x1b[2J/b\\x0a"
    os.close(top)
    assert Descent(top, "/", mounts=True).shown("etc") == "/etc"
