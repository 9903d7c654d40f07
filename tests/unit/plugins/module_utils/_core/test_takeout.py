# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import (
    beneath,
    files,
    takeout,
    trees,
)
from ansible_collections.nspawn.machined.plugins.module_utils._core.beneath import Root
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._core.takeout import Rules
from ansible_collections.nspawn.machined.plugins.module_utils._core.walk import (
    Kind,
    Limits,
    TooMuch,
)


@pytest.fixture(name="root")
def a_machine(tmp_path: Path) -> Iterator[Root]:
    (tmp_path / "machine" / "srv").mkdir(parents=True)
    (tmp_path / "host").mkdir()
    with beneath.image(str(tmp_path / "machine")) as root:
        root.name = "web"
        yield root


@pytest.fixture(name="srv")
def its_directory(root: Root, tmp_path: Path) -> Path:
    assert root.is_directory("/srv")
    return tmp_path / "machine" / "srv"


def taken_out(root: Root, tmp_path: Path, rules: Rules, *, replace: bool = False) -> Path:
    """Copy a tree, and see that it is then what was said before that it would be."""
    destination = tmp_path / "host" / "copy"
    said = takeout.summary(root, "/srv", rules)
    taken = takeout.copy(root, "/srv", str(destination), rules, replace=replace)
    assert said is not None
    assert takeout.present(str(destination), rules) == said
    assert taken == said.taken
    assert os.listdir(tmp_path / "host") == ["copy"]
    return destination


def test_a_tree_arrives_with_its_contents_names_and_modes(
    root: Root, srv: Path, tmp_path: Path
) -> None:
    (srv / "a" / "b").mkdir(parents=True)
    (srv / "a" / "b" / "file").write_text("text")
    (srv / "a" / "b" / "file").chmod(0o640)
    (srv / "a").chmod(0o555)
    (srv / os.fsdecode(b"not \xff utf-8\n")).write_bytes(b"\xff")
    copy = taken_out(root, tmp_path, Rules())
    assert (copy / "a" / "b" / "file").read_text() == "text"
    assert stat.S_IMODE((copy / "a" / "b" / "file").stat().st_mode) == 0o640
    assert stat.S_IMODE((copy / "a").stat().st_mode) == 0o555
    assert sorted(os.listdir(os.fsencode(copy))) == [b"a", b"not \xff utf-8\n"]


def test_nothing_arrives_that_gives_anybody_anything(root: Root, srv: Path, tmp_path: Path) -> None:
    (srv / "program").write_text("#!/bin/sh\n")
    (srv / "program").chmod(0o6755)
    (srv / "directory").mkdir()
    (srv / "directory").chmod(0o3777)
    capability = struct.pack("<IIIII", 0x02000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0)
    if os.geteuid() == 0:
        os.setxattr(srv / "program", "security.capability", capability)
        os.chown(srv / "program", 12345, 12345)
        (srv / "program").chmod(0o6755)
    copy = taken_out(root, tmp_path, Rules())
    status = (copy / "program").stat()
    assert stat.S_IMODE(status.st_mode) == 0o755
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    assert os.listxattr(copy / "program") == []
    assert stat.S_IMODE((copy / "directory").stat().st_mode) == 0o777


def test_what_is_neither_file_nor_directory_stays_and_is_named(
    root: Root, srv: Path, tmp_path: Path
) -> None:
    os.mkfifo(srv / "fifo")
    (srv / "link").symlink_to("/etc/passwd")
    (srv / "file").touch()
    copy = taken_out(root, tmp_path, Rules())
    assert os.listdir(copy) == ["file"]
    said = takeout.summary(root, "/srv", Rules())
    assert said is not None
    assert said.taken.left_out == 2
    assert said.taken.told == ("web:/srv/fifo: a FIFO", "web:/srv/link: a symbolic link")


def test_links_are_kept_as_links_when_they_lead_to_what_is_copied(
    root: Root, srv: Path, tmp_path: Path
) -> None:
    (srv / "a").mkdir()
    (srv / "a" / "up").symlink_to("../file")
    (srv / "a" / "out").symlink_to("../../etc/passwd")
    (srv / "absolute").symlink_to("/etc/passwd")
    (srv / "file").write_text("text")
    copy = taken_out(root, tmp_path, Rules(links=True))
    assert (copy / "a" / "up").is_symlink()
    assert (copy / "a" / "up").read_text() == "text"
    assert not (copy / "a" / "out").is_symlink()
    assert not (copy / "absolute").is_symlink()


