# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import machined


@pytest.mark.parametrize("name", ["web", "A1", "a.b", "web-1", "9", "a" * 64, "a-b.c-d.e"])
def test_a_name_that_systemd_takes_is_accepted(name: str) -> None:
    machined.check_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("a/b", "contains '/'"),
        ("..", "part of it is empty"),
        ("a..b", "part of it is empty"),
        (".a", "part of it is empty"),
        ("a.", "part of it is empty"),
        ("-a", "begins or ends with a hyphen"),
        ("a-", "begins or ends with a hyphen"),
        ("a.-b", "'-b' begins or ends"),
        ("a_b", "contains '_'"),
        ("ä", "contains 'ä'"),
        ("a\n", "contains '\\n'"),
        ("a" * 65, "65 characters"),
        (".host", "the host itself"),
    ],
)
def test_a_name_that_systemd_refuses_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(Failure, match=re.escape(reason)):
        machined.check_name(name)


def test_a_host_without_machined_has_no_machines_and_cannot_be_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machined, "find", lambda _program: None)
    assert machined.images() == {}
    assert machined.registered() == []
    with pytest.raises(Failure, match="install systemd-container"):
        machined.require()


@given(st.text(max_size=70))
def test_an_accepted_name_is_safe_as_file_and_as_unit(name: str) -> None:
    try:
        machined.check_name(name)
    except Failure:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name)
    assert ".." not in name and len(name) <= 64
    assert machined.unit_of(name) == f"systemd-nspawn@{name}.service"


@pytest.mark.parametrize("name", ["", ".#half", "a/b", "-x", "a\nb", "x" * 256])
def test_an_image_name_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="image name"):
        machined.check_image_name(name)


def test_a_template_may_have_an_underscore_although_a_machine_may_not() -> None:
    machined.check_image_name("debian_13")


def test_numbers_that_machined_does_not_know_are_no_numbers() -> None:
    row = [
        "web",
        "directory",
        False,
        1,
        2**64 - 1,
        2**64 - 1,
        "/org/freedesktop/machine1/image/web",
    ]
    image = machined._image(row)
    assert (image.created, image.modified, image.usage) == (1, 0, None)
    assert image.path == "/var/lib/machines/web"


def test_a_raw_image_lies_in_a_file_with_its_ending() -> None:
    assert machined.image_path("disk", "raw") == "/var/lib/machines/disk.raw"
