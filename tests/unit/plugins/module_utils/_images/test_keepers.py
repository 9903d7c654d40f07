# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

from ansible_collections.nspawn.machined.plugins.module_utils._images.keepers import (
    images_in,
    merged,
    of,
)
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.image_classes import SYSEXT


def test_images_of_a_directory_are_what_systemd_takes_for_them(tmp_path: Path) -> None:
    for name in ("tree", "both", ".hidden", ".#nspawn-machined.new", "elsewhere"):
        (tmp_path / name).mkdir()
    for name in ("disk.raw", "both.raw", "notes.txt", ".hidden.raw"):
        (tmp_path / name).write_bytes(b"x" * 5000)
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    found = [(image.name, image.type) for image in images_in(str(tmp_path), SYSEXT)]
    assert found == [
        ("both", "directory"),
        ("both", "raw"),
        ("disk", "raw"),
        ("elsewhere", "directory"),
        ("linked", "directory"),
        ("tree", "directory"),
    ]


def test_a_link_to_the_image_itself_stands_for_it(tmp_path: Path) -> None:
    root, links = tmp_path / "root", tmp_path / "links"
    (root / "tree").mkdir(parents=True)
    links.mkdir()
    kind = dataclasses.replace(SYSEXT, root=str(root), directories=(str(links), str(root)))
    (links / "tree").symlink_to(root / "tree")
    (links / "other").symlink_to(root / "tree")
    found = {image.name: image.path for image in images_in(str(links), kind)}
    assert found == {"tree": str(root / "tree"), "other": str(links / "other")}


def test_one_image_is_found_as_all_of_them_are(tmp_path: Path) -> None:
    first, last = tmp_path / "first", tmp_path / "last"
    for directory in (first, last):
        directory.mkdir()
    kind = dataclasses.replace(SYSEXT, root=str(last), directories=(str(first), str(last)))
    (first / "twice").mkdir()
    (last / "twice").mkdir()
    (last / "both").mkdir()
    for name in ("both.raw", "disk.raw", "disk"):
        (last / name).write_bytes(b"")
    keeper = of(kind)
    found = keeper.images()
    assert {name: image.path for name, image in found.items()} == {
        "twice": str(first / "twice"),
        "both": str(last / "both"),
        "disk": str(last / "disk.raw"),
    }
    assert {name: keeper.find(name) for name in found} == found
    assert keeper.find("disk.raw") is None
    assert keeper.find("none") is None


def test_a_raw_image_is_told_with_its_size_and_times(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"x" * 5000)
    path.chmod(0o444)
    (image,) = images_in(str(tmp_path), SYSEXT)
    assert (image.read_only, image.path, image.image_class) == (True, str(path), "sysext")
    assert image.usage == path.stat().st_blocks * 512
    assert image.modified == path.stat().st_mtime_ns // 1000
    # Not every file system knows when a file was made.
    assert image.created == 0 or abs(image.created - image.modified) < 60_000_000


def test_a_directory_that_is_not_there_holds_no_images(tmp_path: Path) -> None:
    assert images_in(str(tmp_path / "none"), SYSEXT) == []


def test_what_is_merged_is_told_with_the_hierarchies() -> None:
    status: list[dict[str, t.Any]] = [
        {"hierarchy": "/opt", "extensions": ["a"], "since": 1},
        {"hierarchy": "/usr", "extensions": ["a", "b"], "since": 1},
        {"hierarchy": "/srv", "extensions": "none", "since": None},
    ]
    assert merged(status) == {"a": "/opt and /usr", "b": "/usr"}
