# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, describe
from ansible_collections.nspawn.machined.plugins.module_utils._inside.binds import (
    Snapshot,
    Wanted,
    check,
    is_mapped,
    mounts,
    place,
    plan,
)

OUTSIDE = mounts(
    "20 1 8:1 / / rw - ext4 /dev/a rw\n"
    "21 20 0:40 /@srv /srv rw - btrfs /dev/b rw\n"
    "22 21 0:41 / /srv/my\\040files rw - tmpfs none rw\n"
)
INSIDE = mounts("50 40 0:40 /@srv/web /var/www ro,relatime - btrfs /dev/b rw\n")
SEEN = Snapshot(False, INSIDE, OUTSIDE, source_exists=True)
BIND = Wanted("web", "/srv/web", "/var/www", read_only=True)


@pytest.mark.parametrize(
    ("uid_map", "mapped"),
    [("         0          0 4294967295\n", False), ("0 1310261248 65536\n", True), ("", False)],
)
def test_private_users_show_in_the_map_of_users(uid_map: str, mapped: bool) -> None:
    assert is_mapped(uid_map) == mapped


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/etc", ("8:1", "/etc")),
        ("/", ("8:1", "/")),
        ("/srv", ("0:40", "/@srv")),
        ("/srv/web/x", ("0:40", "/@srv/web/x")),
        ("/srv/my files/x", ("0:41", "/x")),
        ("/srvx", ("8:1", "/srvx")),
    ],
)
def test_a_path_lies_in_the_file_system_that_is_mounted_nearest(
    path: str, where: tuple[str, str]
) -> None:
    assert place(OUTSIDE, path) == where


@pytest.mark.parametrize("blank", ["\u2028", "\x85", "\x0c", "\xa0"])
def test_a_blank_in_the_name_of_a_mount_ends_neither_line_nor_name(blank: str) -> None:
    name = f"/srv/a{blank}1 2 3:4 / /etc".replace(" ", "\\040")
    (found,) = mounts(f"21 20 0:40 /@srv {name} rw - btrfs /dev/b rw\n")
    assert found.point == f"/srv/a{blank}1 2 3:4 / /etc"


def test_what_is_bound_already_is_not_bound_again() -> None:
    assert plan(SEEN, BIND) == ()
    # Also where a new one would be refused: the settings may have bound it.
    assert plan(dataclasses.replace(SEEN, private_users=True), BIND) == ()


def test_something_else_at_the_place_does_not_count() -> None:
    other = dataclasses.replace(BIND, source="/etc")
    assert describe(plan(SEEN, other)) == ["bind web:/var/www"]


def test_a_bind_that_is_there_with_other_rights_is_refused() -> None:
    with pytest.raises(Failure, match="already, read-only"):
        plan(SEEN, dataclasses.replace(BIND, read_only=False))


def test_private_users_are_told_the_way_that_works() -> None:
    with pytest.raises(Failure, match=r"BindReadOnly: \['/srv/web:/mnt'"):
        plan(
            dataclasses.replace(SEEN, private_users=True),
            dataclasses.replace(BIND, destination="/mnt"),
        )


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(Failure, match="/srv/web does not exist"):
        plan(dataclasses.replace(SEEN, source_exists=False), BIND)


def test_relative_paths_are_refused() -> None:
    with pytest.raises(Failure, match="dest: 'www'"):
        check(dataclasses.replace(BIND, destination="www"))
