# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import memory
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import (
    act,
    provenance,
)
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import image_classes


@pytest.mark.parametrize("identity", ["", "inode:1:2"])
def test_an_image_that_is_not_the_one_that_was_seen_is_not_removed(
    identity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = dataclasses.replace(image_classes.MACHINE, directories=(str(tmp_path),))
    monkeypatch.setattr(image_classes, "MACHINE", here)
    monkeypatch.setattr(provenance, "DIRECTORY", str(tmp_path / "records"))
    monkeypatch.setattr(memory, "RUNTIME", str(tmp_path / "run"))
    (tmp_path / "web").mkdir()
    with pytest.raises(Failure, match="image web: it is not the one that was there"):
        act.remove("web", identity)
    assert (tmp_path / "web").is_dir()
