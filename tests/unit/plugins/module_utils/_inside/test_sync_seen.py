# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._inside import sync_seen
from ansible_collections.nspawn.machined.plugins.module_utils._inside.sync import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._inside.sync_seen import owner_of

SYNC = Wanted("web", "/srv/a", "/etc/a")


@pytest.fixture
def root(tmp_path: Path) -> t.Iterator[beneath.Root]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("broken\nweb:x:33:44::/:/bin/sh\nbad:x:-1:x::/:/\n")
    (tmp_path / "etc/group").write_text("broken\nstaff:x:50:\n")
    with beneath.image(str(tmp_path)) as found:
        yield found


@pytest.mark.parametrize(
    ("owner", "group", "numbers"),
    [
        ("root", None, (0, 0)),
        ("web", None, (33, 44)),
        ("33", None, (33, 44)),
        ("web", "staff", (33, 50)),
        ("7", "8", (7, 8)),
    ],
)
def test_an_owner_has_the_numbers_that_the_machine_gives(
    root: beneath.Root, owner: str, group: t.Optional[str], numbers: tuple[int, int]
) -> None:
    assert owner_of(dataclasses.replace(SYNC, owner=owner, group=group), root) == numbers


@pytest.mark.parametrize(
    ("owner", "group", "message"),
    [
        ("nobody", None, "'nobody' is not in /etc/passwd of web"),
        ("web", "none", "'none' is not in /etc/group of web"),
        ("7", None, "expected a group"),
        ("bad", None, "has the number '-1', which is none"),
        ("4294967295", "0", "which is none"),
    ],
)
def test_whom_the_machine_does_not_know_is_refused(
    root: beneath.Root, owner: str, group: t.Optional[str], message: str
) -> None:
    with pytest.raises(Failure, match=message):
        owner_of(dataclasses.replace(SYNC, owner=owner, group=group), root)


def test_numbers_of_the_host_are_told_in_the_machines() -> None:
    ranges = sync_seen._ranges("         0  524288      65536\n")
    assert [sync_seen._number(ranges, one) for one in (524288, 524321, 0)] == [0, 33, 65534]


def test_what_no_machine_can_take_is_refused_unless_excluded(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    wanted = dataclasses.replace(SYNC, source=str(tmp_path))
    with pytest.raises(Failure, match="fifo is a FIFO; expected files"):
        sync_seen._source_to(wanted)
    assert list(sync_seen._source_to(dataclasses.replace(wanted, exclude=("fifo",)))) == [""]
