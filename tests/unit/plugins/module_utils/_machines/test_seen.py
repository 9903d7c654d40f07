# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._machines import seen as machines_seen
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import image_classes


@pytest.mark.parametrize(
    ("own", "of_template", "booted"),
    [
        ("a" * 32, "", True),
        ("a" * 32, "b" * 32, True),
        ("a" * 32, "a" * 32, False),
        ("", "b" * 32, False),
        ("uninitialized", "", False),
    ],
)
def test_a_clone_that_has_booted_has_a_machine_id_of_its_own(
    own: str, of_template: str, booted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = dataclasses.replace(image_classes.MACHINE, directories=(str(tmp_path),))
    monkeypatch.setattr(image_classes, "MACHINE", here)
    for name, text in (("clone", own), ("template", of_template)):
        (tmp_path / name / "etc").mkdir(parents=True)
        (tmp_path / name / "etc/machine-id").write_text(f"{text}\n")
    assert machines_seen.has_booted(str(tmp_path / "clone"), "template") == booted


def test_an_image_that_is_a_file_tells_nothing_of_its_boots(tmp_path: Path) -> None:
    (tmp_path / "clone.raw").write_text("")
    assert not machines_seen.has_booted(str(tmp_path / "clone.raw"), None)
