# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host shows of people and their homes, and an image of those who are in it already.

Private to the collection. Only reads.
"""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import stat
import typing as t

from .._core import beneath
from .._core import files as core_files
from .._core.lines import lines_of
from .._nsswitch import seen as nsswitch_seen
from .._systemd import machined

LOGIN_DEFS = "/etc/login.defs"
LINGER = "/var/lib/systemd/linger"
# As systemd is built everywhere that we know, and useradd when nobody has said otherwise.
FIRST_USER = 1000
_LOGIND = "/usr/lib/systemd/systemd-logind"
_USER_UNITS = ("/usr/lib/systemd/user", "/etc/systemd/user")
# Far more than any list of users that is a file.
_LIMIT = 4 << 20


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a path leads that somebody has for a home."""

    path: str
    real: str = ""
    """Without links and dots; nothing when it leads nowhere."""
    is_directory: bool = False
    uid: t.Optional[int] = None
    gid: t.Optional[int] = None
    replaceable: str = ""
    """A folder on the way in which others than root could put something in its place."""
    shared_with: tuple[str, ...] = ()
    """Others whose home it is as well, or who have it in theirs."""


@dataclasses.dataclass(frozen=True)
class Person:
    """What the host makes of a name; nothing in it when there is no such user."""

    name: t.Optional[str] = None
    uid: int = -1
    group: t.Optional[str] = None
    """The name of the primary group."""
    shell: str = ""
    home: Home = dataclasses.field(default_factory=lambda: Home(""))
    same_uid: tuple[str, ...] = ()
    """Other names of the host with this number."""
    is_local: bool = True
    """In /etc/passwd, where usermod can change it."""
    gid: int = -1
    """The number of the primary group."""


@dataclasses.dataclass(frozen=True)
class Group:
    """A group of the host that has the name of a user."""

    gid: int
    members: tuple[str, ...] = ()
    primary_of: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class People:
    """The users of a host, as far as they are asked about."""

    persons: t.Mapping[str, Person] = dataclasses.field(default_factory=dict)
    groups: t.Mapping[str, Group] = dataclasses.field(default_factory=dict)
    """Those that have the names of users."""
    numbers: t.Mapping[int, str] = dataclasses.field(default_factory=dict)
    """The numbers of all groups, with their names."""
    roots: tuple[str, ...] = ()
    """The folders that hold homes, without links and dots; those that are there."""
    first_user: int = FIRST_USER

    def of(self, name: str) -> Person:
        return self.persons.get(name, Person())


