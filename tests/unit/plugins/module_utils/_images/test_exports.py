# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images.exports import (
    Snapshot,
    Wanted,
    drift,
    plan,
    warnings,
)
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.machined import Image

DEST = "/srv/web.tar.gz"
LINE = f"{'a' * 64}  web.tar.gz\n"
RECORD = {
    "image": "web",
    "state": "1",
    "format": "tar",
    "compression": "gz",
    "checksum": f"sha256:{'a' * 64}",
}


def seen(record: t.Optional[t.Mapping[str, t.Any]] = None, **fields: t.Any) -> Snapshot:
    image = Image("web", "subvolume", False, 0, 0, None, "/var/lib/machines/web")
    plain: dict[str, t.Any] = {"state": "1", "running": False, "sums": None}
    return Snapshot(**{**plain, "image": image, "exists": bool(record), "record": record, **fields})


def said(now: Snapshot, **options: t.Any) -> list[str]:
    return [f"{step.verb} {step.subject}" for step in plan(now, Wanted("web", DEST, **options))]


def test_an_image_is_exported_once() -> None:
    assert said(seen()) == ["export image web"]
    assert said(seen(RECORD)) == []
    assert said(seen(RECORD, sums=LINE), checksum_file=True, update=True) == []


def test_a_changed_image_is_exported_again_when_that_is_wanted() -> None:
    now = seen(RECORD, state="2")
    assert drift(now, Wanted("web", DEST)) == "the image was changed since"
    assert said(now) == []
    assert said(now, update=True) == ["export image web"]


@pytest.mark.parametrize("sums", [None, "", f"{'b' * 64}  web.tar.gz\n"])
def test_a_checksum_file_that_is_not_of_the_export_is_put_right(sums: t.Optional[str]) -> None:
    assert said(seen(RECORD, sums=sums), checksum_file=True) == [f"write {DEST}.sha256"]
    assert said(seen(RECORD, sums=sums)) == []


@pytest.mark.parametrize(
    ("record", "sums", "stale"),
    [(RECORD, LINE, True), (RECORD, "somebody else's\n", False), (None, LINE, False)],
)
def test_only_our_own_checksum_file_goes_with_what_it_was_of(
    record: t.Optional[t.Mapping[str, t.Any]], sums: str, stale: bool
) -> None:
    now = seen(record, sums=sums, state="2")
    (step,) = plan(now, Wanted("web", DEST, update=True, force=True))
    assert step.arguments["stale_sums"] == stale


def test_the_files_of_others_are_left_alone() -> None:
    with pytest.raises(Failure, match="was not exported here"):
        plan(seen(exists=True), Wanted("web", DEST))
    assert said(seen(exists=True), force=True) == ["export image web"]


def test_a_directory_is_no_disk() -> None:
    with pytest.raises(Failure, match="can be exported as tar only"):
        plan(seen(), Wanted("web", "/srv/web.raw", format="raw"))


def test_a_compression_whose_program_is_not_there_is_refused() -> None:
    with pytest.raises(Failure, match="zstd is not installed on this host"):
        plan(seen(zstd=False), Wanted("web", "/srv/web.tar.zst"))
    assert plan(seen(zstd=False), Wanted("web", "/srv/web.tar.xz"))


def test_a_directory_that_changes_meanwhile_is_a_warning() -> None:
    folder = Image("web", "directory", False, 0, 0, None, "/var/lib/machines/web")
    wanted = Wanted("web", DEST)
    for now, count in (
        (seen(image=folder, running=True), 1),
        (seen(image=folder), 0),
        (seen(running=True), 0),
        (seen(RECORD, image=folder, running=True), 0),
    ):
        assert len(warnings(now, wanted, plan(now, wanted))) == count
