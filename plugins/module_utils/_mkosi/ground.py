# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whose the ground is that is built on: a directory, and the way that leads there.

Private to the collection. Whoever owns a directory, or may write to one on the way, decides what
lies there at the next moment: a script that is run, a link that leads elsewhere. So root builds
only where root alone decides, and a user only where the user does.
"""

from __future__ import annotations

import dataclasses
import os
import stat

from .._core import beneath, deputy, descriptors, files
from .._core.deputy import Account
from .._core.patience import patiently
from .._core.plan import Failure
from .._core.printable import printable
from .builder import Builder

PATIENCE = 10.0
_LINKS = 40
_OTHERS_WRITE = 0o022


@dataclasses.dataclass(frozen=True)
class Ground:
    """What leads to a directory."""

    path: str
    owner: int
    """Of the directory; where it is missing, of the last one above it."""
    there: bool
    above: int = 0
    """Who owns the directory that it is or would be in."""
    shared: str = ""
    """What others than the owner can write to, in words."""


def look(path: str) -> Ground:
    """Follow the way to a directory, whether it is there or not.

    It may lead from what belongs to root to what belongs to somebody, but not on from there to
    what belongs to somebody else.
    """
    try:
        return patiently(lambda _stop: _Way(path).walked(), PATIENCE, path)
    except OSError as error:
        raise Failure(
            f"{printable(path)}: the way there cannot be gone: {error.strerror}; expected a"
            " directory, or none"
        ) from None


class _Way:
    """A path, one part after the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._here = "/"
        self._owner = 0
        self._above = 0
        self._shared = ""

    def walked(self) -> Ground:
        rest = [part for part in reversed(self._path.split("/")) if part not in ("", ".")]
        self._judge("/", os.lstat("/"), last=not rest)
        links = 0
        while rest:
            part = rest.pop()
            if part == "..":
                self._here = os.path.dirname(self._here)
                self._judge(self._here, os.lstat(self._here), last=not rest)
                continue
            there = os.path.join(self._here, part)
            try:
                status = os.lstat(there)
            except FileNotFoundError:
                return Ground(self._path, self._owner, False, self._owner, self._shared)
            self._judge(there, status, last=not rest)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > _LINKS:
                    raise Failure(f"{self._shown}: the way there is a loop of symbolic links")
                target = os.readlink(there)
                if target.startswith("/"):
                    self._here = "/"
                rest += [one for one in reversed(target.split("/")) if one not in ("", ".")]
            elif stat.S_ISDIR(status.st_mode):
                self._here = there
            else:
                kind = descriptors.kind(status.st_mode)
                raise Failure(
                    f"{self._shown}: expected a directory, found {kind} at {printable(there)}"
                )
        return Ground(self._path, self._owner, True, self._above, self._shared)

    @property
    def _shown(self) -> str:
        return printable(self._path)

    def _judge(self, path: str, status: os.stat_result, *, last: bool) -> None:
        owner = status.st_uid
        if self._owner not in (0, owner):
            kind = descriptors.kind(status.st_mode)
            raise Failure(
                f"{self._shown}: the way there leads from what belongs to {name_of(self._owner)}"
                f" to {kind} of {name_of(owner)}, {printable(path)}; expected a path that"
                f" {name_of(self._owner)} cannot turn elsewhere. Nothing was done there"
            )
        self._above, self._owner = self._owner, owner
        if stat.S_ISDIR(status.st_mode) and not self._shared:
            self._shared = _shared(path, status, last=last)


def _shared(path: str, status: os.stat_result, *, last: bool) -> str:
    """Whether others than the owner decide what is in a directory."""
    if not _others_write(status) or (status.st_mode & stat.S_ISVTX and not last):
        return ""
    mode = stat.S_IMODE(status.st_mode)
    return f"{printable(path)} can be written to by others (mode {mode:04o})"


def _others_write(status: os.stat_result) -> bool:
    writers = status.st_mode & _OTHERS_WRITE
    if status.st_gid == 0:
        writers &= ~stat.S_IWGRP
    return bool(writers)


def name_of(uid: int) -> str:
    """A user in words."""
    return deputy.account_of(uid).name


