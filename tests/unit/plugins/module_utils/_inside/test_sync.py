# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, diff
from ansible_collections.nspawn.machined.plugins.module_utils._core.walk import Kind, Limits
from ansible_collections.nspawn.machined.plugins.module_utils._inside import sync
from ansible_collections.nspawn.machined.plugins.module_utils._inside.sync import (
    Changes,
    Excluded,
    Snapshot,
    Thing,
    Wanted,
    changes,
    check,
    plan,
)

SYNC = Wanted("web", "/srv/a", "/etc/a")
TOP = Thing(Kind.DIRECTORY, 0o755)
FILE = Thing(Kind.FILE, 0o644, size=3, changed=7)
LINK = Thing(Kind.LINK, 0o777, target="a")


def test_both_paths_are_made_plain() -> None:
    wanted = check(dataclasses.replace(SYNC, source="//srv//a/", destination="/etc/./x/"))
    assert (wanted.source, wanted.destination) == ("/srv/a", "/etc/x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "a"}, "src: 'a': expected an absolute path"),
        ({"destination": "/etc/../a"}, r"without '\.\.'"),
        ({"destination": "//"}, "dest: '/': expected a directory below it"),
        ({"source": "/."}, "src: '/': expected a directory below it"),
        ({"machine": "a/b"}, "machine name"),
        ({"exclude": ("",)}, "exclude: '': expected a name"),
        ({"exclude": ("a/../b",)}, "expected a name or a path below src"),
        ({"exclude": ("[z-a]",)}, "expected a pattern"),
        ({"limits": Limits(size=0)}, "max_size: 0: expected a number above 0"),
        ({"limits": Limits(count=-1)}, "max_files: -1: expected a number above 0"),
        ({"timeout": 0.0}, "too short"),
    ],
)
def test_what_names_no_place_is_refused(change: dict[str, t.Any], message: str) -> None:
    with pytest.raises(Failure, match=message):
        check(dataclasses.replace(SYNC, **change))


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        ("*.pyc", ["a.pyc", "x/y/b.pyc", ".pyc"], ["a.pyc/b", "a.py"]),
        ("/cache", ["cache"], ["x/cache", "cached"]),
        ("cache/", ["cache", "x/cache"], ["cached"]),
        ("var/*/log", ["var/a/log"], ["var/log", "var/a/b/log", "x/var/a/log"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/bc"]),
        ("a/**", ["a/b", "a/b/c"], ["a"]),
        ("[!a-c]?", ["dx", "y/zz"], ["ax", "d", "dxx"]),
        ("a.b+(c", ["a.b+(c"], ["axb+(c"]),
        ("a*\n", ["ab\n"], ["ab"]),
        ("[", ["["], ["a"]),
    ],
)
def test_patterns_match_whole_ways_part_by_part(
    pattern: str, matched: list[str], others: list[str]
) -> None:
    excluded = Excluded([pattern])
    assert [path for path in (*matched, *others) if excluded(path)] == matched


def test_what_is_above_something_excluded_is_known() -> None:
    excluded = Excluded(["x", "y"])
    assert excluded("a/b/x")
    assert excluded.above == {"a", "a/b"}


def test_without_patterns_nothing_is_excluded() -> None:
    assert not Excluded([])("a")


# --- plan -----------------------------------------------------------------------------------


def seen(source: dict[str, Thing], destination: dict[str, Thing], **more: t.Any) -> Snapshot:
    return Snapshot({"": TOP, **source}, {"": TOP, **destination}, **more)


def test_the_same_is_left() -> None:
    both = {"d": TOP, "d/f": FILE, "l": LINK}
    assert plan(seen(both, both), SYNC) == ()


@pytest.mark.parametrize(
    "change",
    [{"size": 4}, {"changed": 8}, {"mode": 0o600}, {"owner": (1, 0)}, {"owner": (0, 1)}],
)
def test_what_differs_in_anything_is_sent(change: dict[str, t.Any]) -> None:
    found = dataclasses.replace(FILE, **change)
    assert changes(seen({"f": FILE}, {"f": found}), SYNC) == Changes(updated=("f",))


