# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import pathlib
import threading
from collections.abc import Iterator
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


@pytest.fixture(name="directory")
def open_directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_what_is_being_written_is_not_swept_away(tmp_path: Path, directory: int) -> None:
    with files.replacing_at(directory, "file") as descriptor:
        os.write(descriptor, b"slowly ")
        files.write(str(tmp_path / "file"), "quick")
        os.write(descriptor, b"written")
    assert (tmp_path / "file").read_text() == "slowly written"
    assert os.listdir(tmp_path) == ["file"]


def test_two_writers_leave_every_reader_one_of_their_texts(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    texts = [letter * 300_000 for letter in "ab"]
    files.write(path, texts[0])
    end = threading.Event()

    def work(text: str) -> None:
        while not end.is_set():
            files.write(path, text, durable=False)

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    torn = [text for text in (files.read(path) for _round in range(300)) if text not in texts]
    end.set()
    for thread in threads:
        thread.join()
    assert torn == []
    assert os.listdir(tmp_path) == ["file"]


def test_work_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, directory: int
) -> None:
    files.write(str(tmp_path / "file"), "old")
    with (
        contextlib.suppress(KeyError),
        files.replacing_at(directory, "file") as descriptor,
    ):
        os.write(descriptor, b"new")
        raise KeyError
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_to_be_new_replaces_nothing(tmp_path: Path, directory: int) -> None:
    with files.replacing_at(directory, "file", replace=False) as descriptor:
        os.write(descriptor, b"first")
    with pytest.raises(FileExistsError), files.replacing_at(directory, "file", replace=False):
        pass
    assert (tmp_path / "file").read_text() == "first"
    assert os.listdir(tmp_path) == ["file"]


def test_a_replaced_file_hands_on_its_mode_owner_and_attributes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    try:
        os.setxattr(path, "user.note", b"kept")
        os.chown(path, 12345, 54321)
    except OSError:
        pytest.skip("needs root, and a file system with attributes")
    files.write(str(path), "new")
    status = path.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o640, 12345, 54321)
    assert os.getxattr(path, "user.note") == b"kept"
    files.write(str(path), "newer", mode=0o600)
    assert path.stat().st_mode & 0o7777 == 0o600


def test_who_may_not_give_a_new_file_away_keeps_it(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refused)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    files.write_at(directory, "new", b"whole", mode=0o600, owner=(12345, 54321))
    assert (tmp_path / "new").read_text() == "whole"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(PermissionError):
        files.write_at(directory, "newer", b"whole", owner=(12345, 54321))


@pytest.mark.parametrize("letters", ["n" * 255, "ä" * 127, "n" * 213, "n" * 214])
def test_a_name_may_be_as_long_as_names_are(tmp_path: Path, letters: str) -> None:
    path = tmp_path / letters
    (tmp_path / files.temporary_name(letters)).write_text("of a killed run")
    files.write(str(path), "whole")
    assert os.listdir(tmp_path) == [letters]
    assert path.read_text() == "whole"


@given(st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1, max_size=60))
def test_a_temporary_name_tells_the_finished_one_and_is_never_the_same(name: str) -> None:
    one, other = files.temporary_name(name), files.temporary_name(name)
    assert one != other
    assert files.finished_name(one) == name
    assert len(os.fsencode(one)) <= files.NAME_LIMIT


def test_a_directory_that_somebody_works_in_is_not_abandoned(directory: int) -> None:
    name, descriptor = files.temporary_directory(directory, "tree")
    assert list(files.abandoned_directories(directory, "tree")) == []
    os.close(descriptor)
    found = list(files.abandoned_directories(directory, "tree"))
    assert [one for one, _descriptor in found] == [name]
    for _name, one in found:
        os.close(one)


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
