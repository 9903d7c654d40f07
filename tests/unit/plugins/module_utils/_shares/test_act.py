# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._shares import act

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")


@pytest.fixture(name="files", autouse=True)
def make_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = tmp_path / "nspawn"
    files.mkdir()
    monkeypatch.setattr(nspawn_file, "DIRECTORY", str(files))
    return files


def test_a_directory_is_made_for_somebody(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    old = os.umask(0o077)
    try:
        act.make(str(path), uid=4711, gid=4712, mode=0o2750)
    finally:
        os.umask(old)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (4711, 4712, 0o2750)
    assert (tmp_path / "a").stat().st_uid == 0
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir(mode=0o700)
    act.make(str(path), uid=4711, gid=4711, mode=0o755)
    assert path.stat().st_uid == 0 and stat.S_IMODE(path.stat().st_mode) == 0o700


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Failure, match="cannot be made"):
        act.make(str(tmp_path / "link" / "new"))
    assert os.listdir(tmp_path / "real") == []


@pytest.mark.parametrize("how", ["owner", "mode"])
def test_nothing_is_made_where_others_could_exchange_it(tmp_path: Path, how: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if how == "owner":
        os.chown(theirs, 4711, 4711)
    else:
        theirs.chmod(0o777)
    with pytest.raises(Failure, match="others than root"):
        act.make(str(theirs / "new"))
    assert os.listdir(theirs) == []


def test_only_an_empty_directory_goes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    (path / "file").touch()
    assert not act.unmake(str(path))
    (path / "file").unlink()
    assert act.unmake(str(path)) and not path.exists()
    assert not act.unmake(str(path))


def test_what_another_machine_is_shown_stays(tmp_path: Path, files: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    (files / "db.nspawn").write_text(f"[Files]\nBind={path}:/mnt\n")
    assert not act.unmake(str(path)) and path.exists()


def test_a_link_in_its_place_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "a").symlink_to("real")
    assert not act.unmake(str(tmp_path / "a"))
    assert (tmp_path / "a").is_symlink() and (tmp_path / "real").is_dir()
