# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Places out of sight where images are made, and how one gets its name at once.

Private to the collection. The place of an image is C(/var/lib/machines/.#nspawn-machined.NAME/), or
lies beside the other images of its class. systemd does not take names that begin with C(.#) for
images, and at the next boot removes those among the machines.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import errno
import os
import typing as t

from .._core import files, locks, trees
from .._core.plan import Failure
from .._systemd import image_classes
from .identity import identity_of

PREFIX = ".#nspawn-machined."

# From linux/fs.h.
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@dataclasses.dataclass(frozen=True)
class Stage:
    """A place out of sight where one image is made."""

    key: str
    root: str
    lock: int

    @property
    def name(self) -> str:
        return image_classes.split(self.key)[1]

    @property
    def directory(self) -> str:
        return directory_of(self.key, self.root)


@dataclasses.dataclass(frozen=True)
class Old:
    """The image that a new one replaces."""

    path: str
    identity: str
    """What the plan saw there."""


def directory_of(key: str, root: str) -> str:
    return os.path.join(root, f"{PREFIX}{image_classes.split(key)[1]}")


@contextlib.contextmanager
def stage(key: str, root: str) -> t.Iterator[Stage]:
    """An empty place for an image, taken away again in the end, whatever happened."""
    with locks.held([locks.image(key)], f"what makes image {key}") as hold:
        place = Stage(key, root, hold.descriptors[0])
        trees.remove(place.directory)
        # As importd makes it: what is setuid in an image is not for the users of the host.
        os.makedirs(root, mode=0o700, exist_ok=True)
        os.mkdir(place.directory, mode=0o700)
        try:
            yield place
            # The new name first, for good; then what it has replaced.
            files.sync_directory(root)
        finally:
            sweep(key, root)


def sweep(key: str, root: str) -> None:
    """Remove what is or was being made for an image."""
    trees.remove(directory_of(key, root))


def publish(made: str, place: Stage, old: t.Optional[Old]) -> str:
    """Give a finished image its name, at once; return its path.

    What it replaces lies in the staging place afterwards and goes with it.
    """
    suffix = ".raw" if made.endswith(".raw") else ""
    final = os.path.join(place.root, place.name + suffix)
    if old is None:
        try:
            rename_new(made, final)
        except FileExistsError:
            raise Failure(f"{final} has appeared meanwhile; nothing of it was changed") from None
        return final
    _refuse_another(old, old.path)
    trees.make_writable(old.path)
    aside = os.path.join(place.directory, "old")
    if old.path == final:
        _exchange(made, old, aside)
    else:
        # Of another type, so under another path: for a moment there are both, never none.
        rename_new(made, final)
        os.rename(old.path, aside)
        if not _is(old, aside):
            rename_new(aside, old.path)
            os.rename(final, made)
            _refuse_another(old, old.path)
    return final


def _exchange(made: str, old: Old, aside: str) -> None:
    try:
        _rename(made, old.path, _RENAME_EXCHANGE)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        # A file system that cannot exchange: the name is gone for an instant.
        os.rename(old.path, aside)
        os.rename(made, old.path)
        return
    if not _is(old, made):
        # Somebody was quicker than we. What is staged here is removed; theirs must not be.
        _rename(made, old.path, _RENAME_EXCHANGE)
        _refuse_another(old, old.path)


def _is(old: Old, path: str) -> bool:
    return bool(old.identity) and identity_of(path) == old.identity


def _refuse_another(old: Old, path: str) -> None:
    if not _is(old, path):
        raise Failure(
            f"{old.path}: it is not the image that was there when this run began"
            f" ({old.identity or 'which could not be looked at'}); nothing of it was changed. Run"
            " this again if the new one is to be replaced as well"
        )


def rename_new(old: str, new: str) -> None:
    """Rename a file or a directory; C(FileExistsError) where that would replace another one."""
    _rename(old, new, _RENAME_NOREPLACE)


def _rename(old: str, new: str, flags: int) -> None:
    """rename(2) with its flags, which Python does not offer."""
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), ctypes.c_uint(flags))
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), old, None, new)
    if libc.renameat2(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old, None, new)
