# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath
from ansible_collections.nspawn.machined.plugins.module_utils._users.act import equip
from ansible_collections.nspawn.machined.plugins.module_utils._users.equip import Equipment


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/var/lib/systemd").mkdir(parents=True)
    return tmp_path / "root"


def test_a_tree_is_given_what_makes_users_known(root: Path) -> None:
    equip(str(root), Equipment("passwd: files systemd\n", ("alan", "bea")))
    assert (root / "etc/nsswitch.conf").read_text() == "passwd: files systemd\n"
    linger = root / "var/lib/systemd/linger"
    assert sorted(os.listdir(linger)) == ["alan", "bea"]
    equip(str(root), Equipment(unlinger=("alan", "grace")))
    assert os.listdir(linger) == ["bea"]


def test_a_link_of_a_tree_reaches_nothing_of_the_host(root: Path) -> None:
    outside = root.parent / "linger"
    outside.mkdir()
    (root / "var/lib/systemd/linger").symlink_to(outside)
    with pytest.raises(beneath.Unusable):
        equip(str(root), Equipment(linger=("alan",)))
    assert os.listdir(outside) == []
