# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._systemd.network_files import (
    LEAVE_OUT,
    LINKS,
    File,
    surprises,
    takes,
    there,
)

VE, VZ = "80-container-ve.network", "80-container-vz.network"


def file(match: str, name: str = "10-all.network") -> File:
    return File(f"/etc/systemd/network/{name}", (f"[Match]\n{match}\n[Network]\nDHCP=yes\n",))


@pytest.mark.parametrize(
    ("match", "ve", "vz"),
    [
        ("Name=*", True, True),
        ("Type=ether", True, False),
        ("Name=e* v*", True, True),
        ("Name=en* eth*", False, False),
        ("Kind=veth", True, False),
        ("Driver=bridge", False, True),
        ("Kind=!bridge", True, False),
        ("Type=ether\nKind=!veth bond", False, False),
        ("Type=ether\nName=!ve-*", False, False),
        ("Type=ether\nHost=me\nVirtualization=!container", True, False),
        ("Type=ether\nMACAddress=02:00:00:00:00:01", False, False),
        ("Path=pci-*", False, False),
        ("Name=eth0\nName=*", True, True),
        ("Name=*\nName=\nName=eth0", False, False),
        ("Name=*\nName=\n", False, False),
        ("# Name=*", False, False),
        (f"Type=ether bridge\n{LEAVE_OUT}", False, False),
        ("Name=v?-[!x]*", True, True),
    ],
)
def test_who_would_take_the_links_of_machines(match: str, ve: bool, vz: bool) -> None:
    assert takes(file(match), LINKS[VE]) is ve
    assert takes(file(match), LINKS[VZ]) is vz


def test_only_what_comes_before_is_told_and_how_to_mend_it() -> None:
    (told,) = surprises([VE], [file("Type=ether"), file("Type=ether", "99-all.network")], {})
    assert told.startswith("/etc/systemd/network/10-all.network takes links of machines (ve-*)")
    assert told.endswith(f"by giving its section [Match] the line {LEAVE_OUT}")
    (told,) = surprises([VE], [file("Name=*")], {})
    assert told.endswith(f"by making its Name= the line {LEAVE_OUT}")


def test_a_link_that_was_set_up_from_another_file_is_told_once() -> None:
    links = {
        "ve-a": "/run/x/50-odd.network",
        "ve-b": f"/usr/lib/systemd/network/{VE}",
        "eth0": "/x",
    }
    (told,) = surprises([VE, VZ], [], {**links, "ve-c": "/run/x/50-odd.network"})
    assert told.startswith("/run/x/50-odd.network takes links of machines (ve-a)")
    assert not list(surprises(["50-other.network"], [file("Name=*")], links))


def test_a_mask_and_an_empty_file_are_told(tmp_path: Path) -> None:
    for directory in ("etc", "usr"):
        (tmp_path / directory).mkdir()
    (tmp_path / "usr" / VE).write_text("[Match]\nName=ve-*\n")
    (tmp_path / "usr" / VZ).write_text("[Match]\nName=vz-*\n")
    (tmp_path / "etc" / VE).symlink_to("/dev/null")
    (tmp_path / "etc" / VZ).write_text("")
    found = there([str(tmp_path / "etc"), str(tmp_path / "usr")])
    assert [one.name for one in found] == [VE, VZ]
    assert ["is masked" in told for told in surprises([VE, VZ], found, {})] == [True, True]


def test_files_count_in_the_order_of_their_names_and_hide_those_below(tmp_path: Path) -> None:
    for place, text in (
        ("etc/20-b.network", "[Match]\nName=b\n"),
        ("run/10-a.network", "[Match]\nName=a\n"),
        ("usr/20-b.network", "[Match]\nName=*\n"),
        ("usr/20-b.network.d/x.conf", "[Match]\nKind=veth\n"),
        ("etc/20-b.network.d/x.conf", "[Match]\nKind=bridge\n"),
        ("etc/readme.txt", "[Match]\nName=*\n"),
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = there([str(tmp_path / one) for one in ("etc", "run", "usr", "none")])
    assert [(one.name, len(one.texts)) for one in found] == [
        ("10-a.network", 1),
        ("20-b.network", 2),
    ]
    assert found[1].texts == ("[Match]\nName=b\n", "[Match]\nKind=bridge\n")


def test_what_cannot_be_read_takes_nothing() -> None:
    assert not takes(File("/etc/x.network", ("[Match\nName=*\n",)), LINKS[VE])
    assert not takes(File("/etc/x.network", ("",)), LINKS[VE])
