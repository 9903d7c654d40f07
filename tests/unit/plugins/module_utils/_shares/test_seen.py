# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import grp
import os
import pwd
import socket
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._shares import seen
from ansible_collections.nspawn.machined.plugins.module_utils._shares.wanted import Share


def look(path: Path, owner: str | None = None, group: str | None = None) -> seen.Host:
    return seen.snapshot([Share(str(path), "/mnt", owner=owner, group=group)])


def test_nothing_is_looked_at_for_nothing() -> None:
    assert seen.snapshot([]) == seen.Host()


def test_a_way_is_followed_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = look(tmp_path / "link").places[str(tmp_path / "link")]
    assert found.real == str(tmp_path / "real") and found.kind == "a directory"
    assert found.link == str(tmp_path / "link")


def test_what_is_not_there_has_the_file_system_it_would_be_made_in(tmp_path: Path) -> None:
    found = look(tmp_path / "none" / "deep").places[str(tmp_path / "none" / "deep")]
    assert (
        found.kind is None and found.file_system == look(tmp_path).places[str(tmp_path)].file_system
    )
    assert found.file_system


def test_kinds_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    assert look(tmp_path / "fifo").places[str(tmp_path / "fifo")].kind == "a FIFO"
    assert look(tmp_path / "socket").places[str(tmp_path / "socket")].kind == "a socket"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_who_could_exchange_it_is_seen(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "deep").mkdir()
    assert str(theirs) not in look(theirs / "deep").places[str(theirs / "deep")].strangers
    os.chown(theirs, 4711, 4711)
    assert str(theirs) in look(theirs / "deep").places[str(theirs / "deep")].strangers
    os.chown(theirs, 0, 0)
    theirs.chmod(0o777)
    assert str(theirs) in look(theirs / "deep").places[str(theirs / "deep")].strangers
    theirs.chmod(0o1777)
    assert str(theirs) not in look(theirs / "deep").places[str(theirs / "deep")].strangers


def test_people_are_known_by_name_or_number(tmp_path: Path) -> None:
    host = look(tmp_path, owner="root", group="12")
    assert host.users == {"root": 0} and host.groups == {"12": 12}
    assert look(tmp_path, owner="no-such-user").users == {}


def test_what_is_made_for_somebody_has_the_group_of_that_user(tmp_path: Path) -> None:
    root = grp.getgrgid(pwd.getpwnam("root").pw_gid)
    for owner, group, expected in (
        ("root", None, (root.gr_name, root.gr_gid)),
        ("0", None, (root.gr_name, root.gr_gid)),
        ("root", "12", ("12", 12)),
        (None, None, ("root", 0)),
        ("4000000", None, ("root", 0)),
    ):
        host = look(tmp_path, owner, group)
        assert host.group_of(Share(str(tmp_path), "/mnt", owner=owner, group=group)) == expected


def test_the_kernel_s_version_is_two_numbers() -> None:
    assert seen._kernel("6.12.3-generic") == (6, 12)
    assert seen._kernel("odd") == (0, 0)
    assert look(Path("/")).kernel > (4, 0)
