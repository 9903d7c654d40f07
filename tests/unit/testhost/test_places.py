# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from testhost import places
from testhost.run import HostError


@pytest.mark.parametrize("name", ["debian13", "a", "web-1", "x" * 32])
def test_a_host_name_is_a_name(name: str) -> None:
    assert places.host(name).directory == places.HOSTS / name


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "1a", "A", "a-", "x" * 33, "a\n", "a b"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(HostError, match="no name for a test host"):
        places.host(name)


def test_the_socket_of_a_shared_connection_fits_into_its_address() -> None:
    control = places.host("x" * 32).control
    ours, of_ansible = len(str(control)), len("/0123456789.0123456789abcdef")
    assert ours + of_ansible < 108


def test_a_lock_holds_and_ends_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    with places.locked(path), path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_may_be_removed_by_its_holder(tmp_path: Path) -> None:
    with places.locked(tmp_path / "lock"):
        (tmp_path / "lock").unlink()
    assert list(tmp_path.iterdir()) == []
