# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Make the directories that machines are shown, and take them away. Private to the collection."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from .._core import descriptors, files
from .._core.plan import Failure
from .._core.printable import printable
from .._settings import nspawn_file
from .wanted import DEFAULT_MODE


def make(path: str, *, uid: int = 0, gid: int = 0, mode: int = DEFAULT_MODE) -> None:
    """A directory, and those that lead to it; what is there already is left as it is."""
    here = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parts = path.strip("/").split("/")
    try:
        for number, part in enumerate(parts):
            made = _make_one(here, part, path)
            below = descriptors.open_directory(here, part)
            if made and number == len(parts) - 1:
                _make_theirs(below, uid, gid, mode, path)
            if made:
                os.fsync(here)
            os.close(here)
            here = below
    except OSError as error:
        raise Failure(f"{printable(path)} cannot be made: {error.strerror}") from None
    finally:
        os.close(here)


def _make_one(here: int, name: str, path: str) -> bool:
    """Whether it was made. Others than root must not be able to exchange it at once."""
    status = os.fstat(here)
    try:
        os.mkdir(name, 0o700, dir_fd=here)
    except FileExistsError:
        return False
    if status.st_uid or (status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX):
        os.rmdir(name, dir_fd=here)
        raise Failure(
            f"{printable(path)} is not made where others than root could put something else in"
            " its place; make it as the user whose it is"
        )
    os.chmod(name, DEFAULT_MODE, dir_fd=here)
    return True


def _make_theirs(descriptor: int, uid: int, gid: int, mode: int, path: str) -> None:
    if os.listdir(descriptor):
        raise Failure(f"{printable(path)} is not empty, although it was just made. Run it again")
    # In this order, as a change of the owner takes bits away.
    os.fchown(descriptor, uid, gid)
    os.fchmod(descriptor, mode)


def unmake(path: str) -> bool:
    """Take away a directory that was made for a machine; whether it was empty and nobody's else."""
    if _is_shown(path):
        return False
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY):
            return False
        raise Failure(f"{printable(path)} cannot be removed: {error.strerror}") from None
    return True


def _is_shown(path: str) -> bool:
    """Whether the settings of a machine still name it."""
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(nspawn_file.DIRECTORY)):
            if name.endswith(".nspawn"):
                text = files.read(os.path.join(nspawn_file.DIRECTORY, name)) or ""
                if path in text:
                    return True
    return False
