# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._systemd.image_classes import (
    CLASSES,
    MACHINE,
    ImageClass,
    key_of,
    split,
)

names = st.text(string.ascii_letters + string.digits + ".-_ ", min_size=1)
classes = st.sampled_from(list(CLASSES.values()))


@given(classes, names)
def test_a_key_leads_back_to_class_and_name(kind: ImageClass, name: str) -> None:
    assert split(kind.key(name)) == (kind, name)
    assert key_of(kind.name, name) == kind.key(name)


@given(st.lists(st.tuples(classes, names), unique_by=lambda pair: (pair[0].name, pair[1])))
def test_no_two_images_have_one_key(images: list[tuple[ImageClass, str]]) -> None:
    assert len({kind.key(name) for kind, name in images}) == len(images)


def test_the_key_of_a_machine_is_its_name() -> None:
    assert MACHINE.key("web") == "web"
    assert MACHINE.mark == ""


def test_a_class_that_is_not_known_has_keys_as_well() -> None:
    assert key_of("nonsense", "web") == "nonsense/web"


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_images_are_made_where_systemd_looks_for_them(kind: ImageClass) -> None:
    assert kind.root in kind.directories


def test_what_is_kept_for_one_class_is_kept_apart_from_the_others() -> None:
    assert len({kind.mark for kind in CLASSES.values()}) == len(CLASSES)
    assert len({kind.root for kind in CLASSES.values()}) == len(CLASSES)
