# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import addresses
from ansible_collections.nspawn.machined.plugins.module_utils._images.patience import (
    Deadline,
    Patience,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.sources import (
    checksum_of,
    of_path,
    of_url,
    opened,
    state_of,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as into:
        into.add(__file__, "file")
    return path


def test_a_file_is_looked_at_without_being_read(archive: Path) -> None:
    found = of_path(str(archive), "auto", None)
    assert (found.kind, found.format, found.compression) == ("path", "tar", "none")
    assert found.size == archive.stat().st_size
    assert found.checksum is None


def test_a_directory_is_other_when_a_file_in_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    before = of_path(str(tmp_path), "auto", None)
    assert before.format == "directory"
    assert of_path(str(tmp_path), "auto", None) == before
    (tmp_path / "file").write_text("other")
    assert of_path(str(tmp_path), "auto", None).last_modified != before.last_modified


def test_a_directory_is_told_from_another_however_deep_it_is(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _level in range(1200):
        os.mkdir("folder", dir_fd=place)
        below = os.open("folder", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    before = state_of(str(tmp_path))
    assert state_of(str(tmp_path)) == before
    os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=place))
    os.close(place)
    assert state_of(str(tmp_path)) != before
    trees.remove(str(tmp_path / "folder"))


def test_links_out_of_a_directory_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/proc")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / os.fsdecode(b"\xff\n")).write_text("")
    assert state_of(str(tmp_path)).startswith("tree:")


def test_what_moves_to_another_folder_makes_a_directory_another_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/file").write_text("")
    before = state_of(str(tmp_path))
    (tmp_path / "a/file").rename(tmp_path / "b/file")
    assert state_of(str(tmp_path)) != before


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="it is a FIFO"):
        opened(str(tmp_path / "fifo"))
    with pytest.raises(Failure, match="neither a file"):
        of_path(str(tmp_path / "fifo"), "auto", None)


def test_a_file_url_is_a_file_of_this_host(archive: Path) -> None:
    patience = Patience(Deadline(10, "looking"))
    address = addresses.of(archive.as_uri())
    found = of_url(address, "auto", "none", checksum_of(str(archive)), patience)
    assert (found.kind, found.file, found.verified) == ("url", str(archive), "checksum")


def test_what_is_neither_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "neither").write_text("text")
    with pytest.raises(Failure, match="format: tar or format: raw"):
        of_path(str(tmp_path / "neither"), "auto", None)
    assert of_path(str(tmp_path / "neither"), "raw", None).format == "raw"
