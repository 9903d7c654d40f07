# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._core.walk import Limits, Walk
from ansible_collections.nspawn.machined.plugins.module_utils._inside import into
from ansible_collections.nspawn.machined.plugins.module_utils._inside.into import Look

LIMITS = Limits()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "deep" / "er" / "file").write_bytes(b"x" * 3_000_000)
    (top / "deep-er").write_text("beside")
    (top / "empty").touch(mode=0o600)
    (top / "link").symlink_to("nowhere at all")
    Path(os.fsdecode(os.path.join(os.fsencode(top), b"a\nb\xff\\"))).write_text("odd")
    (top / "deep").chmod(0o2750)
    return top


def inside(path: Path) -> Look:
    """What the look in a machine says of a path, here on this machine."""
    said = subprocess.run(
        ["sh", "-c", into._LOOK, "sh", str(path)], stdout=subprocess.PIPE, text=True, check=True
    )
    return into.look_of(said.stdout, "", str(path))


def test_both_looks_say_the_same_of_the_same(tree: Path) -> None:
    for path in (tree, tree / "empty", tree / "deep" / "er" / "file", tree / "none"):
        assert into.look(str(path), LIMITS, 60) == inside(path)


def test_both_looks_tell_what_differs(tree: Path) -> None:
    before = into.look(str(tree), LIMITS, 60)
    (tree / "empty").chmod(0o640)
    assert into.look(str(tree), LIMITS, 60) == inside(tree) != before


def test_what_comes_out_of_the_archive_is_what_went_in(tree: Path, tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    with into.opened(str(tree)) as found, open(tmp_path / "tar", "wb") as archive:
        into._tree(Walk(found, "tree", limits=LIMITS), archive)
    with open(tmp_path / "tar", "rb") as archive:
        subprocess.run(["tar", "-xpf", "-", "-C", stage], stdin=archive, check=True)
    assert inside(stage / "copy") == inside(tree)
    assert (stage / "whole").exists()


def test_everything_in_the_archive_belongs_to_root(tree: Path) -> None:
    archive = io.BytesIO()
    with into.opened(str(tree)) as found:
        into._tree(Walk(found, "tree", limits=LIMITS), archive)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as members:
        assert {(member.uid, member.gid) for member in members} == {(0, 0)}


def test_what_is_no_file_is_refused_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name, kind in (("fifo", "a FIFO"), ("link", "a symbolic link"), ("", "a FIFO")):
        with pytest.raises(Failure, match=f"is {kind}; expected files and directories"):
            into.look(str(tmp_path / name), LIMITS, 10)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "directory 755\n",
        "file 644\nabc *-\n",
        "file 644\n" + "0" * 64 + " *-\nmore",
        "file \x1b[31m\n" + "0" * 64 + " *-\n",
        "fifo\n",
    ],
)
def test_an_answer_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(Failure, match="web:/x cannot be looked at") as caught:
        into.look_of(said, "", "web:/x")
    assert "\x1b" not in caught.value.message


def test_who_does_not_read_does_not_hold_us(tree: Path) -> None:
    with into.opened(str(tree)) as found:
        feed = into.Feed(partial(into._tree, Walk(found, "tree", limits=LIMITS)))
        theirs = feed.open()
        os.close(theirs)
        feed.close()
    assert feed.error is None
