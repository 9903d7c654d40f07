# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils import _machines_limits
from ansible_collections.nspawn.machined.plugins.module_utils._machines import (
    Seen,
    Snapshot,
    Wanted,
    plan,
    zones,
)
from ansible_collections.nspawn.machined.plugins.module_utils._plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._settings import Settings

NETWORK = Settings({"Network": {"Zone": ("web",)}})


def bridge(root: Path, name: str, links: int) -> None:
    for number in range(links):
        (root / f"vz-{name}" / "brif" / f"vb-{number}").mkdir(parents=True)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_machines_limits, "LINKS", str(tmp_path))
    return tmp_path


def test_a_zone_has_room_for_253_machines(links: Path) -> None:
    bridge(links, "web", 3)
    _machines_limits.check_zones({"web": 250, "other": 253})
    with pytest.raises(Failure, match=r"251 machines .* Zone=web, where 3 run .* 253 addresses"):
        _machines_limits.check_zones({"other": 1, "web": 251})


def test_nothing_to_start_needs_no_address(links: Path) -> None:
    bridge(links, "web", 300)
    _machines_limits.check_zones({})


def test_only_machines_that_start_count_for_their_zone() -> None:
    snapshot = Snapshot(
        {
            "runs": Seen(image="subvolume", active="active"),
            "configured": Seen(image="subvolume", settings="[Network]\nZone=back\n"),
            "plain": Seen(image="subvolume"),
        },
        frozenset({"runs", "configured", "plain", "trixie"}),
    )
    wanted = [
        Wanted("runs", "started", declared=True, settings=NETWORK),
        Wanted("configured", "started", declared=True),
        Wanted("plain", "started", declared=True),
        Wanted("new", "started", image="trixie", declared=True, settings=NETWORK),
        Wanted("stays", "stopped", image="trixie", declared=True, settings=NETWORK),
    ]
    steps = plan(snapshot, wanted)
    assert zones(snapshot, wanted, steps) == ["back", "web"]


def test_the_network_of_a_link_is_the_one_that_it_has() -> None:
    assert _machines_limits._prefix_of("lo") == 8
    assert _machines_limits._prefix_of("vz-nosuch") == 24