def test_by_contents_the_time_does_not_count() -> None:
    wanted = dataclasses.replace(SYNC, checksum=True)
    mine = dataclasses.replace(FILE, digest="a")
    for digest, sent in (("a", ()), ("b", ("f",))):
        found = dataclasses.replace(FILE, digest=digest, changed=1)
        assert changes(seen({"f": mine}, {"f": found}), wanted).updated == sent


def test_a_diff_tells_of_other_contents_and_shows_no_digest() -> None:
    wanted = dataclasses.replace(SYNC, checksum=True)
    mine, found = (dataclasses.replace(FILE, digest=digest) for digest in ("aa11", "bb22"))
    (shown,) = diff(plan(seen({"f": mine}, {"f": found}), wanted))
    assert shown["before"] == "f file 0644 0:0 3 bytes 1970-01-01 00:00:07\n"
    assert shown["after"] == "f file 0644 0:0 3 bytes 1970-01-01 00:00:07 (other contents)\n"


def test_only_on_wish_is_anything_removed_and_then_whole() -> None:
    there = {"d": TOP, "d/f": FILE, "d/g": TOP, "x": LINK}
    assert changes(seen({}, there), SYNC) == Changes()
    wanted = dataclasses.replace(SYNC, delete=True)
    assert changes(seen({}, there), wanted).gone == ("d", "x")


def test_what_is_mounted_or_holds_something_excluded_stays() -> None:
    there = {"d": TOP, "d/f": FILE, "m": Thing(Kind.MOUNT)}
    wanted = dataclasses.replace(SYNC, delete=True)
    assert changes(seen({}, there, kept=frozenset("d")), wanted).removed == ("d/f",)


def test_another_kind_makes_place_with_all_below() -> None:
    todo = changes(
        seen({"d": FILE, "f": TOP, "f/x": FILE}, {"d": TOP, "d/a": FILE, "f": LINK}), SYNC
    )
    assert todo.removed == ("d", "f")
    assert todo.gone == ()
    assert (todo.copied, todo.updated) == (("f/x",), ("d", "f"))


def test_what_is_excluded_or_mounted_makes_no_place() -> None:
    for there, kept in ((TOP, frozenset("d")), (Thing(Kind.MOUNT), frozenset())):
        with pytest.raises(Failure, match="/etc/a/d cannot become a file"):
            changes(seen({"d": FILE}, {"d": there}, kept=kept), SYNC)


def test_removing_comes_first() -> None:
    wanted = dataclasses.replace(SYNC, delete=True)
    remove, fill = plan(seen({"f": FILE}, {"x": FILE}), wanted)
    assert (remove.identity, fill.identity) == ("remove from web:/etc/a", "sync web:/etc/a")
    assert fill.needs == {remove.identity}


@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [
        ({}, {}, "src: /srv/a: expected a directory, found nothing"),
        ({"": FILE}, {}, "found a file; for a file there is machine_copy"),
        ({"": TOP}, {"": LINK}, "dest: web:/etc/a: expected a directory or nothing, found a link"),
    ],
)
def test_only_directories_are_made_the_same(
    source: dict[str, Thing], destination: dict[str, Thing], message: str
) -> None:
    with pytest.raises(Failure, match=message):
        plan(Snapshot(source, destination), SYNC)


def test_a_result_names_the_first_and_counts_all() -> None:
    todo = Changes(
        copied=tuple(map(str, range(sync.LISTED + 5))), removed=("a", "b"), replaced=frozenset("a")
    )
    named = sync.listed(todo)
    assert len(named["copied"]) == sync.LISTED
    assert named["removed"] == ["b"]
    assert named["counts"] == {"copied": sync.LISTED + 5, "updated": 0, "removed": 1}
