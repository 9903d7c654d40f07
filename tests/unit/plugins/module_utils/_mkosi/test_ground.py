# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.deputy import Account
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import ground
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.builder import ROOT, Builder
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.ground import Ground

SOMEBODY = Account(4321, 4321, "somebody")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give things away")


@pytest.fixture(name="top")
def _top(tmp_path: pathlib.Path) -> pathlib.Path:
    # Above it are directories of pytest's that only root can write to, below /tmp.
    tmp_path.chmod(0o755)
    return tmp_path


def made(path: pathlib.Path, owner: int = 0, mode: int = 0o755) -> pathlib.Path:
    path.mkdir(parents=True)
    os.chown(path, owner, owner)
    path.chmod(mode)
    return path


@AS_ROOT
def test_a_directory_is_whose_it_is_and_a_missing_one_whose_is_the_one_above(
    top: pathlib.Path,
) -> None:
    made(top / "theirs", 4321)
    assert ground.look(str(top / "theirs")) == Ground(str(top / "theirs"), 4321, True, 0)
    assert ground.look(str(top / "theirs/a/b")).owner == 4321
    assert not ground.look(str(top / "theirs/a/b")).there
    assert ground.look(str(top / "new")).owner == 0


@AS_ROOT
def test_the_way_does_not_lead_from_one_to_another(top: pathlib.Path) -> None:
    made(top / "theirs", 4321)
    made(top / "precious")
    (top / "theirs/link").symlink_to(top / "precious")
    os.chown(top / "theirs/link", 4321, 4321, follow_symlinks=False)
    made(top / "theirs/inside", 1234)
    for name in ("link", "link/more", "inside"):
        with pytest.raises(Failure, match="leads from what belongs to 4321 to"):
            ground.look(str(top / "theirs" / name))


@AS_ROOT
def test_links_of_the_same_owner_are_a_way(top: pathlib.Path) -> None:
    made(top / "theirs/real", 4321)
    os.chown(top / "theirs", 4321, 4321)
    (top / "theirs/link").symlink_to("real")
    os.chown(top / "theirs/link", 4321, 4321, follow_symlinks=False)
    (top / "way").symlink_to(top / "theirs/link")
    assert ground.look(str(top / "way")).owner == 4321
    assert ground.look(f"{top}/./theirs//link/.").there


@AS_ROOT
def test_the_way_does_not_lead_up_to_another(top: pathlib.Path) -> None:
    made(top / "theirs", 4321)
    (top / "theirs/up").symlink_to("..")
    os.chown(top / "theirs/up", 4321, 4321, follow_symlinks=False)
    for name in ("up", ".."):
        with pytest.raises(Failure, match="leads from what belongs to 4321 to a directory of root"):
            ground.look(f"{top}/theirs/{name}")


def test_a_loop_and_what_is_no_directory_are_named(top: pathlib.Path) -> None:
    (top / "loop").symlink_to("loop")
    (top / "file").touch()
    with pytest.raises(Failure, match="loop of symbolic links"):
        ground.look(str(top / "loop"))
    with pytest.raises(Failure, match="found a regular file"):
        ground.look(str(top / "file/below"))


@AS_ROOT
@pytest.mark.parametrize(
    ("mode", "name", "shared"),
    [
        (0o755, "", False),
        (0o775, "", False),  # root's own group
        (0o777, "", True),
        (0o1777, "", True),
        (0o1777, "/new", False),
        (0o777, "/new", True),
    ],
)
def test_what_others_can_write_to_is_noticed(
    top: pathlib.Path, mode: int, name: str, shared: bool
) -> None:
    made(top / "open", 0, mode)
    assert bool(ground.look(f"{top}/open{name}").shared) == shared


@AS_ROOT
def test_another_group_that_can_write_is_others(top: pathlib.Path) -> None:
    made(top / "open", 0, 0o775)
    os.chown(top / "open", 0, 4321)
    assert "mode 0775" in ground.look(str(top / "open")).shared


@pytest.mark.parametrize(
    ("found", "account", "says"),
    [
        (Ground("/srv/a", 4321, True), ROOT, "belongs to 4321, and root would run"),
        (Ground("/srv/a", 4321, False), ROOT, "would be in what belongs to 4321"),
        (Ground("/srv/a", 0, True, shared="/srv is open"), ROOT, "/srv is open, and root would"),
        (Ground("/srv/a", 0, True), SOMEBODY, "belongs to root; expected a directory of somebody"),
        (Ground("/srv/a", 1234, False), SOMEBODY, "would be in what belongs to 1234"),
    ],
)
def test_ground_of_others_is_refused(found: Ground, account: Account, says: str) -> None:
    with pytest.raises(Failure, match=says):
        ground.check(found, account)


@pytest.mark.parametrize(
    ("found", "account"),
    [
        (Ground("/srv/a", 0, True), ROOT),
        (Ground("/srv/a", 0, False), ROOT),
        (Ground("/srv/a", 4321, True), SOMEBODY),
        (Ground("/srv/a", 4321, True, shared="by their own will"), SOMEBODY),
        (Ground("/srv/a", 0, False), SOMEBODY),
    ],
)
def test_ones_own_ground_is_not(found: Ground, account: Account) -> None:
    ground.check(found, account)


# --- what stands there ---


@pytest.mark.parametrize("name", ["mkosi.conf", "mkosi.version", "mkosi.extra"])
def test_what_is_neither_file_nor_directory_is_named(top: pathlib.Path, name: str) -> None:
    os.mkfifo(top / "elsewhere")
    (top / name).symlink_to("elsewhere")
    with pytest.raises(Failure, match=f"{name}: expected a regular file .* found a FIFO"):
        ground.check_entries(str(top), os.geteuid())


@AS_ROOT
def test_what_others_own_or_write_is_nothing_for_root_to_run(top: pathlib.Path) -> None:
    (top / "mkosi.postinst").touch()
    (top / "README").touch(0o666)
    ground.check_entries(str(top), 0)
    os.chown(top / "mkosi.postinst", 4321, 4321)
    with pytest.raises(Failure, match=r"mkosi\.postinst belongs to 4321"):
        ground.check_entries(str(top), 0)
    ground.check_entries(str(top), 4321)
    os.chown(top / "mkosi.postinst", 0, 0)
    (top / "mkosi.postinst").chmod(0o757)
    with pytest.raises(Failure, match="mode 0757"):
        ground.check_entries(str(top), 0)


# --- making and removing it ---


@AS_ROOT
def test_it_is_made_for_who_builds_alone(top: pathlib.Path, somebody: Builder) -> None:
    os.chmod(top.parent, 0o755)
    ground.make(str(top / "a/b"), somebody)
    ground.make(str(top / "root"), Builder())
    status = (top / "a/b").stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (4321, 0o700)
    assert ((top / "a").stat().st_uid, (top / "root").stat().st_mode & 0o7777) == (0, 0o700)


@AS_ROOT
def test_it_is_removed_when_it_is_empty(top: pathlib.Path, somebody: Builder) -> None:
    made(top / "theirs", 4321)
    (top / "theirs/file").touch()
    ground.remove_empty(str(top / "theirs"), somebody)
    assert (top / "theirs").exists()
    (top / "theirs/file").unlink()
    ground.remove_empty(str(top / "theirs"), somebody)
    ground.remove_empty(str(top / "theirs"), somebody)
    assert not (top / "theirs").exists()
