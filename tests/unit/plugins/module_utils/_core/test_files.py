# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core import files
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "file"
    files.write(str(path), "one\n")
    files.write(str(path), "two\n", mode=0o600)
    assert path.read_text() == "two\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["file"]


def test_what_a_killed_run_left_is_replaced_by_the_next(tmp_path: pathlib.Path) -> None:
    (tmp_path / f".file{files.TEMPORARY_SUFFIX}").write_text("half")
    files.write(str(tmp_path / "file"), "whole")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_laid_under_the_temporary_name_is_not_followed(tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".file{files.TEMPORARY_SUFFIX}").symlink_to(victim)
    files.write(str(tmp_path / "file"), "text")
    assert victim.read_text() == "precious"


def test_bytes_that_are_not_utf8_survive_reading_and_writing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xe9\r\n")
    text = files.read(str(tmp_path / "a"))
    files.write(str(tmp_path / "b"), text or "")
    assert (tmp_path / "b").read_bytes() == b"caf\xe9\r\n"


def test_a_file_that_is_not_there_reads_as_nothing(tmp_path: pathlib.Path) -> None:
    assert files.read(str(tmp_path / "none")) is None
    files.remove(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("link", "expected"),
    [("/etc/real", "etc/real"), ("../../../../etc/real", "etc/real"), ("real", "etc/real")],
)
def test_links_of_an_image_stay_in_the_image(
    tmp_path: pathlib.Path, link: str, expected: str
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/link").symlink_to(link)
    assert files.inside(str(tmp_path), "/etc/link") == str(tmp_path / expected)


def test_a_loop_of_links_is_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(Failure, match="too many symbolic links"):
        files.inside(str(tmp_path), "/a")


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "/"]), max_size=12))
def test_no_path_climbs_out_of_its_root(parts: list[str]) -> None:
    resolved = files.inside("/nowhere/root", "/".join(parts))
    assert f"{resolved}/".startswith("/nowhere/root/")
    assert ".." not in resolved.split("/")


def test_a_directory_with_something_in_it_stays(tmp_path: pathlib.Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "empty").mkdir()
    files.remove_empty_directory(str(tmp_path / "full"))
    files.remove_empty_directory(str(tmp_path / "empty"))
    assert os.listdir(tmp_path) == ["full"]


def test_a_directory_that_is_a_dangling_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        files.write(str(tmp_path / "link" / "file"), "text")