@pytest.mark.parametrize(
    ("target", "depth", "expected"),
    [
        ("file", 0, True),
        ("./a/b", 0, True),
        ("..", 0, False),
        ("../file", 1, True),
        ("../../file", 1, False),
        (".././../file", 1, False),
        ("a/../b", 5, False),
        ("/srv/file", 5, False),
        ("//", 5, False),
        ("", 0, False),
        (".", 0, True),
    ],
)
def test_a_link_stays_inside_when_it_cannot_lead_out(
    target: str, depth: int, expected: bool
) -> None:
    assert takeout.stays_inside(target, depth) is expected


def test_a_link_at_the_path_itself_is_told_and_never_followed(
    root: Root, srv: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    (srv / "link").symlink_to(victim)
    said = takeout.summary(root, "/srv/link", Rules())
    assert said is not None
    assert (said.kind, said.digest) == (Kind.LINK, "")
    with pytest.raises(Failure, match="web:/srv/link is a symbolic link; expected a file"):
        takeout.copy(root, "/srv/link", str(tmp_path / "host" / "copy"), Rules(mode=0o666))
    assert os.listdir(tmp_path / "host") == []
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_a_file_gets_the_mode_that_is_asked_for_before_its_name(
    root: Root, srv: Path, tmp_path: Path
) -> None:
    (srv / "secret").write_text("word")
    (srv / "secret").chmod(0o644)
    rules = Rules(mode=0o600)
    copy = tmp_path / "host" / "secret"
    takeout.copy(root, "/srv/secret", str(copy), rules)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert takeout.present(str(copy), rules) == takeout.summary(root, "/srv/secret", rules)


def test_a_file_replaces_a_file_and_nothing_else(root: Root, srv: Path, tmp_path: Path) -> None:
    (srv / "file").write_text("new")
    host = tmp_path / "host"
    (host / "file").write_text("old")
    (host / "victim").write_text("precious")
    (host / "link").symlink_to("victim")
    (host / "directory").mkdir()
    takeout.copy(root, "/srv/file", str(host / "file"), Rules(), replace=True)
    assert (host / "file").read_text() == "new"
    for name, kind in (("link", "a symbolic link"), ("directory", "a directory")):
        with pytest.raises(Failure, match=f"{name} is {kind} already"):
            takeout.copy(root, "/srv/file", str(host / name), Rules(), replace=True)
    with pytest.raises(Failure, match="file is a regular file already"):
        takeout.copy(root, "/srv/file", str(host / "file"), Rules())
    with pytest.raises(Failure, match="file is a regular file already"):
        takeout.copy(root, "/srv", str(host / "file"), Rules(), replace=True)
    assert (host / "victim").read_text() == "precious"


def test_a_sparse_file_keeps_its_holes(root: Root, srv: Path, tmp_path: Path) -> None:
    with open(srv / "sparse", "wb") as stream:
        stream.truncate(40 << 20)
        stream.seek(20 << 20)
        stream.write(b"in the middle")
    copy = taken_out(root, tmp_path, Rules())
    status = (copy / "sparse").stat()
    assert status.st_size == 40 << 20
    assert status.st_blocks * 512 < 1 << 20
    with open(copy / "sparse", "rb") as stream:
        stream.seek(20 << 20)
        assert stream.read(13) == b"in the middle"


def test_holes_and_zeros_are_the_same_contents(root: Root, srv: Path) -> None:
    (srv / "zeros").write_bytes(bytes(3 << 20))
    with open(srv / "hole", "wb") as stream:
        stream.truncate(3 << 20)
    zeros, hole = (takeout.summary(root, f"/srv/{name}", Rules()) for name in ("zeros", "hole"))
    assert zeros == hole


def test_too_much_is_refused_and_leaves_nothing(root: Root, srv: Path, tmp_path: Path) -> None:
    (srv / "a").write_text("small")
    with open(srv / "giant", "wb") as stream:
        stream.truncate(1 << 40)
    rules = Rules(limits=Limits(size=1 << 30))
    for work in (
        lambda: takeout.summary(root, "/srv", rules),
        lambda: takeout.copy(root, "/srv", str(tmp_path / "host" / "copy"), rules),
    ):
        with pytest.raises(TooMuch, match="web:/srv holds more than 1073741824 bytes"):
            work()
    assert os.listdir(tmp_path / "host") == []


def test_a_tree_may_be_deeper_than_calls_can_go(root: Root, srv: Path, tmp_path: Path) -> None:
    here = os.open(srv, os.O_RDONLY)
    for _level in range(sys.getrecursionlimit() + 200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        taken_out(root, tmp_path, Rules())
    finally:
        trees.remove(str(srv / "d"))
        trees.remove(str(tmp_path / "host" / "copy"))


def test_names_of_255_bytes_are_names(root: Root, srv: Path, tmp_path: Path) -> None:
    (srv / ("n" * 255)).mkdir()
    (srv / ("n" * 255) / ("f" * 255)).write_text("text")
    destination = tmp_path / "host" / ("d" * 255)
    takeout.copy(root, f"/srv/{'n' * 255}", str(destination), Rules())
    takeout.copy(root, f"/srv/{'n' * 255}/{'f' * 255}", str(tmp_path / "host" / "f"), Rules())
    assert os.listdir(destination) == ["f" * 255]


def test_what_a_killed_run_left_goes_and_what_another_makes_stays(
    root: Root, srv: Path, tmp_path: Path
) -> None:
    (srv / "file").touch()
    host = os.open(tmp_path / "host", os.O_RDONLY)
    left, descriptor = files.temporary_directory(host, "copy")
    (tmp_path / "host" / left / "half").touch()
    os.close(descriptor)
    working, descriptor = files.temporary_directory(host, "copy")
    takeout.copy(root, "/srv", str(tmp_path / "host" / "copy"), Rules())
    assert sorted(os.listdir(tmp_path / "host")) == sorted([working, "copy"])
    os.close(descriptor)
    os.close(host)


def test_two_at_once_leave_one_whole_tree(root: Root, srv: Path, tmp_path: Path) -> None:
    for number in range(100):
        (srv / str(number)).write_text(str(number))
    refused: list[Failure] = []

    def work() -> None:
        try:
            takeout.copy(root, "/srv", str(tmp_path / "host" / "copy"), Rules())
        except Failure as failure:
            refused.append(failure)

    threads = [threading.Thread(target=work) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert os.listdir(tmp_path / "host") == ["copy"]
    assert takeout.present(str(tmp_path / "host" / "copy"), Rules()) == takeout.summary(
        root, "/srv", Rules()
    )


def test_a_copy_that_is_given_up_leaves_nothing(root: Root, srv: Path, tmp_path: Path) -> None:
    with open(srv / "long", "wb") as stream:
        stream.truncate(8 << 30)
    for number in range(100):
        (srv / f"a{number}").write_bytes(b"x" * (1 << 20))
    with pytest.raises(Failure, match=r"web:/srv: not done within 0\.02 s"):
        takeout.copy(root, "/srv", str(tmp_path / "host" / "copy"), Rules(deadline=0.02))
    assert os.listdir(tmp_path / "host") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_all_of_it_belongs_to_whom_it_is_for(root: Root, srv: Path, tmp_path: Path) -> None:
    (srv / "a").mkdir()
    (srv / "a" / "file").touch()
    (srv / "link").symlink_to("a")
    copy = taken_out(root, tmp_path, Rules(links=True, owner=(12345, 54321)))
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in [copy, *copy.rglob("*")]}
    assert owners == {(12345, 54321)}


def test_the_host_side_counts_with_everything_that_is_there(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "file").touch()
    said = takeout.present(str(copy), Rules())
    (copy / "file").chmod(0o4644)
    changed = takeout.present(str(copy), Rules())
    (copy / "file").chmod(0o644)
    (copy / "link").symlink_to("file")
    assert (
        len({one.digest for one in (said, changed, takeout.present(str(copy), Rules())) if one})
        == 3
    )
    assert takeout.present(str(tmp_path / "none"), Rules()) is None