# --- who may build where --------------------------------------------------------------------


RUN = "run what lies there"
WRITE = "write where they lead it"


def check(ground: Ground, account: Account, what: str = "directory", *, danger: str = RUN) -> None:
    """Refuse ground on which somebody else than who builds decides what is built.

    O(danger) is what root would do there otherwise.
    """
    where = f"{what} {printable(ground.path)}"
    name = name_of(ground.owner)
    found = f"belongs to {name}" if ground.there else f"would be in what belongs to {name}"
    if account.uid and ground.owner != account.uid and (ground.there or ground.owner):
        mine = account.name
        raise Failure(
            f"{where} {found}; expected a directory of {mine}, who is to build there. Give it to"
            f" {mine} with all that is in it (chown -R {mine}), or name another one"
        )
    if account.uid == 0 and ground.owner:
        raise Failure(
            f"{where} {found}, and root would {danger}; expected one that root alone can change."
            f" Build as that user (user: {name}), or give it to root with all that is"
            " in it (chown -R root)"
        )
    if account.uid == 0 and ground.shared:
        raise Failure(
            f"{where}: {ground.shared}, and root would {danger}; expected one that root alone can"
            " change. Take that right away (chmod go-w), or build as a user (user)"
        )


def check_entries(directory: str, uid: int) -> None:
    """Refuse what stands in a directory for mkosi and is not what it could mean.

    To be called by who builds.
    """
    for name in sorted(os.listdir(directory)):
        if not name.startswith("mkosi."):
            continue
        path = os.path.join(directory, name)
        try:
            own, status = os.lstat(path), os.stat(path)
        except (FileNotFoundError, PermissionError):
            continue
        if stat.S_IFMT(status.st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise Failure(
                f"{printable(path)}: expected a regular file or a directory, found"
                f" {descriptors.kind(status.st_mode)}. Remove it"
            )
        writable = _others_write(own) and not stat.S_ISLNK(own.st_mode)
        if uid == 0 and (own.st_uid != 0 or writable):
            raise Failure(
                f"{printable(path)} belongs to {name_of(own.st_uid)} (mode"
                f" {stat.S_IMODE(own.st_mode):04o}), and mkosi would use it as root; expected what"
                " root alone can change. Give it to root (chown -R root, chmod go-w), or build as"
                " a user (user)"
            )


def opened(path: str, uid: int) -> beneath.Root:
    """A directory of a user's, held by its descriptor; there may be no links below it."""
    found = look(path)
    if not found.there or found.owner != uid:
        there = f"one of {name_of(found.owner)}" if found.there else "none"
        raise Failure(
            f"{printable(path)}: expected a directory of {name_of(uid)}, found {there}. Nothing was"
            " done there"
        )
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if os.fstat(descriptor).st_uid == uid:
        return beneath.Root(descriptor, path, links=beneath.Links.NONE)
    os.close(descriptor)
    raise Failure(f"{printable(path)} has become somebody else's. Nothing was done there")


# --- making and removing it -----------------------------------------------------------------


def make(path: str, builder: Builder) -> None:
    """Make a directory for who builds, unless it is there."""
    ground = look(path)
    check(ground, builder.account)
    if ground.there:
        return
    try:
        builder.call(_make, path)
    except Failure:
        if builder.is_root or ground.owner != 0 or ground.shared:
            raise
        # The user cannot, and nobody but root can put something else there meanwhile.
        _make(path)
        _hand_over(path, builder.account)
    check(look(path), builder.account)


def _make(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # What is in it may be secret, and the modes in it are those that files have in the image.
    os.mkdir(path, 0o700)


def _hand_over(path: str, account: Account) -> None:
    made = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(made, account.uid, account.gid)
    finally:
        os.close(made)


def remove_empty(path: str, builder: Builder) -> None:
    """Remove a directory that has nothing in it any more."""
    ground = look(path)
    if not ground.there:
        return
    try:
        builder.call(files.remove_empty_directory, path)
    except Failure:
        if builder.is_root or ground.above != 0 or ground.shared:
            raise
        # It is the user's, but not what it is in. Links are not followed.
        files.remove_empty_directory(path)
