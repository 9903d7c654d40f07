# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images.wanted import (
    NO_LIMIT,
    Wanted,
    literal_checksum,
    size_of,
    wanted,
)

URL = "https://images.example.org/trixie.tar.xz"
ONE = "1" * 64


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"url": URL, "path": "/a.tar"}, "expected one source"),
        ({"state": "absent", "url": URL}, "takes no source"),
        ({"path": "a.tar"}, "is not absolute"),
        ({"clone_from": "b", "checksum": "sha256:" + "0" * 64}, "belongs to url or path"),
        ({"path": "/a.tar", "verify": "signature"}, "verify belongs to url"),
        ({"url": URL, "verify": "none", "checksum": "sha256:" + "0" * 64}, "contradicts"),
        ({"url": URL, "format": "directory"}, "no directory"),
        ({"clone_from": "b", "timeout": 0}, "is not above 0"),
        ({"clone_from": "a"}, "its source is itself"),
        ({"rename_from": "../b"}, "slash"),
        ({"checksum": "md5:12", "url": URL}, "64 hexadecimal"),
        ({"limit": "10 elephants"}, "expected a size"),
        ({"limit": "-1G"}, "expected a size"),
        ({"class": "sysext", "limit": "1G"}, "sysext/a: a limit is set by machined"),
        ({"class": "sysext", "rename_from": "b"}, "so it is not renamed. Make a from"),
        ({"class": "sysext", "clone_from": "a"}, "its source is itself"),
        ({"class": "sysext", "name": "a.sysext"}, "Leave it out"),
        ({"class": "portable", "name": "a.v"}, "Leave it out"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, t.Any], word: str) -> None:
    with pytest.raises(Failure, match=word):
        wanted({"name": "a", **arguments})


def test_a_class_gives_an_image_a_key_of_its_own() -> None:
    extension = wanted({"name": "a", "class": "sysext", "clone_from": "b"})
    assert (extension.key, extension.parent) == ("sysext/a", "sysext/b")
    machine = wanted({"name": "a", "class": "machine", "clone_from": "b"})
    assert (machine.key, machine.parent) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("10G", 10 << 30), ("1.5K", 1536), ("none", NO_LIMIT), ("2T", 2 << 40)],
)
def test_sizes_are_read_as_systemd_spells_them(text: str, size: int) -> None:
    assert size_of(text) == size


def test_every_argument_of_the_module_is_known_to_the_plan() -> None:
    known = {field.name for field in dataclasses.fields(Wanted)}
    assert {"url", "path", "clone_from", "rename_from", "read_only", "limit"} <= known


@pytest.mark.parametrize("text", ["", ONE, f"md5:{ONE}", f"sha256:{ONE}0", f"sha256: {ONE}"])
def test_a_literal_checksum_has_one_form(text: str) -> None:
    with pytest.raises(Failure, match="expected sha256: and 64"):
        literal_checksum(text)


# --- URLs -----------------------------------------------------------------------------------


def test_of_a_url_only_what_may_be_shown_is_kept_and_all_is_asked_for() -> None:
    url = "https://me:planted@images.example.org/a.tar?s=planted"
    found = wanted({"name": "a", "url": url, "headers": {"X-Number": 1, "X-Word": "planted"}})
    assert found.url == "https://images.example.org/a.tar?…"
    assert found.address is not None
    assert found.address.url == "https://images.example.org/a.tar?s=planted"
    assert found.address.headers["X-Number"] == "1"
    assert "planted" not in repr(found)


def test_what_the_controller_has_taken_out_of_sight_counts() -> None:
    arguments = {"name": "a", "url": "https://h.test/a?…", "_address": "https://h.test/a?s=1"}
    found = wanted(arguments)
    assert found.address is not None and found.address.url == "https://h.test/a?s=1"
    assert found.url == "https://h.test/a?…"


def test_headers_without_a_server_are_refused() -> None:
    with pytest.raises(Failure, match="belong to a url"):
        wanted({"name": "a", "path": "/a.tar", "headers": {"X": "1"}})


@pytest.mark.parametrize(("text", "rate"), [("1K", 1024), ("10", 10), ("none", 0), ("2M", 2 << 20)])
def test_a_least_rate_is_a_size_a_second(text: str, rate: int) -> None:
    assert wanted({"name": "a", "url": URL, "least_rate": text}).least_rate == rate


def test_a_least_rate_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(Failure, match="least_rate 'fast'"):
        wanted({"name": "a", "url": URL, "least_rate": "fast"})
