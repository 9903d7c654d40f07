# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath, beneath_write
from ansible_collections.nspawn.machined.plugins.module_utils._core.beneath import Root, Unusable


@pytest.fixture(name="root")
def an_image(tmp_path: Path) -> Iterator[Root]:
    (tmp_path / "image" / "etc").mkdir(parents=True)
    with beneath.image(str(tmp_path / "image")) as root:
        yield root


def test_a_file_is_written_where_its_links_lead_inside(root: Root, tmp_path: Path) -> None:
    (tmp_path / "image" / "etc" / "resolv.conf").symlink_to("/run/real.conf")
    (tmp_path / "image" / "run").symlink_to("etc")
    beneath_write.write(root, "/etc/resolv.conf", "nameserver\n")
    assert (tmp_path / "image" / "etc" / "resolv.conf").is_symlink()
    assert root.read_text("/etc/resolv.conf") == "nameserver\n"
    assert root.listing("/etc") == ["real.conf", "resolv.conf"]


def test_nothing_is_written_outside(root: Root, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "image" / "etc" / "hostname").symlink_to("../../victim")
    (tmp_path / "image" / "var").symlink_to(tmp_path)
    beneath_write.write(root, "/etc/hostname", "web\n")
    with pytest.raises(Unusable, match="the directory that it would be in does not exist"):
        beneath_write.write(root, "/var/victim", "web\n")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "image" / "victim").read_text() == "web\n"


def test_what_is_no_file_is_not_replaced(root: Root, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "image" / "etc" / "machine-id")
    with pytest.raises(Unusable, match="machine-id is a FIFO; expected a regular file"):
        beneath_write.write(root, "/etc/machine-id", "uninitialized\n")
    assert not beneath_write.remove(root, "/etc/none")


def test_a_link_is_removed_and_not_what_it_leads_to(root: Root, tmp_path: Path) -> None:
    (tmp_path / "image" / "etc" / "file").write_text("stays")
    (tmp_path / "image" / "etc" / "link").symlink_to("file")
    assert beneath_write.remove(root, "/etc/link")
    assert root.listing("/etc") == ["file"]
    with pytest.raises(Unusable, match="/etc cannot be removed"):
        beneath_write.remove(root, "/etc")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_new_file_belongs_to_whom_the_directory_belongs(root: Root, tmp_path: Path) -> None:
    os.chown(tmp_path / "image" / "etc", 12345, 54321)
    beneath_write.write(root, "/etc/machine-id", "", mode=0o444)
    status = (tmp_path / "image" / "etc" / "machine-id").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (12345, 54321, 0o444)
