# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images.prune import (
    Snapshot,
    Wanted,
    duration,
    plan,
)
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.machined import Image

DAY = 86400.0
NOW = 1_800_000_000.0


def image(name: str, days: float) -> Image:
    created = int((NOW - days * DAY) * 1e6)
    return Image(name, "subvolume", False, created, 0, None, f"/var/lib/machines/{name}")


def host(ages: dict[str, float], **fields: object) -> Snapshot:
    images = {name: image(name, days) for name, days in ages.items()}
    usual = {"hidden": {}, "identities": {}, "ours": frozenset(images), "needed": {}}
    return Snapshot(NOW, images, **{**usual, **fields})  # type: ignore[arg-type]


def gone(seen: Snapshot, wanted: Wanted) -> list[str]:
    return [step.subject for step in plan(seen, wanted)[0]]


def test_the_newest_stay() -> None:
    seen = host({"b1": 3, "b2": 2, "b3": 1})
    assert gone(seen, Wanted(keep=1)) == ["b2", "b1"]


def test_both_number_and_age_must_allow_it() -> None:
    seen = host({"b1": 40, "b2": 35, "b3": 1})
    assert gone(seen, Wanted(keep=2, older_than=30 * DAY)) == ["b1"]
    assert gone(seen, Wanted(keep=0, older_than=30 * DAY)) == ["b2", "b1"]


def test_only_names_that_match_are_counted() -> None:
    seen = host({"b1": 3, "b2": 2, "web": 1})
    assert gone(seen, Wanted(patterns=("b*",), exclude=("b1",), keep=0)) == ["b2"]


def test_what_is_needed_stays_and_says_why() -> None:
    seen = host({"b1": 3, "b2": 2}, needed={"b1": "machine b1 runs from it"})
    steps, kept = plan(seen, Wanted(keep=0))
    assert [step.subject for step in steps] == ["b2"]
    assert kept == {"b1": "machine b1 runs from it"}


def test_images_of_others_stay_unless_they_are_meant() -> None:
    seen = host({"b1": 3}, ours=frozenset())
    assert gone(seen, Wanted(keep=0)) == []
    assert gone(seen, Wanted(keep=0, strangers=True)) == ["b1"]


def test_an_age_that_nobody_knows_is_not_old() -> None:
    unknown = Image("b1", "directory", False, 0, 0, None, "/var/lib/machines/b1")
    seen = Snapshot(NOW, {"b1": unknown}, {}, {}, frozenset({"b1"}), {})
    assert gone(seen, Wanted(older_than=1)) == []


def test_only_downloads_among_the_hidden_images_go() -> None:
    seen = host({}, hidden={name: image(name, 1) for name in (".tar-x", ".raw-x", ".mine")})
    assert gone(seen, Wanted(downloads=True)) == [".raw-x", ".tar-x"]
    assert gone(seen, Wanted(keep=0)) == []


def test_nothing_goes_without_saying_what_may() -> None:
    with pytest.raises(Failure, match="keep, older_than or downloads"):
        plan(host({"b1": 3}), Wanted())


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 30 * DAY), ("1.5h", 5400), ("2w", 14 * DAY), ("5 m", 300)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 days", "1d2h"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(Failure, match="expected a number and one of"):
        duration(text)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 100), max_size=6),
    st.integers(0, 6),
    st.floats(0, 100) | st.none(),
)
def test_every_image_goes_or_is_kept_for_a_reason(
    ages: dict[str, float], keep: int, days: float | None
) -> None:
    older = None if days is None else days * DAY
    steps, kept = plan(host(ages), Wanted(keep=keep, older_than=older))
    assert {step.subject for step in steps} | set(kept) == set(ages)
    assert len(kept) >= min(keep, len(ages))
