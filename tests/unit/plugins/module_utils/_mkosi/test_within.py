# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import within
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.builder import Builder

UID = os.geteuid()


def test_the_files_that_are_there_are_seen_with_mode_and_owner(tmp_path: pathlib.Path) -> None:
    within.write(str(tmp_path), UID, "mkosi.extra/etc/motd", "hello\n", 0o640)
    found = within.present(str(tmp_path), UID, {"mkosi.extra/etc/motd": 6, "mkosi.conf": 0})
    assert found == {"mkosi.extra/etc/motd": ["hello\n", 0o640, UID]}


def test_of_a_directory_that_is_missing_nothing_is_there(tmp_path: pathlib.Path) -> None:
    assert within.present(str(tmp_path / "no"), UID, {"mkosi.conf": 0}) == {}
    within.remove(str(tmp_path / "no"), UID, "mkosi.conf")


def test_what_is_larger_than_expected_is_not_read_whole(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "mkosi.conf").open("wb") as stream:
        stream.truncate(3 << 30)
    (text, _mode, _uid) = within.present(str(tmp_path), UID, {"mkosi.conf": 5})["mkosi.conf"]
    assert text == "(a file of 3221225472 bytes)\n"


def test_what_we_wrote_is_read_whole_however_large_it_is(tmp_path: pathlib.Path) -> None:
    text = "x" * (within.TEXT_LIMIT + 10)
    within.write(str(tmp_path), UID, "mkosi.build", text, 0o700)
    found = within.present(str(tmp_path), UID, {"mkosi.build": len(text)})
    assert found["mkosi.build"][0] == text


@pytest.mark.parametrize("part", ["mkosi.extra", "mkosi.extra/etc", "mkosi.extra/etc/motd"])
def test_links_are_refused_in_words_and_nothing_is_behind_them(
    tmp_path: pathlib.Path, part: str
) -> None:
    precious, directory = tmp_path / "precious", tmp_path / "directory"
    (precious / "etc").mkdir(parents=True)
    (precious / "etc/motd").write_text("kept")
    directory.mkdir()
    link = directory / part
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(precious / part.partition("/")[2])
    path = "mkosi.extra/etc/motd"
    with pytest.raises(Failure, match=r"symbolic link|links where there may be none"):
        within.present(str(directory), UID, {path: 3})
    with pytest.raises(Failure, match=r"symbolic link|links where there may be none"):
        within.write(str(directory), UID, path, "mine", 0o644)
    if part != path:
        with pytest.raises(Failure, match=r"symbolic link|links where there may be none"):
            within.remove(str(directory), UID, path)
    assert (precious / "etc/motd").read_text() == "kept"


def test_what_is_removed_takes_the_emptied_directories_along(tmp_path: pathlib.Path) -> None:
    for path in ("mkosi.extra/etc/motd", "mkosi.extra/usr/lib/x"):
        within.write(str(tmp_path), UID, path, "", 0o644)
    within.remove(str(tmp_path), UID, "mkosi.extra/usr/lib/x")
    assert not (tmp_path / "mkosi.extra/usr").exists()
    within.remove(str(tmp_path), UID, "mkosi.extra/etc/motd")
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_is_a_regular_file_of_some_size(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").write_text("[Content]\n")
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "fifo")
    assert within.text_of(str(tmp_path / "link")) == "[Content]\n"
    assert within.text_of(str(tmp_path / "none")) is None
    with pytest.raises(Failure, match="is a FIFO; expected a regular file"):
        within.text_of(str(tmp_path / "fifo"))


def test_a_user_reads_what_the_user_may_read(tmp_path: pathlib.Path, somebody: Builder) -> None:
    (tmp_path / "secret").write_text("word")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(Failure, match="Permission denied"):
        somebody.call(within.text_of, str(tmp_path / "secret"))
