# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import clearing


def test_an_output_goes_with_the_link_that_leads_nowhere_then(tmp_path: pathlib.Path) -> None:
    (tmp_path / "out.tar.xz").touch()
    (tmp_path / "out").symlink_to("out.tar.xz")
    (tmp_path / "other").symlink_to("nowhere")
    clearing.remove_output(str(tmp_path / "out.tar.xz"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_a_stage_goes_last_and_takes_its_empty_directory_along(tmp_path: pathlib.Path) -> None:
    (tmp_path / "stages/one/output").mkdir(parents=True)
    (tmp_path / "work-abc/root").mkdir(parents=True)
    (tmp_path / "worker").mkdir()
    clearing.remove_stage(str(tmp_path / "stages/one"), str(tmp_path / "work-"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worker"]


def test_what_somebody_else_has_left_under_such_a_name_is_left(tmp_path: pathlib.Path) -> None:
    for name in ("work-1", "work-2", "work"):
        (tmp_path / name).mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "work-2", 4321, 4321)
        assert clearing.mine(str(tmp_path / "work-")) == [str(tmp_path / "work-1")]
    assert str(tmp_path / "work") not in clearing.mine(str(tmp_path / "work-"))
