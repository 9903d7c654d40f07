# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import descriptors


@pytest.fixture(name="here")
def open_here(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(params=[False, True], ids=["openat2", "without"])
def without_openat2(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    def refuse(_directory: int, path: str, _flags: int, _resolve: int) -> int:
        raise descriptors.failed(errno.ENOSYS, path)

    if request.param:
        monkeypatch.setattr(descriptors, "openat2", refuse)
    return bool(request.param)


def test_a_link_is_opened_as_what_it_is(tmp_path: Path, here: int) -> None:
    (tmp_path / "link").symlink_to("/etc")
    descriptor = descriptors.open_file(here, "link")
    shown = descriptors.kind(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    assert shown == "a symbolic link"
    with pytest.raises(OSError, match="link") as caught:
        descriptors.open_directory(here, "link")
    assert caught.value.errno in (errno.ENOTDIR, errno.ELOOP)


@pytest.mark.usefixtures("without_openat2")
def test_another_mount_is_not_entered_and_the_same_one_is(tmp_path: Path, here: int) -> None:
    (tmp_path / "directory").mkdir()
    os.close(descriptors.open_directory(here, "directory", mounts=False))
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.close(descriptors.open_directory(root, "proc"))
        with pytest.raises(OSError, match="proc") as caught:
            descriptors.open_directory(root, "proc", mounts=False)
    finally:
        os.close(root)
    assert caught.value.errno == errno.EXDEV


def test_a_fifo_that_nobody_writes_to_does_not_hold_the_reader(tmp_path: Path, here: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    found = descriptors.open_file(here, "fifo")
    reader = descriptors.reopen(found, os.O_RDONLY)
    assert descriptors.kind(os.fstat(reader).st_mode) == "a FIFO"
    assert descriptors.same(found, reader)
    os.close(reader)
    os.close(found)


def test_what_is_open_is_not_exchanged_by_who_exchanges_the_name(tmp_path: Path, here: int) -> None:
    (tmp_path / "file").write_text("first")
    found = descriptors.open_file(here, "file")
    (tmp_path / "file").unlink()
    (tmp_path / "file").write_text("second")
    reader = descriptors.reopen(found, os.O_RDONLY)
    text = os.read(reader, 100)
    os.close(reader)
    os.close(found)
    assert text == b"first"


def test_kinds_are_told_in_words(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        paths = [tmp_path, tmp_path / "socket", Path("/dev/null"), Path(__file__)]
        kinds = [descriptors.kind(path.lstat().st_mode) for path in paths]
    assert kinds == ["a directory", "a socket", "a character device", "a regular file"]
