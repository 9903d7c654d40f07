# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._images.drift import drift
from ansible_collections.nspawn.machined.plugins.module_utils._images.model import (
    Provenance,
    Snapshot,
    Source,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.wanted import Wanted

URL = "https://images.example.org/trixie.tar.xz"


def source(**fields: t.Any) -> Source:
    return dataclasses.replace(Source("url", URL, "tar", "xz", 100, '"1"', "monday"), **fields)


def record(**fields: t.Any) -> Provenance:
    known = Provenance("url", URL, 0.0, "sha256:" + "1" * 64, size=100, etag='"1"')
    return dataclasses.replace(known, identity="subvolume:1", **fields)


def host(**fields: t.Any) -> Snapshot:
    return Snapshot(257, {}, **fields)


@pytest.mark.parametrize(
    ("now", "then", "reason"),
    [
        ({}, {}, None),
        ({"etag": '"2"'}, {}, "ETag"),
        ({"etag": None, "last_modified": "tuesday"}, {"last_modified": "monday"}, "time of"),
        ({"etag": None, "last_modified": None, "size": 5}, {}, "size"),
        ({"etag": None, "size": 5}, {"last_modified": "monday"}, "size"),
        ({"etag": None, "last_modified": None, "size": None}, {}, None),
        ({"checksum": "sha256:" + "1" * 64, "etag": '"2"'}, {}, None),
        ({"checksum": "sha256:" + "2" * 64}, {}, "has sha256:2"),
        ({"location": "https://other.example.org/a.tar"}, {}, "it came from https://images"),
        ({"digest": "b"}, {"digest": "a"}, "built anew"),
        ({"digest": "a", "etag": '"2"'}, {"digest": "a"}, None),
    ],
)
def test_drift_is_told_by_the_most_telling_thing_that_both_know(
    now: dict[str, t.Any], then: dict[str, t.Any], reason: str | None
) -> None:
    seen = host(records={"a": record(**then)}, sources={"a": source(**now)})
    found = drift(Wanted("a", url=URL), seen)
    assert (found is None) == (reason is None)
    assert reason is None or reason in (found or "")


def test_the_same_bytes_from_elsewhere_are_no_drift() -> None:
    moved = source(kind="upload", location="/home/else/a.tar", checksum=record().checksum)
    seen = host(records={"web": record()}, sources={"web": moved})
    assert drift(Wanted("web", path="/home/else/a.tar"), seen) is None


def test_a_clone_drifts_when_the_parent_of_its_class_is_replaced() -> None:
    origin = Provenance("clone", "web", 0.0, parent="inode:9:1", identity="s")
    seen = host(
        identities={"web": "inode:9:1", "portable/web": "inode:2:1"},
        records={"portable/copy": origin},
    )
    entry = Wanted("copy", image_class="portable", clone_from="web")
    assert drift(entry, seen) == "web has been replaced since it was cloned"
