# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import struct
import threading
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import (
    act,
    locks,
    provenance,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.model import Provenance


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(act, "NAME_LOCKS", f"{tmp_path}/name-")
    return tmp_path / "name-web"


def hold(path: Path) -> int:
    """Lock a name in the way of machined."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, whole)
    return descriptor


def test_a_name_that_nobody_clones_is_not_waited_for(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "CLONE_TIMEOUT", 0)
    act.await_clone("web")
    lock.touch()
    act.await_clone("web")


def test_a_clone_that_machined_is_still_making_is_waited_for(lock: Path) -> None:
    descriptor = hold(lock)
    ending = threading.Timer(0.3, os.close, [descriptor])
    ending.start()
    act.await_clone("web")
    assert ending.finished.is_set()


def test_a_clone_that_never_ends_is_not_waited_for_for_ever(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "CLONE_TIMEOUT", 0.2)
    descriptor = hold(lock)
    with pytest.raises(Failure, match="image web: machined has been making an image"):
        act.await_clone("web")
    os.close(descriptor)


def test_a_run_that_was_killed_while_it_made_an_image_is_known_by_what_it_had_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "DIRECTORY", str(tmp_path / "records"))
    monkeypatch.setattr(locks, "LOCKS", str(tmp_path / "locks"))
    assert not act.was_cut_off("web")
    record = Provenance(kind="clone", source="trixie", imported=0)
    provenance.begin("web", record)
    assert act.was_cut_off("web")
    provenance.write("web", record)
    assert not act.was_cut_off("web")
