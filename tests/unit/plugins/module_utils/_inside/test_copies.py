# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, describe
from ansible_collections.nspawn.machined.plugins.module_utils._inside import copies
from ansible_collections.nspawn.machined.plugins.module_utils._inside.copies import (
    Look,
    Snapshot,
    Wanted,
    check,
    plan,
)

FILE = Look("file", "640", "abc *-\n")
TREE = Look("directory", "755", "f 644 ./one -> \n")
NOTHING = Look("nothing", "0")
COPY = Wanted("web", "/srv/a", "/etc/a")


def test_a_destination_with_a_slash_at_its_end_is_a_directory() -> None:
    assert check(dataclasses.replace(COPY, destination="/etc//x/")).destination == "/etc/x/a"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "a"}, "src: 'a': expected an absolute path"),
        ({"destination": "a"}, "dest: 'a': expected an absolute path"),
        ({"destination": "/etc/.."}, "expected a file or a directory below it"),
        ({"machine": "a/b"}, "machine name"),
        ({"mode": "u+x"}, "expected octal digits"),
        ({"mode": "99"}, "expected octal digits"),
        ({"mode": "17777"}, "expected octal digits"),
    ],
)
def test_what_names_no_place_is_refused(change: dict[str, t.Any], message: str) -> None:
    with pytest.raises(Failure, match=message):
        check(dataclasses.replace(COPY, **change))


def test_a_mode_with_leading_zeros_is_the_same_mode() -> None:
    wanted = check(dataclasses.replace(COPY, mode="0640"))
    assert plan(Snapshot(FILE, FILE), wanted) == ()


def test_what_is_the_same_is_not_copied() -> None:
    assert plan(Snapshot(FILE, FILE), COPY) == ()
    assert plan(Snapshot(TREE, TREE), COPY) == ()


def test_another_mode_is_reason_enough_for_a_copy() -> None:
    steps = plan(Snapshot(FILE, FILE), dataclasses.replace(COPY, mode="600"))
    assert describe(steps) == ["copy web:/etc/a"]
    assert steps[0].arguments["mode"] == "600"


def test_a_file_that_differs_is_left_alone_without_force() -> None:
    other = dataclasses.replace(FILE, contents="def *-\n")
    assert plan(Snapshot(FILE, other), dataclasses.replace(COPY, force=False)) == ()
    assert len(plan(Snapshot(FILE, other), COPY)) == 1


@pytest.mark.parametrize(
    ("source", "there"), [(TREE, FILE), (FILE, TREE), (FILE, Look("other", "0"))]
)
def test_only_a_file_is_replaced_and_only_by_a_file(source: Look, there: Look) -> None:
    with pytest.raises(Failure, match="Remove it first"):
        plan(Snapshot(source, there), COPY)


def test_a_copy_out_of_a_machine_names_the_path_on_the_host() -> None:
    steps = plan(Snapshot(FILE, NOTHING), dataclasses.replace(COPY, to_machine=False))
    assert describe(steps) == ["copy /etc/a"]


def test_nothing_cannot_be_copied() -> None:
    with pytest.raises(Failure, match="found nothing"):
        plan(Snapshot(NOTHING, NOTHING), COPY)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=50), st.binary(max_size=50))
def test_two_files_look_the_same_only_when_they_are(one: bytes, other: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        looks = []
        for name, contents in (("-a b", one), ("c\n$d", other)):
            path = os.path.join(directory, name)
            Path(path).write_bytes(contents)
            looks.append(copies._look_outside(path))
    assert (looks[0] == looks[1]) == (one == other)


def test_each_kind_of_thing_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o640)
    (tmp_path / "hanging").symlink_to("nowhere")
    kinds = {
        name: copies._look_outside(str(tmp_path / name)).kind
        for name in ("file", "none", "hanging", ".")
    }
    assert kinds == {"file": "file", "none": "nothing", "hanging": "other", ".": "directory"}
