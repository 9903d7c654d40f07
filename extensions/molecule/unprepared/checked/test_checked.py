# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A look with --check at a host that has nothing: it reaches the end, and changes nothing."""

from __future__ import annotations

import typing as t

from ansible_collections.nspawn.machined.extensions.molecule.testkit.state import (
    State,
    differences,
)


def test_nothing_was_there(before: State, on: str) -> None:
    """So what check mode went through was a host without any of it."""
    installed = {line.split()[0].partition(":")[0] for line in before["packages"].splitlines()}
    assert "systemd" in installed
    assert not installed & {"firewalld", "libnss-mymachines", "mkosi", "systemd-container"}


def test_check_mode_changes_nothing(
    before: State, look: t.Callable[[], dict[str, State]], on: str
) -> None:
    assert differences(before, look()[on]) == {}
