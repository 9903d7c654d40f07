# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files: whole or not at all, and never outside the root that was meant.

Private to the collection.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from .plan import Failure

TEMPORARY_SUFFIX = ".nspawn-machined-new"
SYMLINK_LIMIT = 40


def read(path: str) -> t.Optional[str]:
    """The text of a file, or nothing when it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def write(
    path: str,
    text: str,
    *,
    mode: int = 0o644,
    directory_mode: int = 0o755,
    durable: bool = True,
) -> None:
    """Put a file in place at once: readers see the old text or the new, also after a crash.

    The temporary name is always the same for the same file. What a killed run left behind is
    so replaced by the next, and does not pile up. Not O(durable): whole after a kill, but a
    power failure may take it.
    """
    temporary = _temporary(path)
    descriptor = _create(temporary, directory_mode)
    try:
        with open(
            descriptor, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if durable:
                os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        _unlink(temporary)
        raise


def mode_of(path: str, default: int = 0o644) -> int:
    """Who may read and write a file: one that a person has closed to others stays closed."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return default


def _temporary(path: str) -> str:
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}{TEMPORARY_SUFFIX}")


def finished_name(name: str) -> str:
    """What a file is called in the end, also when it is not whole yet."""
    return name[1 : -len(TEMPORARY_SUFFIX)] if name.endswith(TEMPORARY_SUFFIX) else name


def _create(path: str, directory_mode: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    _unlink(path)
    for attempts_left in reversed(range(100)):
        try:
            _make_directories(os.path.dirname(path), directory_mode)
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            # Another thread has just removed the directory, as it was empty.
            if not attempts_left:
                raise
    raise FileNotFoundError(path)


def _make_directories(path: str, mode: int) -> None:
    if path and not os.path.isdir(path):
        _make_directories(os.path.dirname(path), mode)
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            # Made meanwhile; what is no directory shows when a file is made in it.
            pass


def touch(path: str) -> None:
    """Leave an empty file; several threads may do so at once."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def remove(path: str) -> None:
    """Remove a file and what a killed run left beside it; no error when there is none."""
    _unlink(path)
    remove_unfinished(path)


def remove_unfinished(path: str) -> None:
    """Remove what a killed run left beside a file."""
    _unlink(_temporary(path))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove_empty_directory(path: str) -> None:
    """Remove a directory that nobody uses any more; leave it when something is in it."""
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            raise


def inside(root: str, path: str) -> str:
    """Resolve a path as it is seen from inside a root, symbolic links included.

    An absolute link of an image means the image's own file and must not reach the host's; dots
    cannot climb out. The last component need not exist.
    """
    rest = [part for part in path.split("/") if part]
    resolved: list[str] = []
    followed = 0
    while rest:
        part = rest.pop(0)
        if part == ".":
            continue
        if part == "..":
            del resolved[-1:]
            continue
        here = os.path.join(root, *resolved, part)
        if not os.path.islink(here):
            resolved.append(part)
            continue
        followed += 1
        if followed > SYMLINK_LIMIT:
            raise Failure(f"{path} in {root}: too many symbolic links, probably a loop")
        target = os.readlink(here)
        if target.startswith("/"):
            resolved = []
        rest = [piece for piece in target.split("/") if piece] + rest
    return os.path.join(root, *resolved)


def is_directory(path: str) -> bool:
    """A directory by itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
