# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import releases
from ansible_collections.nspawn.machined.plugins.module_utils._images.releases import fields_of
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.image_classes import MACHINE
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.machined import Image


def said(root: Path) -> dict[str, str]:
    return releases.of(Image("web", "directory", False, 0, 0, None, str(root)), MACHINE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib").mkdir(parents=True)
    return tmp_path


def test_the_fields_of_a_release_file_are_read_without_their_quotes() -> None:
    text = """# a comment
ID=_any
NAME="Two words"
VERSION_ID='1.2'

no field
BROKEN="
"""
    assert fields_of(text) == {"ID": "_any", "NAME": "Two words", "VERSION_ID": "1.2"}


def test_the_vendor_says_it_where_the_owner_does_not(root: Path) -> None:
    (root / "usr/lib/os-release").write_text("ID=tiny\n")
    assert said(root) == {"ID": "tiny"}
    (root / "etc/os-release").symlink_to("/usr/lib/os-release")
    assert said(root) == {"ID": "tiny"}


def test_who_says_nothing_is_no_error(root: Path) -> None:
    assert said(root) == {}


def test_a_fifo_is_named_and_does_not_hold_us(root: Path) -> None:
    os.mkfifo(root / "etc/os-release")
    since = time.monotonic()
    with pytest.raises(Failure, match=r"etc/os-release.*FIFO"):
        said(root)
    assert time.monotonic() - since < 2


def test_a_link_to_the_host_means_the_images_own_file(root: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / "outside"
    outside.write_text("ID=host\n")
    (root / "etc/os-release").symlink_to(f"../../{outside.name}")
    assert said(root) == {}


def test_a_folder_that_is_a_link_to_the_hosts_is_the_images_own(root: Path) -> None:
    (root / "etc").rmdir()
    (root / "etc").symlink_to("/etc")
    with pytest.raises(Failure, match="link"):
        said(root)


def test_a_file_without_end_is_not_read_whole(root: Path) -> None:
    with (root / "etc/os-release").open("wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(Failure, match="etc/os-release"):
        said(root)


def test_a_directory_in_its_place_is_named(root: Path) -> None:
    (root / "etc/os-release").mkdir()
    with pytest.raises(Failure, match="a directory"):
        said(root)


def test_hostile_text_is_data_of_its_own_line() -> None:
    text = "ID=a\x1b[2J\nNAME=b\x0bID=c\nX Y=d\n=e\nA\u2028B=f\nU=\udcff\n"
    assert fields_of(text) == {"ID": "a\x1b[2J", "NAME": "b\x0bID=c", "U": "\ufffd"}


@given(st.binary())
def test_whatever_is_in_it_can_be_returned(data: bytes) -> None:
    for key, value in fields_of(data.decode("utf-8", "surrogateescape")).items():
        assert key.isascii() and key
        value.encode()
