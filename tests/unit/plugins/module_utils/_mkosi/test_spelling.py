# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import table
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.spelling import Draft


@pytest.mark.parametrize(
    ("version", "section", "name", "warnings"),
    [
        (14, "Output", "Bootable", 0),
        (25, "Content", "Bootable", 1),
        (24, "Content", "Bootable", 1),
    ],
)
def test_a_setting_comes_into_the_section_of_the_version_and_that_is_told(
    version: int, section: str, name: str, warnings: int
) -> None:
    draft = Draft(version)
    draft.place("Output", name, ("yes",))
    assert draft.settings == {section: {name: ("yes",)}}
    assert len(draft.warnings) == warnings


def test_a_setting_under_two_names_is_one_list() -> None:
    draft = Draft(25)
    draft.place("Content", "BuildScript", ("a",))
    draft.place("Content", "BuildScripts", ("b",))
    assert draft.settings == {"Content": {"BuildScripts": ("a", "b")}}
    assert draft.value("BuildScripts") == "a,b"


def test_a_setting_that_went_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(Failure, match="set Encrypt= in a repart definition"):
        Draft(25).place("Output", "Encrypt", ("all",))


def test_a_newer_mkosi_than_the_table_may_know_more() -> None:
    draft = Draft(table.NEWEST + 1)
    draft.place("Content", "BrandNew", ("1",))
    assert draft.settings["Content"]["BrandNew"] == ("1",)
    assert "not known to this collection" in draft.warnings[0]
