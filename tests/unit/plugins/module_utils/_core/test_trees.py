# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure


def test_a_tree_is_removed_whole_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    tree = tmp_path / "tree"
    (tree / "below" / "deeper").mkdir(parents=True)
    (tree / "below" / "file").write_text("goes")
    (tree / "link").symlink_to(outside)
    trees.remove(str(tree))
    trees.remove(str(tree))
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "file").read_text() == "stays"


def test_a_tree_goes_however_deep_it_is_and_whatever_is_in_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    for _level in range(sys.getrecursionlimit() + 200):
        name = b"not \xff utf-8\nand lines"
        os.mkdir(name, dir_fd=here)
        os.mkfifo(b"fifo\xfe", dir_fd=here)
        os.symlink("/etc/passwd", "link", dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))
    trees.remove(str(tree))
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_to_a_tree_is_all_that_goes(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").touch()
    (tmp_path / "link").symlink_to("tree")
    trees.remove(str(tmp_path / "link"))
    trees.remove(str(tmp_path / "tree" / "file"))
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]
    assert os.listdir(tmp_path / "tree") == []


def test_what_is_read_only_inside_goes_as_well(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "file").touch()
    try:
        trees.set_read_only(str(tree / "below"), "directory", True)
        trees.set_read_only(str(tree), "directory", True)
    except Failure:
        pytest.skip("needs root, and a file system with such flags")
    trees.remove(str(tree))
    assert os.listdir(tmp_path) == []


# Only what looks at nothing is given such paths; what removes never is, not even to be refused.
@pytest.mark.parametrize(
    "path", ["", "/", "//", ".", "..", "./", "../", "a/.", "a/..", "/a/../", "/.."]
)
def test_a_path_without_a_name_of_its_own_names_nothing_to_remove(path: str) -> None:
    with pytest.raises(Failure, match="is not removed"):
        trees.checked(path)


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "/a", "a/", "a\0"])
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(Failure, match="is not removed"):
        trees.checked_name(name)


def test_a_path_is_its_directory_and_its_name() -> None:
    paths = ["/srv/a", "/srv/a/", "a", "/srv/..a", "/srv/../a"]
    parts = [("/srv", "a"), ("/srv", "a"), ("", "a"), ("/srv", "..a"), ("/srv/..", "a")]
    assert [trees.checked(path) for path in paths] == parts


def test_a_raw_image_is_read_only_when_nobody_may_write_it(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"")
    path.chmod(0o640)
    trees.set_read_only(str(path), "raw", True)
    assert (path.stat().st_mode & 0o777, trees.is_read_only(str(path), "raw")) == (0o440, True)
    trees.set_read_only(str(path), "raw", False)
    assert (path.stat().st_mode & 0o777, trees.is_read_only(str(path), "raw")) == (0o640, False)


def test_a_directory_is_writable_to_begin_with(tmp_path: Path) -> None:
    assert not trees.is_read_only(str(tmp_path), "directory")


def test_what_is_not_there_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="none cannot be made read-only: No such file"):
        trees.set_read_only(str(tmp_path / "none"), "directory", True)
