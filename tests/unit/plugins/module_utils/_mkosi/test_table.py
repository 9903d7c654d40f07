# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import table

VERSIONS = (table.OLDEST, *range(table.FIRST_MODERN, table.NEWEST + 1))


@pytest.mark.parametrize(
    ("name", "version", "sections"),
    [
        ("Packages", 14, ("Content",)),
        ("Packages", 27, ("Content",)),
        ("Bootable", 14, ("Output",)),
        ("Bootable", 25, ("Content",)),
        ("CacheDirectory", 24, ("Output",)),
        ("CacheDirectory", 25, ("Build",)),
        ("SandboxTrees", 24, ()),
        ("SandboxTrees", 25, ("Build",)),
        ("SshKey", 19, ()),
        ("SshKey", 20, ("Host",)),
        ("QCow2", 15, ()),
        ("NoSuchSetting", 25, ()),
    ],
)
def test_a_setting_stands_where_that_version_reads_it(
    name: str, version: int, sections: tuple[str, ...]
) -> None:
    assert table.sections(name, version) == sections


def test_a_version_newer_than_the_table_is_taken_for_the_newest_one() -> None:
    assert table.known_settings(table.NEWEST + 5) == table.known_settings(table.NEWEST)


@given(st.sampled_from(sorted(table.SETTINGS)))
def test_the_ranges_of_a_setting_are_in_order_and_do_not_overlap(name: str) -> None:
    end = 0
    for _section, first, last in table.SETTINGS[name]:
        assert first > end
        end = table.NEWEST if last is None else last
        assert first <= end <= table.NEWEST


@given(st.sampled_from(sorted(table.SETTINGS)), st.sampled_from(VERSIONS))
def test_no_version_reads_a_setting_in_two_sections(name: str, version: int) -> None:
    assert len(table.sections(name, version)) <= 1
