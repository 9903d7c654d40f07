# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._shares.check import check, warnings
from ansible_collections.nspawn.machined.plugins.module_utils._shares.seen import Host, Place
from ansible_collections.nspawn.machined.plugins.module_utils._shares.wanted import Share


def share(path: str = "/srv/web", **more: t.Any) -> Share:
    return Share(path, "/mnt", **more)


def place(path: str = "/srv/web", **more: t.Any) -> Place:
    return Place(**{"real": path, "kind": "a directory", "file_system": "ext4", **more})


def refused(
    one: Share,
    found: Place,
    *,
    version: int = 257,
    private: bool = True,
    kernel: tuple[int, int] = (6, 12),
) -> str:
    host = Host({one.source: found}, {"alan": 1000}, {"staff": 50}, kernel)
    try:
        check("web", [one], host, version, private)
    except Failure as failure:
        return failure.message
    return ""


@pytest.mark.parametrize(
    "path",
    "/ /bin /boot/efi /dev /dev/null /etc /etc/ssh /lib64 /proc /proc/1/root /root /root/x /run"
    " /run/user/1000 /sbin /sys /usr /usr/local/bin /var /var/lib /var/lib/machines/db"
    " /var/lib/nspawn.machined /var/log/journal /var/lib/systemd /home /srv /tmp /var/tmp"
    " /mnt".split(),
)
def test_what_belongs_to_the_system_is_not_shown(path: str) -> None:
    assert refused(share(path), place(path))
    assert refused(share(), place(path)), "over a link"
    assert not refused(share(path, force=True), place(path))


@pytest.mark.parametrize(
    "path",
    "/srv/web /home/alan /var/lib/postgresql /opt/app /mnt/disk /data /var/www /etcetera".split(),
)
def test_what_is_somebody_s_is_shown(path: str) -> None:
    assert not refused(share(path), place(path))


def test_programs_may_be_shown_to_be_read() -> None:
    assert not refused(share("/usr/share/doc", read_only=True), place("/usr/share/doc"))
    assert refused(share("/etc/ssl", read_only=True), place("/etc/ssl"))


@pytest.mark.parametrize("kind", ["a FIFO", "a character device", "a block device"])
def test_what_is_odd_is_not_shown(kind: str) -> None:
    assert kind in refused(share(), place(kind=kind))


def test_what_is_not_there_is_made_only_if_that_is_said() -> None:
    assert "is not there" in refused(share(), place(kind=None))
    assert not refused(share(create=True, owner="alan", group="staff"), place(kind=None))
    assert "no user eve" in refused(share(create=True, owner="eve"), place(kind=None))
    assert "no group eve" in refused(share(create=True, group="eve"), place(kind=None))
    assert "expected a directory" in refused(share(create=True), place(kind="a regular file"))


def test_nothing_is_made_where_somebody_could_exchange_it() -> None:
    found = place(kind=None, strangers=("/home/alan",))
    assert "not made in /home/alan" in refused(share(create=True), found)
    assert "over the link /srv/x" in refused(share(create=True), place(kind=None, link="/srv/x"))


def test_where_others_can_exchange_it_a_warning_says_so() -> None:
    host = Host({"/srv/web": place(strangers=("/home/alan",))})
    (said,) = warnings("web", [share()], host)
    assert "/home/alan belongs to others than root" in said
    assert not warnings("web", [share(force=True)], host)


def test_idmap_is_warned_of() -> None:
    host = Host({"/srv/web": place()})
    assert "setuid" in warnings("web", [share(mapping="idmap")], host)[0]
    assert not warnings("web", [share(mapping="idmap", read_only=True)], host)
    assert not warnings("web", [share(mapping="rootidmap")], host)


@pytest.mark.parametrize("mapping", ["rootidmap", "owneridmap"])
def test_a_group_that_the_mapping_leaves_out_is_warned_of(mapping: str) -> None:
    host = Host({"/srv/web": place(uid=1000, gid=50)})
    (said,) = warnings("web", [share(mapping=mapping)], host)
    assert "the number of the owner (1000), and this belongs to group 50" in said
    assert not warnings("web", [share(mapping=mapping, read_only=True)], host)
    same = Host({"/srv/web": place(uid=1000, gid=1000)})
    assert not warnings("web", [share(mapping=mapping)], same)


@pytest.mark.parametrize(
    ("owner", "group", "warned"),
    [
        (None, None, False),
        ("alan", None, False),
        ("carl", None, True),
        ("alan", "staff", True),
        (None, "staff", True),
    ],
)
def test_what_is_to_be_made_is_warned_of_by_what_it_will_be(
    owner: str | None, group: str | None, warned: bool
) -> None:
    host = Host(
        {"/srv/web": place(kind=None)},
        {"alan": 1000, "carl": 1001},
        {"staff": 50},
        own_groups={"alan": ("alan", 1000), "carl": ("users", 100)},
    )
    one = share(mapping="rootidmap", create=True, owner=owner, group=group)
    assert bool(warnings("web", [one], host)) is warned


@pytest.mark.parametrize("mapping", ["idmap", "rootidmap", "owneridmap"])
def test_a_mapping_needs_private_users(mapping: str) -> None:
    assert not refused(share(mapping=mapping), place())
    assert "private users" in refused(share(mapping=mapping), place(), private=False)


def test_a_mapping_needs_its_version_of_systemd() -> None:
    assert "needs systemd 256" in refused(share(mapping="owneridmap"), place(), version=255)
    assert not refused(share(mapping="owneridmap"), place(), version=256)
    assert not refused(share(mapping="rootidmap"), place(), version=252)


@pytest.mark.parametrize(
    ("file_system", "kernel", "said"),
    [
        ("ext4", (5, 11), "before Linux 5.12 cannot be"),
        ("ext4", (5, 12), ""),
        ("btrfs", (5, 14), "before Linux 5.15 cannot be"),
        ("tmpfs", (6, 2), "before Linux 6.3 cannot be"),
        ("tmpfs", (6, 3), ""),
        ("nfs4", (6, 18), "which cannot be"),
        ("overlay", (6, 18), "which cannot be"),
        ("something", (5, 10), ""),
    ],
)
def test_a_mapping_needs_a_file_system_that_takes_part(
    file_system: str, kernel: tuple[int, int], said: str
) -> None:
    found = refused(share(mapping="idmap"), place(file_system=file_system), kernel=kernel)
    assert said in found if said else not found
    assert not refused(share(), place(file_system=file_system), kernel=kernel)


def test_a_socket_is_a_socket() -> None:
    one = share("/run/docker.sock", socket=True, mapping="auto", force=True)
    found = place("/run/docker.sock", kind="a socket", file_system="tmpfs")
    assert not refused(one, found)
    assert not refused(one, found, private=False, kernel=(5, 10))
    assert "could not use the socket" in refused(one, found, kernel=(6, 1))
    assert "expected the socket" in refused(one, place(kind="a directory"))
    assert "docker.socket or podman.socket" in refused(one, place(kind=None))
