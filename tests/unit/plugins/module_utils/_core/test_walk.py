# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._core.walk import (
    Entry,
    Kind,
    Limits,
    TooMuch,
    Walk,
)


@pytest.fixture(name="found")
def stand_for_it(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "tree").mkdir()
    descriptor = os.open(tmp_path / "tree", os.O_PATH)
    yield descriptor
    os.close(descriptor)


def told(walk: Walk) -> list[tuple[str, str]]:
    return [(entry.kind.value, entry.name) for entry in walk]


def test_everything_is_told_in_order_with_what_it_is(tmp_path: Path, found: int) -> None:
    tree = tmp_path / "tree"
    (tree / "b").mkdir(mode=0o750)
    (tree / "b" / "file").write_text("12345")
    (tree / "a").symlink_to("/etc/passwd")
    os.mkfifo(tree / "c")
    walk = Walk(found, "/tree")
    assert told(walk) == [
        ("directory", ""),
        ("link", "a"),
        ("directory", "b"),
        ("file", "file"),
        ("end", "b"),
        ("other", "c"),
        ("end", ""),
    ]
    entries = {entry.name: (entry.mode, entry.size, entry.target) for entry in walk}
    assert entries["a"][2] == "/etc/passwd"
    assert entries["file"][1] == 5


def test_a_file_is_a_tree_of_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    descriptor = os.open(tmp_path / "file", os.O_PATH)
    assert told(Walk(descriptor, "file")) == [("file", "")]
    os.close(descriptor)


def test_names_are_shown_so_that_they_do_no_harm(tmp_path: Path, found: int) -> None:
    os.mkdir(os.fsencode(tmp_path / "tree") + b"/a\xff\n")
    (tmp_path / "tree" / os.fsdecode(b"a\xff\n") / "b").touch()
    walk = Walk(found, "/tree")
    shown = [walk.shown(entry) for entry in walk]
    assert shown == [
        "/tree",
        "/tree/a\\xff\\x0a",
        "/tree/a\\xff\\x0a/b",
        "/tree/a\\xff\\x0a",
        "/tree",
    ]


def test_it_goes_deeper_than_calls_can(found: int) -> None:
    depth = sys.getrecursionlimit() + 200
    here = os.open(f"/proc/self/fd/{found}", os.O_RDONLY)
    top = os.dup(here)
    for _level in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        assert len(told(Walk(found, "tree"))) == 2 * depth + 2
    finally:
        trees.remove_at(top, "d", "tree")
        os.close(top)


def test_a_tree_of_too_many_things_is_too_much(tmp_path: Path, found: int) -> None:
    for number in range(9):
        (tmp_path / "tree" / str(number)).touch()
    assert len(list(Walk(found, "tree", limits=Limits(count=10)))) == 11
    with pytest.raises(TooMuch, match="more than 9 files and directories"):
        list(Walk(found, "tree", limits=Limits(count=9)))


def test_a_file_of_holes_counts_as_long_as_it_is(tmp_path: Path, found: int) -> None:
    with open(tmp_path / "tree" / "sparse", "wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(TooMuch, match="more than 1048576 bytes in its files"):
        list(Walk(found, "tree", limits=Limits(size=1 << 20)))


def test_a_directory_that_is_exchanged_on_the_way_is_told(tmp_path: Path, found: int) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir()
    steps = iter(Walk(found, "tree"))
    assert [next(steps).name for _step in range(2)] == ["", "a"]
    (tree / "a").rename(tree / "b")
    (tree / "a").mkdir()
    with pytest.raises(Failure, match="was exchanged"):
        next(steps)


def test_what_is_to_be_skipped_is_neither_told_nor_counted(tmp_path: Path, found: int) -> None:
    tree = tmp_path / "tree"
    for name in ("a/skip", "a/kept", "skip"):
        (tree / name).mkdir(parents=True)
    (tree / "a/skip/file").write_bytes(bytes(100))
    walk = Walk(found, "tree", limits=Limits(size=10, count=4), skip="a/skip".__eq__)
    ways = [walk.way(entry) for entry in walk if entry.kind is not Kind.END]
    assert ways == ["", "a", "a/kept", "skip"]


def test_what_is_asked_at_each_step_can_end_it(found: int) -> None:
    def check() -> None:
        raise Failure("enough")

    with pytest.raises(Failure, match="enough"):
        list(Walk(found, "tree", check=check))


def test_nothing_stays_open_whether_it_ends_or_is_left(tmp_path: Path, found: int) -> None:
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    before = os.listdir("/proc/self/fd")
    list(Walk(found, "tree"))
    steps: Iterator[Entry] = iter(Walk(found, "tree"))
    while next(steps).kind is not Kind.END:
        pass
    steps.close()  # type: ignore[attr-defined]
    assert os.listdir("/proc/self/fd") == before


def test_where_something_else_is_mounted_is_not_entered() -> None:
    descriptor = os.open("/", os.O_PATH)
    kinds = {}
    for entry in Walk(descriptor, "/"):
        kinds[entry.name] = entry.kind
        if entry.name == "proc":
            break
    os.close(descriptor)
    assert kinds["proc"] is Kind.MOUNT
