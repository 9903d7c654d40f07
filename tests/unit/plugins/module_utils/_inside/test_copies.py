# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    describe,
    diff,
)
from ansible_collections.nspawn.machined.plugins.module_utils._core.walk import Limits
from ansible_collections.nspawn.machined.plugins.module_utils._inside.copies import (
    Snapshot,
    Wanted,
    check,
    plan,
    warnings,
)
from ansible_collections.nspawn.machined.plugins.module_utils._inside.into import Look

FILE = Look("file", "640", "abc")
TREE = Look("directory", "755", "def")
NOTHING = Look("nothing")
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
        ({"limits": Limits(size=0)}, "max_size: 0: expected a number above 0"),
        ({"limits": Limits(count=-1)}, "max_files: -1: expected a number above 0"),
        ({"timeout": 0.0}, "too short"),
        ({"timeout": float("inf")}, "no time to wait"),
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


@pytest.mark.parametrize("there", [NOTHING, FILE, dataclasses.replace(FILE, digest="def")])
def test_a_diff_says_that_a_file_becomes_another_one_and_not_which(there: Look) -> None:
    wanted = dataclasses.replace(COPY, mode="600")
    (shown,) = diff(plan(Snapshot(FILE, there), wanted))
    for digest in (FILE.digest, there.digest):
        assert not digest or digest not in str(shown)
    assert ("another one" in shown["after"]) == (there.kind == "file" and there != FILE)


def test_a_file_that_differs_is_left_alone_without_force() -> None:
    other = dataclasses.replace(FILE, digest="def")
    assert plan(Snapshot(FILE, other), dataclasses.replace(COPY, force=False)) == ()
    assert len(plan(Snapshot(FILE, other), COPY)) == 1


@pytest.mark.parametrize(
    ("source", "there"),
    [(TREE, FILE), (FILE, TREE), (FILE, Look("other")), (FILE, Look("link", "777"))],
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


@pytest.mark.parametrize("mode", ["4755", "2755", "1777"])
def test_what_comes_out_of_a_machine_gives_nobody_rights(mode: str) -> None:
    with pytest.raises(Failure, match="expected three digits"):
        check(dataclasses.replace(COPY, mode=mode, to_machine=False))
    assert check(dataclasses.replace(COPY, mode=mode)).mode == mode


def test_a_link_is_nothing_that_can_be_copied() -> None:
    with pytest.raises(Failure, match="found neither"):
        plan(Snapshot(Look("link", "777"), NOTHING), dataclasses.replace(COPY, to_machine=False))


def test_what_is_left_out_is_told_and_how_much_more_there_is() -> None:
    seen = Snapshot(TREE, NOTHING, left_out=3, told=("web:/srv/a/x: a FIFO",))
    assert warnings(seen, COPY) == [
        "web:/srv/a: 3 of what is in it is not taken along: web:/srv/a/x: a FIFO, and 2 more"
    ]
    assert warnings(Snapshot(TREE, NOTHING), COPY) == []