@dataclasses.dataclass(frozen=True)
class Tree:
    """What an image has of users."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    nsswitch: nsswitch_seen.Snapshot = dataclasses.field(default_factory=nsswitch_seen.Snapshot)
    linger: frozenset[str] = frozenset()
    """Who has a service manager from the boot on."""
    shells: frozenset[str] = frozenset()
    """Those of the shells that were asked about."""
    has_manager: bool = True
    """A user can have a service manager: there is logind, and what tells it of sessions."""
    has_bus: bool = True
    """Each user who has one has a bus of their own."""

    @property
    def has_library(self) -> bool:
        return "systemd" in self.nsswitch.libraries


# --- people ---------------------------------------------------------------------------------


def people(names: t.Collection[str], roots: t.Sequence[str]) -> People:
    """Look at some users, and at who else there is."""
    if not names:
        return People()
    everybody = pwd.getpwall()
    real_roots = tuple(os.path.realpath(root) for root in roots if os.path.isdir(root))
    homes = {one.pw_name: os.path.realpath(one.pw_dir) for one in everybody if one.pw_dir}
    # Accounts without a home of their own have /, /home or the like: that is nobody's home.
    own = {name: home for name, home in homes.items() if _is_below(home, real_roots)}
    local = _names_in(core_files.read("/etc/passwd"))
    groups = grp.getgrall()
    return People(
        persons={name: _person(name, everybody, own, local, real_roots) for name in names},
        groups={
            one.gr_name: Group(
                one.gr_gid,
                tuple(one.gr_mem),
                tuple(user.pw_name for user in everybody if user.pw_gid == one.gr_gid),
            )
            for one in groups
            if one.gr_name in names
        },
        numbers={one.gr_gid: one.gr_name for one in groups},
        roots=real_roots,
        first_user=first_user(core_files.read(LOGIN_DEFS)),
    )


def first_user(text: t.Optional[str]) -> int:
    """The number from which on users are people."""
    for line in lines_of(text or ""):
        words = line.split()
        if words[:1] == ["UID_MIN"] and len(words) > 1 and words[1].isdigit():
            return int(words[1])
    return FIRST_USER


def _person(
    name: str,
    everybody: t.Sequence[pwd.struct_passwd],
    homes: t.Mapping[str, str],
    local: t.Collection[str],
    roots: t.Sequence[str],
) -> Person:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return Person()
    try:
        group: t.Optional[str] = grp.getgrgid(found.pw_gid).gr_name
    except KeyError:
        group = None
    same = {one.pw_name for one in everybody if one.pw_uid == found.pw_uid} - {name}
    return Person(
        name=found.pw_name,
        uid=found.pw_uid,
        group=group,
        shell=found.pw_shell,
        home=home_of(found.pw_dir, roots, {k: v for k, v in homes.items() if k != name}),
        same_uid=tuple(sorted(same)),
        is_local=name in local,
        gid=found.pw_gid,
    )


def _names_in(text: t.Optional[str]) -> frozenset[str]:
    """The names in a file like /etc/passwd or /etc/group."""
    lines = lines_of(text or "")
    return frozenset(line.partition(":")[0] for line in lines if line and line[0] not in "#+-")


# --- homes ----------------------------------------------------------------------------------


def home_of(path: str, roots: t.Sequence[str], others: t.Mapping[str, str]) -> Home:
    """Where a home leads, and who could make it lead elsewhere."""
    if not path or "\0" in path:
        return Home(path)
    try:
        real = os.path.realpath(path)
        status = os.stat(real, follow_symlinks=False)
    except (OSError, ValueError):
        return Home(path)
    shared = [name for name, home in others.items() if home == real or _is_in(real, home)]
    return Home(
        path=path,
        real=real,
        is_directory=stat.S_ISDIR(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        replaceable=_replaceable(real, roots),
        shared_with=tuple(sorted(shared)),
    )


def _replaceable(real: str, roots: t.Sequence[str]) -> str:
    """The first folder from the top on in which somebody else than root may rename."""
    if not _is_below(real, roots):
        return ""
    way = "/"
    for part in real.strip("/").split("/"):
        status = os.stat(way)
        if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return way
        way = os.path.join(way, part)
    return ""


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _is_below(path: str, roots: t.Iterable[str]) -> bool:
    return any(_is_in(path, root) for root in roots)


# --- images ---------------------------------------------------------------------------------


def trees(
    images: t.Mapping[str, machined.Image], shells: t.Mapping[str, t.Collection[str]]
) -> dict[str, t.Optional[Tree]]:
    """What some images have of users; nothing of those that are no directories.

    O(shells) are the paths of shells that are looked for, by the names of images.
    """
    return {
        name: tree(images[name].path, asked) if images[name].type != "raw" else None
        for name, asked in shells.items()
        if name in images
    }


def tree(path: str, shells: t.Collection[str] = ()) -> Tree:
    with beneath.image(path) as root:
        return Tree(
            users=_names_in(root.read_text("/etc/passwd", _LIMIT)),
            groups=_names_in(root.read_text("/etc/group", _LIMIT)),
            nsswitch=nsswitch_seen.snapshot(root, ["systemd"]),
            linger=frozenset(root.listing(LINGER) or ()),
            shells=frozenset(shell for shell in shells if _is_program(root, shell)),
            has_manager=root.exists(_LOGIND)
            and nsswitch_seen.in_libraries(root, "security/pam_systemd.so"),
            has_bus=any(root.exists(f"{place}/dbus.socket") for place in _USER_UNITS),
        )


def _is_program(root: beneath.Root, path: str) -> bool:
    status = root.stat(path)
    return status is not None and stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o111)
