# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._machines import limits
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._settings.nspawn_file import Settings
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import machined

NETWORK = Settings({"Network": {"Zone": ("web",)}})


def bridge(root: Path, name: str, links: int) -> None:
    for number in range(links):
        (root / f"vz-{name}" / "brif" / f"vb-{number}").mkdir(parents=True)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(limits, "LINKS", str(tmp_path))
    return tmp_path


def test_a_zone_has_room_for_253_machines(links: Path) -> None:
    bridge(links, "web", 3)
    limits.check_zones({"web": 250, "other": 253})
    with pytest.raises(Failure, match=r"251 machines .* Zone=web, where 3 run .* 253 addresses"):
        limits.check_zones({"other": 1, "web": 251})


def test_nothing_to_start_needs_no_address(links: Path) -> None:
    bridge(links, "web", 300)
    limits.check_zones({})


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
    assert limits.zones(snapshot, wanted, steps) == ["back", "web"]


def test_the_network_of_a_link_is_the_one_that_it_has() -> None:
    assert limits._prefix_of("lo") == 8
    assert limits._prefix_of("vz-nosuch") == 24


def test_a_machine_that_moves_to_another_zone_by_a_restart_counts_for_it() -> None:
    runs = Seen(image="subvolume", active="active", settings="[Network]\nZone=old\n")
    stays = Seen(image="subvolume", active="active", settings="[Network]\nZone=web\n")
    snapshot = Snapshot({"moves": runs, "stays": stays}, frozenset({"moves", "stays"}))
    wanted = [
        Wanted(name, "started", declared=True, settings=NETWORK, restart="always")
        for name in ("moves", "stays")
    ]
    assert limits.zones(snapshot, wanted, plan(snapshot, wanted)) == ["web"]


@pytest.fixture
def inotify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host of 128 instances on which 100 are open, and which counts when it must."""
    (tmp_path / "limit").write_text("128\n")
    (tmp_path / "machines").mkdir()
    monkeypatch.setattr(limits, "INOTIFY", str(tmp_path / "limit"))
    monkeypatch.setattr(limits, "REGISTERED", str(tmp_path / "machines"))
    monkeypatch.setattr(limits, "inotify_instances", lambda: 100)
    return tmp_path


@pytest.mark.usefixtures("inotify")
def test_few_machines_are_refused_when_those_that_run_have_used_nearly_all() -> None:
    limits.check_inotify(3)
    with pytest.raises(Failure, match=r"4 machines .* about 32 .* 100 of .*=128 .*=8192"):
        limits.check_inotify(4)


def test_instances_are_not_counted_on_a_host_with_room_for_twice_as_many(
    inotify: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count() -> int:
        raise AssertionError("counted")

    monkeypatch.setattr(limits, "inotify_instances", count)
    (inotify / "limit").write_text("8192\n")
    for number in range(300):
        (inotify / "machines" / f"m{number}").touch()
        (inotify / "machines" / f"unit:systemd-nspawn@m{number}.service").touch()
    limits.check_inotify(200)
    with pytest.raises(AssertionError, match="counted"):
        limits.check_inotify(205)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template of 3 MiB on a disk where clones are copies."""
    (tmp_path / "trixie" / "usr").mkdir(parents=True)
    (tmp_path / "trixie" / "usr" / "file").write_bytes(os.urandom(3 * 2**20))
    image = machined.Image("trixie", "directory", False, 0, 0, None, str(tmp_path / "trixie"))
    monkeypatch.setattr(machined, "images", lambda: {"trixie": image})
    monkeypatch.setattr(machined, "MACHINES_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(limits, "_file_system_of", lambda _path: "ext4")
    return tmp_path


def leave_free(mebibytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = (1, 2**20, 0, 0, mebibytes, 0, 0, 0, 0, 255)
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(blocks))


@pytest.mark.usefixtures("disk")
def test_copies_that_the_disk_has_no_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_free(64 + 31, monkeypatch)
    limits.check_disk(["trixie"] * 10)
    with pytest.raises(Failure, match=r"20 clones take about 12[45] MiB .* 95 MiB are free"):
        limits.check_disk(["trixie"] * 20)


def test_a_template_that_is_deeper_than_pythons_stack_is_measured(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = os.open(disk / "trixie" / "usr", os.O_RDONLY)
    try:
        for _number in range(1200):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open(b"\xff\n", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        leave_free(64 + 2, monkeypatch)
        with pytest.raises(Failure, match="1 clones take about"):
            limits.check_disk(["trixie"])
    finally:
        os.close(here)
        # What pytest uses itself goes no deeper than Python's stack.
        trees.remove(str(disk / "trixie"))


@pytest.mark.usefixtures("disk")
def test_clones_that_share_their_blocks_need_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_free(1, monkeypatch)
    monkeypatch.setattr(limits, "_file_system_of", lambda _path: "btrfs")
    limits.check_disk(["trixie"] * 100)
