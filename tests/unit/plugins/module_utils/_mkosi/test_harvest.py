# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import harvest
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.builder import Builder


def test_a_stage_has_places_for_output_and_workspace(tmp_path: pathlib.Path) -> None:
    stage, directory = tmp_path / "a/stage", tmp_path / "directory"
    directory.mkdir()
    output, workspace = harvest.prepare(str(stage), str(directory), str(tmp_path / "work-"))
    assert [output, workspace] == [f"{stage}/output", f"{stage}/workspace"]
    assert stage.stat().st_mode & 0o7777 == 0o700


def test_the_workspace_lies_elsewhere_when_the_stage_is_in_the_directory(
    tmp_path: pathlib.Path,
) -> None:
    _output, workspace = harvest.prepare(
        str(tmp_path / "stages/one"), str(tmp_path), str(tmp_path / "work-")
    )
    assert workspace.startswith(f"{tmp_path}/work-") and len(workspace) > len(f"{tmp_path}/work-")
    assert pathlib.Path(workspace).stat().st_mode & 0o7777 == 0o700


def test_products_are_moved_without_the_links_beside_them(tmp_path: pathlib.Path) -> None:
    place, destination = tmp_path / "place", tmp_path / "kept"
    place.mkdir()
    (place / "out.tar").write_text("new")
    (place / "out").symlink_to("out.tar")
    (place / ".hidden").touch()
    destination.mkdir()
    (destination / "out.tar").write_text("old")
    assert harvest.products(str(place)) == [str(place / "out.tar")]
    assert harvest.promote(str(place), str(destination)) == [str(destination / "out.tar")]
    assert (destination / "out.tar").read_text() == "new"
    assert (destination / "out").readlink() == pathlib.Path("out.tar")


# --- taken over by root ---


@pytest.fixture(name="built")
def _built(tmp_path: pathlib.Path, somebody: Builder) -> pathlib.Path:
    tmp_path.chmod(0o755)
    (tmp_path / "secret").write_text("root's")
    (tmp_path / "secret").chmod(0o600)
    place = tmp_path / "theirs"
    place.mkdir()
    (place / "out.tar").write_text("theirs")
    for path in (place, place / "out.tar"):
        os.chown(path, somebody.account.uid, somebody.account.gid)
    return place / "out.tar"


def taken(path: pathlib.Path, builder: Builder) -> str:
    with harvest.taken_over(str(path), builder) as (file, size):
        text = pathlib.Path(file).read_text()
        assert size == len(text)
        return text


def test_what_a_user_built_is_held_when_something_else_has_its_name(
    built: pathlib.Path, somebody: Builder
) -> None:
    with harvest.taken_over(str(built), somebody) as (file, _size):
        built.unlink()
        built.symlink_to("../secret")
        assert pathlib.Path(file).read_text() == "theirs"
    assert not os.path.exists(file)


@pytest.mark.parametrize(
    ("swap", "found"),
    [
        (lambda path: path.symlink_to("../secret"), "a symbolic link of user 0"),
        (lambda path: path.hardlink_to(path.parent.parent / "secret"), "a regular file of user 0"),
        (os.mkfifo, "a FIFO"),
        (lambda path: path.mkdir(), "a directory"),
    ],
)
def test_what_a_user_cannot_have_built_is_refused(
    built: pathlib.Path, somebody: Builder, swap: object, found: str
) -> None:
    assert taken(built, somebody) == "theirs"
    built.unlink()
    with pytest.raises(Failure, match="found nothing"):
        taken(built, somebody)
    assert callable(swap)
    swap(built)
    with pytest.raises(Failure, match=f"found {found}.* It was not imported"):
        taken(built, somebody)


def test_a_way_to_it_that_leads_to_roots_is_refused(built: pathlib.Path, somebody: Builder) -> None:
    away = built.parent / "away"
    away.symlink_to("..")
    os.chown(away, somebody.account.uid, -1, follow_symlinks=False)
    with pytest.raises(Failure, match="the way there leads from"):
        taken(away / "secret", somebody)


def test_what_root_built_stands_for_itself(tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.raw").write_text("disk")
    with harvest.taken_over(str(tmp_path / "out.raw"), Builder()) as found:
        assert found == (str(tmp_path / "out.raw"), 4)
    with harvest.taken_over(str(tmp_path), Builder()) as found:
        assert found == (str(tmp_path), None)
