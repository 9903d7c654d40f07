# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a machine must not be shown of its host, or cannot. Private to the collection. Pure."""

from __future__ import annotations

import typing as t

from .._core.plan import Failure
from .._core.printable import printable
from .seen import Host, Place
from .wanted import SINCE, Share

# What holds the system itself: in it, and in whatever it is in, a machine can do harm.
SYSTEM = (
    "/bin",
    "/boot",
    "/dev",
    "/efi",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/cache",
    "/var/lib/machines",
    "/var/lib/nspawn.machined",
    "/var/lib/portables",
    "/var/lib/private",
    "/var/lib/systemd",
    "/var/log",
    "/var/spool",
)
# Only to be read they do none, as everybody may.
READABLE = ("/usr",)
# Nothing else than a directory that many share.
SHARED = ("/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/var/lib", "/var/tmp")
# Of groups these know but one, whose number is that of the owner: systemd maps both alike.
ONE_NUMBER = ("rootidmap", "owneridmap")
# Since when a file system can be mounted with other numbers; of those that cannot, never.
NEVER = (1 << 16, 0)
MAPS: t.Mapping[str, tuple[int, int]] = {
    "btrfs": (5, 15),
    "cifs": NEVER,
    "erofs": (5, 19),
    "ext4": (5, 12),
    "f2fs": (5, 18),
    "nfs": NEVER,
    "nfs4": NEVER,
    "overlay": NEVER,
    "tmpfs": (6, 3),
    "vfat": (5, 12),
    "xfs": (5, 12),
}


def check(machine: str, shares: t.Sequence[Share], host: Host, version: int, private: bool) -> None:
    """Refuse what cannot be shown, or must not; O(private): the machine has users of its own."""
    for share in shares:
        here = f"machine {machine}: {printable(share.source)}"
        place = host.places[share.source]
        _check_there(share, place, here)
        if not share.force:
            _check_path(share, place, here)
        _check_people(share, host, here)
        _check_mapping(share, place, host, version, private, here)


def warnings(machine: str, shares: t.Sequence[Share], host: Host) -> list[str]:
    """What is taken, and may surprise."""
    found = []
    for share in shares:
        place, here = host.places[share.source], f"machine {machine}: {printable(share.source)}"
        if place.strangers and not share.force:
            found.append(
                f"{here}: {printable(place.strangers[0])} belongs to others than root, who can put"
                " a link in its place: then that is what the machine is shown at its next start"
            )
        if share.mapping == "idmap" and not share.read_only and not share.socket:
            found.append(
                f"{here}: with idmap root of the machine writes there as root of the host, also"
                " programs with the setuid bit; rootidmap does not let it"
            )
        if share.mapping in ONE_NUMBER and not share.read_only:
            uid, gid = _numbers(share, place, host)
            if uid != gid:
                found.append(
                    f"{here}: with {share.mapping} of all groups the machine sees only the one that"
                    f" has the number of the owner ({uid}), and this belongs to group {gid}:"
                    " nobody there can write to it. Give it to a group of that number"
                )
    return found


def _numbers(share: Share, place: Place, host: Host) -> tuple[int, int]:
    if place.kind is not None:
        return place.uid, place.gid
    return host.users[share.owner] if share.owner else 0, host.group_of(share)[1]


def _check_there(share: Share, place: Place, here: str) -> None:
    if place.kind is None:
        if share.create:
            return
        if share.socket:
            raise Failure(
                f"{here} is not there. Install and start docker.socket or podman.socket on the"
                " host, or say which path the socket has"
            )
        raise Failure(f"{here} is not there. Make it, or say create: true")
    if share.socket and place.kind != "a socket":
        raise Failure(f"{here} is {place.kind}; expected the socket of Docker or Podman")
    if place.kind not in ("a directory", "a regular file", "a socket") and not share.force:
        raise Failure(
            f"{here} is {place.kind}; expected a directory, a file or a socket. With force: true"
            " it is taken as it is"
        )
    if share.create and place.kind != "a directory":
        raise Failure(f"{here} is {place.kind}; expected a directory, or nothing, with create")


def _check_path(share: Share, place: Place, here: str) -> None:
    for path in dict.fromkeys((share.source, place.real)):
        system = _system_in(path, share.read_only)
        if system:
            led = "" if path == share.source else f" leads to {printable(path)}, which"
            raise Failure(
                f"{here}{led} {system}. Show the machine a directory that is meant for it, or say"
                " force: true"
            )


def _system_in(path: str, read_only: bool) -> str:
    """Why a path is the system's; empty when it is not."""
    for system in (*SYSTEM, *SHARED):
        if path == system or path == "/" or system.startswith(f"{path}/"):
            return f"has in it what belongs to the whole host ({system})"
    for system in SYSTEM:
        if path.startswith(f"{system}/") and not (read_only and system in READABLE):
            return f"is a part of the system ({system})"
    return ""


def _check_people(share: Share, host: Host, here: str) -> None:
    for word, name, known in (
        ("user", share.owner, host.users),
        ("group", share.group, host.groups),
    ):
        if name is not None and name not in known:
            raise Failure(f"{here}: the host has no {word} {printable(name)}")
    if share.create and host.places[share.source].kind is None:
        place = host.places[share.source]
        if place.link:
            raise Failure(
                f"{here} is not there, and the way leads over the link {printable(place.link)};"
                " name the directory that shall be made by its own path"
            )
        if place.strangers:
            raise Failure(
                f"{here} is not made in {printable(place.strangers[-1])}, where others than root"
                " could put something else in its place; make it as the user whose it is"
            )


def _check_mapping(
    share: Share, place: Place, host: Host, version: int, private: bool, here: str
) -> None:
    mapping = share.mapping
    if mapping == "auto":
        mapping = "idmap" if private else "none"
    if mapping == "none":
        return
    if not private:
        raise Failure(
            f"{here}: {mapping} is for machines with private users; leave mapping out, as root of"
            " this machine is root of the host"
        )
    if version < SINCE.get(mapping, 0):
        raise Failure(
            f"{here}: {mapping} needs systemd {SINCE[mapping]}, and here is {version}; rootidmap"
            " does nearly the same"
        )
    since = MAPS.get(place.file_system)
    if since is not None and host.kernel < since:
        needs = "cannot be" if since == NEVER else f"before Linux {since[0]}.{since[1]} cannot be"
        raise Failure(
            f"{here} is on {place.file_system}, which {needs} mounted with {mapping}"
            + (
                ": the machine could not use the socket. Give it PrivateUsers: false, or a newer"
                " kernel"
                if share.socket
                else "; put it on another file system, or leave mapping out"
            )
        )
