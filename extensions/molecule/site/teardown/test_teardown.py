# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""After teardown.yml a host is as it was before site.yml."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.extensions.molecule.testkit.state import (
    State,
    differences,
)


@pytest.fixture(scope="session")
def after(look: t.Callable[[], dict[str, State]]) -> dict[str, State]:
    return look()


def test_a_host_is_as_it_was_before(before: State, after: dict[str, State], on: str) -> None:
    assert differences(before, after[on]) == {}


def test_what_was_compared_is_a_host_with_a_firewall_and_a_network(before: State) -> None:
    """An empty record would compare equal to anything."""
    assert "/etc/firewalld/firewalld.conf" in before
    assert "public" in before["firewall's zones"]
    assert "systemd-networkd.service" in before["unit files"]
