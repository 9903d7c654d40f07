# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Step, apply
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.act import VERBS
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.seen import PATH


def step(root: Path, verb: str = "write") -> Step:
    return Step(verb, PATH, {"root": str(root), "text": "new\n"})


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    return tmp_path / "root"


def test_a_file_is_replaced_and_keeps_its_mode(root: Path) -> None:
    file = root / "etc/nsswitch.conf"
    file.write_text("old\n")
    file.chmod(0o640)
    assert not apply((step(root),), VERBS).failed
    assert file.read_text() == "new\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(root / "etc") == ["nsswitch.conf"]


def test_a_new_file_can_be_read_by_everybody(root: Path) -> None:
    assert not apply((step(root),), VERBS).failed
    assert (root / "etc/nsswitch.conf").stat().st_mode & 0o777 == 0o644


def test_a_link_is_followed_in_the_root_and_never_out_of_it(root: Path) -> None:
    (root.parent / "host.conf").write_text("the host's\n")
    (root / "etc/nsswitch.conf").symlink_to("../../../../host.conf")
    assert not apply((step(root),), VERBS).failed
    assert (root.parent / "host.conf").read_text() == "the host's\n"
    assert (root / "host.conf").read_text() == "new\n"


def test_a_pipe_that_has_taken_its_place_is_refused(root: Path) -> None:
    os.mkfifo(root / "etc/nsswitch.conf")
    ((_step, error),) = apply((step(root),), VERBS).failed
    assert isinstance(error, beneath.Unusable)


def test_a_copy_goes(root: Path) -> None:
    (root / "etc/nsswitch.conf").write_text("old\n")
    assert not apply((step(root, "remove"),), VERBS).failed
    assert os.listdir(root / "etc") == []
