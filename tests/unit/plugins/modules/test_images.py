# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the documentation of image and images, and in part of image_info, is the same."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from ansible_collections.nspawn.machined.plugins.modules import (
    image,
    image_info,
    images,
)

ONE: dict[str, t.Any] = yaml.safe_load(image.DOCUMENTATION)["options"]
MANY: dict[str, t.Any] = yaml.safe_load(images.DOCUMENTATION)["options"]["images"]["suboptions"]
RETURNED: dict[str, t.Any] = yaml.safe_load(image.RETURN)
RETURNED_ENTRY: dict[str, t.Any] = yaml.safe_load(images.RETURN)["images"]["contains"]
TOLD: dict[str, t.Any] = yaml.safe_load(image_info.RETURN)["images"]["contains"]


def in_a_list(option: dict[str, t.Any]) -> dict[str, t.Any]:
    """An option's documentation as it has to be where the option is one of an entry."""
    lines = [
        re.sub(r"\bO\(", "O(images[].", line).replace("RV(drift)", "RV(images[].drift)")
        for line in option["description"]
    ]
    return {**option, "description": lines}


def test_an_entry_has_the_options_of_one_image() -> None:
    assert list(MANY) == list(ONE)


@pytest.mark.parametrize("name", ONE)
def test_an_option_of_an_entry_is_documented_as_that_of_one_image(name: str) -> None:
    found = {**MANY[name], "description": list(MANY[name]["description"])}
    if name == "clone_from":
        # Only here can the parent be made by the same call.
        assert "by the same call" in found["description"].pop()
    assert found == in_a_list(ONE[name])


def test_an_entry_returns_what_one_image_returns() -> None:
    assert RETURNED_ENTRY["image"] == RETURNED["image"]
    assert RETURNED_ENTRY["drift"]["description"] == RETURNED["drift"]["description"]


@pytest.mark.parametrize("name", RETURNED["image"]["contains"])
def test_what_is_told_of_an_image_is_what_is_returned_of_it(name: str) -> None:
    found, expected = dict(TOLD[name]), dict(RETURNED["image"]["contains"][name])
    if name == "usage":
        # Here there is also a share of its own, and why a number may be missing.
        expected["description"] = f"{expected['description'].rstrip('.')}, as without btrfs quotas."
    assert found == expected
