# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import digest, view
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.files import File


@pytest.fixture(name="directory")
def _directory(tmp_path: pathlib.Path) -> pathlib.Path:
    found = tmp_path / "directory"
    (found / "mkosi.extra/etc").mkdir(parents=True)
    (found / "mkosi.extra/etc/motd").write_text("hello")
    (found / "mkosi.postinst").write_text("#!/bin/sh\n")
    (found / "README").write_text("not read")
    (found / "mkosi.cache").mkdir()
    return found


@pytest.fixture(autouse=True)
def _rooms(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_prefix", lambda name: str(tmp_path / f"view-{name}-"))


def of(directory: pathlib.Path, *outside: pathlib.Path, head: str = "salt") -> str:
    wanted = {"mkosi.extra/etc/hostname": File("web")}
    place = view.make("it", str(directory), wanted, [])
    try:
        return digest.of(head, place, str(directory), [str(path) for path in outside])
    finally:
        view.remove_room(place)


def test_it_is_the_same_for_the_same(directory: pathlib.Path) -> None:
    assert of(directory) == of(directory)
    assert of(directory) != of(directory, head="other")


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "mkosi.extra/etc/motd").write_text("bye"),
        lambda top: (top / "mkosi.extra/etc/motd").chmod(0o600),
        lambda top: (top / "mkosi.extra/etc/motd").rename(top / "mkosi.extra/etc/issue"),
        lambda top: (top / "mkosi.extra/empty").mkdir(),
        lambda top: (top / "mkosi.extra/link").symlink_to("etc"),
        lambda top: (top / "mkosi.postinst").write_text("#!/bin/bash\n"),
        lambda top: os.mkfifo(top / "mkosi.extra/fifo"),
    ],
)
def test_it_is_another_when_something_that_counts_has_changed(
    directory: pathlib.Path, change: object
) -> None:
    before = of(directory)
    assert callable(change)
    change(directory)
    assert of(directory) != before


@pytest.mark.parametrize("name", ["README", "mkosi.conf", "mkosi.cache/package"])
def test_it_is_the_same_when_something_has_changed_that_does_not(
    directory: pathlib.Path, name: str
) -> None:
    before = of(directory)
    (directory / name).write_text("other")
    assert of(directory) == before


def test_what_lies_outside_counts_and_may_be_missing(
    directory: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    missing = of(directory, tmp_path / "outside")
    (tmp_path / "outside").write_text("x")
    assert len({missing, of(directory, tmp_path / "outside"), of(directory)}) == 3


def test_a_tree_may_be_deep(directory: pathlib.Path) -> None:
    inside = os.open(directory / "mkosi.extra", os.O_RDONLY)
    for _level in range(1500):
        os.mkdir("d", dir_fd=inside)
        below = os.open("d", os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = below
    os.close(inside)
    try:
        assert of(directory) == of(directory)
    finally:
        # What pytest uses itself goes no deeper than Python's stack.
        trees.remove(str(directory / "mkosi.extra" / "d"))


def test_there_is_an_end_to_what_is_read(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (directory / "mkosi.extra/sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(Failure, match="sparse: with this there is more to be built from"):
        of(directory)
    (directory / "mkosi.extra/sparse").unlink()
    monkeypatch.setattr(digest, "COUNT_LIMIT", 3)
    with pytest.raises(Failure, match="3 files"):
        of(directory)
