# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What there is on the host of all that a machine shall see. Private to the collection."""

from __future__ import annotations

import dataclasses
import grp
import os
import platform
import pwd
import re
import stat
import typing as t

from .._core import descriptors
from .wanted import Share

_T = t.TypeVar("_T")

MOUNTS = "/proc/self/mountinfo"


@dataclasses.dataclass(frozen=True)
class Place:
    """A path of the host."""

    real: str
    """Where it leads, as far as it is there."""
    kind: t.Optional[str] = None
    """A directory, a file, a socket ... in words; nothing when it is not there."""
    uid: int = 0
    gid: int = 0
    file_system: str = ""
    """Of it, or of what it would be made in."""
    strangers: tuple[str, ...] = ()
    """Directories above it in which others than root could put something in its place."""
    link: str = ""
    """The first part of the way that is a symbolic link."""


@dataclasses.dataclass(frozen=True)
class Host:
    """All that shares are checked against."""

    places: t.Mapping[str, Place] = dataclasses.field(default_factory=dict)
    users: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    groups: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    kernel: tuple[int, int] = (0, 0)
    own_groups: t.Mapping[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
    """The primary groups of these users, by name and number."""

    def group_of(self, share: Share) -> tuple[str, int]:
        """The group that a directory gets which is made."""
        if share.group is not None:
            return share.group, self.groups[share.group]
        return self.own_groups.get(share.owner or "", ("root", 0))


def snapshot(shares: t.Sequence[Share]) -> Host:
    """What there is of the paths, users and groups that shares name."""
    if not shares:
        return Host()
    mounts = _mounts()
    return Host(
        places={share.source: _place(share.source, mounts) for share in shares},
        users=_known((share.owner for share in shares), _uid),
        groups=_known((share.group for share in shares), _gid),
        kernel=_kernel(platform.release()),
        own_groups=_known((share.owner for share in shares), _own_group),
    )


def _place(path: str, mounts: t.Mapping[str, str]) -> Place:
    real = os.path.realpath(path)
    above, link = _above(path), ""
    for part in [*above, path]:
        if os.path.islink(part):
            link = part
            break
    strangers = tuple(part for part in _above(real) if _is_strange(part))
    place = Place(real, file_system=_file_system(real, mounts), strangers=strangers, link=link)
    try:
        status = os.stat(real)
    except OSError:
        return place
    kind = descriptors.kind(status.st_mode)
    return dataclasses.replace(place, kind=kind, uid=status.st_uid, gid=status.st_gid)


def _above(path: str) -> list[str]:
    """The directories that lead to a path, the root of all first."""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(len(parts))]


def _is_strange(directory: str) -> bool:
    """Whether somebody else than root could exchange what is in a directory."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    if status.st_uid:
        return True
    return bool(status.st_mode & 0o022) and not status.st_mode & stat.S_ISVTX


def _mounts() -> dict[str, str]:
    """The type of the file system at each mount point; the last one is on top."""
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as stream:
        lines = [line.split(" ") for line in stream]
    return {_plain(words[4]): words[words.index("-") + 1] for words in lines}


def _plain(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)


def _file_system(path: str, mounts: t.Mapping[str, str]) -> str:
    while path not in mounts and path != "/":
        path = os.path.dirname(path)
    return mounts.get(path, "")


def _kernel(release: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


# --- people ---------------------------------------------------------------------------------


def _known(names: t.Iterable[t.Optional[str]], look: t.Callable[[str], _T]) -> dict[str, _T]:
    found = {}
    for name in names:
        if name is not None:
            try:
                found[name] = look(name)
            except (KeyError, ValueError):
                continue
    return found


def _uid(name: str) -> int:
    return int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid


def _own_group(name: str) -> tuple[str, int]:
    user = pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    try:
        return grp.getgrgid(user.pw_gid).gr_name, user.pw_gid
    except KeyError:
        return str(user.pw_gid), user.pw_gid


def _gid(name: str) -> int:
    return int(name) if name.isascii() and name.isdigit() else grp.getgrnam(name).gr_gid
