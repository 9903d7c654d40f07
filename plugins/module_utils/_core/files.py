# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files: whole or not at all, and never outside the root that was meant.

Private to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import typing as t

from . import descriptors
from .plan import Failure

# The end of every name that a file has before it is whole.
TEMPORARY_SUFFIX = ".nspawn-machined-new"
SYMLINK_LIMIT = 40
NAME_LIMIT = 255
# What rmdir says of a directory that is not there or that somebody still needs.
STILL_USED = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)

_TEMPORARY = re.compile(rf"\.(.+?)(?:\.[0-9a-f]{{16}})?{re.escape(TEMPORARY_SUFFIX)}", re.DOTALL)
_ACL = "system.posix_acl_access"
# What speaks of the old bytes, what they may do, or how another file system keeps the file.
_OF_THE_CONTENTS = ("security.capability", "security.ima", "security.evm", "trusted.overlay.")
_NOT_TO_BE_HAD = (errno.ENOTSUP, errno.ENODATA)


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
    mode: t.Optional[int] = None,
    directory_mode: int = 0o755,
    durable: bool = True,
) -> None:
    """Put a file in place at once: readers see the old text or the new, also after a crash.

    A file that is replaced hands on its owner, group, ACL, label and other attributes, and its
    mode unless O(mode) says another; a new one gets O(mode) or 0644. Not O(durable): whole after
    a kill, but a power failure may take it.
    """
    data = text.encode("utf-8", "surrogateescape")
    parent, name = os.path.split(path)
    for attempts_left in reversed(range(100)):
        try:
            _make_directories(parent, directory_mode, durable)
            with _directory(parent) as directory:
                write_at(directory, name, data, mode=mode, durable=durable)
            return
        except FileNotFoundError:
            # Another thread has just removed the directory, as it was empty.
            if not attempts_left:
                raise


def write_at(
    directory: int,
    name: str,
    data: bytes,
    *,
    mode: t.Optional[int] = None,
    owner: t.Optional[tuple[int, int]] = None,
    durable: bool = True,
) -> None:
    """The same in a directory that is open for reading; a new file gets O(owner), if given."""
    with replacing_at(directory, name, mode=mode, owner=owner, durable=durable) as descriptor:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]


@contextlib.contextmanager
def replacing_at(
    directory: int,
    name: str,
    *,
    mode: t.Optional[int] = None,
    owner: t.Optional[tuple[int, int]] = None,
    durable: bool = True,
    replace: bool = True,
    inherit: bool = True,
) -> t.Iterator[int]:
    """A new file to write into; it gets its name when that has gone well, and is gone otherwise.

    Not O(replace): an error (FileExistsError) when there is something of that name by then. Not
    O(inherit): what it replaces is somebody else's, and hands on nothing.
    """
    _sweep(directory, name)
    # Open to the end: the lock on it tells others that somebody is at work.
    temporary, descriptor = _create(directory, name)
    try:
        yield descriptor
        _dress(descriptor, _regular(directory, name) if inherit else None, mode, owner)
        if durable:
            os.fsync(descriptor)
        if replace:
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            _rename_new(directory, temporary, name)
    except BaseException:
        _unlink(temporary, directory)
        raise
    finally:
        os.close(descriptor)
    if durable:
        os.fsync(directory)


def _rename_new(directory: int, temporary: str, name: str) -> None:
    try:
        os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        # A file system on which a file has one name.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        if _exists(directory, name):
            raise descriptors.failed(errno.EEXIST, name) from None
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    else:
        os.unlink(temporary, dir_fd=directory)


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _directory(path: str) -> t.Iterator[int]:
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_directory(path: str) -> None:
    """Have the names in a directory outlast a power failure."""
    with _directory(path) as directory:
        os.fsync(directory)


def mode_of(path: str, default: int = 0o644) -> int:
    """Who may read and write a file: one that a person has closed to others stays closed."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return default


# --- what a file is called before it is whole -------------------------------------------------


def temporary_name(name: str) -> str:
    """A name that nobody else will choose, for what is to become a file of that name."""
    return f".{_stem(name)}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"


def finished_name(name: str) -> str:
    """What a file is called in the end, also when it is not whole yet."""
    found = _TEMPORARY.fullmatch(name)
    return found.group(1) if found else name


def _stem(name: str) -> str:
    """The name itself; where it would become too long, something that stands for it."""
    encoded = os.fsencode(name)
    if len(encoded) + len(TEMPORARY_SUFFIX) + 18 <= NAME_LIMIT:
        return name
    return f"~{hashlib.sha256(encoded).hexdigest()}"


def _create(directory: int, name: str) -> tuple[str, int]:
    """A new file beside the one that it will replace, locked as long as it is open."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        temporary = temporary_name(name)
        descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            _lock(descriptor)
            # Somebody may have swept it away before it was locked.
            if _is_same(directory, temporary, descriptor):
                return temporary, descriptor
        except BaseException:
            os.close(descriptor)
            _unlink(temporary, directory)
            raise
        os.close(descriptor)


def temporary_directory(directory: int, name: str) -> tuple[str, int]:
    """A new directory for what is to become something of that name, locked as a file would be.

    It is for us alone. Whoever made it removes it.
    """
    while True:
        temporary = temporary_name(name)
        os.mkdir(temporary, 0o700, dir_fd=directory)
        descriptor = descriptors.open_directory(directory, temporary)
        try:
            _lock(descriptor)
            if _is_same(directory, temporary, descriptor):
                return temporary, descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def abandoned_directories(directory: int, name: str) -> t.Iterator[tuple[str, int]]:
    """Such directories that nobody works in any more, locked until the caller closes them."""
    for other in _unfinished(directory, name):
        try:
            descriptor = descriptors.open_directory(directory, other)
        except OSError:
            continue  # gone, or a file
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
        else:
            yield other, descriptor


def _is_same(directory: int, name: str, descriptor: int) -> bool:
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        # A file system that has no locks; there nothing is swept away either.
        if error.errno not in (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL):
            raise


def _sweep(directory: int, name: str) -> None:
    """Remove what killed runs left beside a file; what somebody is writing now stays."""
    for other in _unfinished(directory, name):
        with contextlib.suppress(OSError):
            _sweep_one(directory, other)


def _unfinished(directory: int, name: str) -> list[str]:
    """What is or was to become a file of that name."""
    stem = _stem(name)
    names = (one for one in os.listdir(directory) if one.endswith(TEMPORARY_SUFFIX))
    return [one for one in names if finished_name(one) == stem]


def _sweep_one(directory: int, name: str) -> None:
    place = descriptors.open_file(directory, name)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            return  # not what we make
        descriptor = descriptors.reopen(place, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=directory)
        finally:
            os.close(descriptor)
    finally:
        os.close(place)


# --- what a file hands on to the one that replaces it -----------------------------------------


def _dress(
    descriptor: int,
    old: t.Optional[int],
    mode: t.Optional[int],
    owner: t.Optional[tuple[int, int]],
) -> None:
    """Give a new file what the old one hands on, or what is said; closes the old one."""
    if old is None:
        if owner is not None:
            _own(descriptor, *owner)
        os.fchmod(descriptor, 0o644 if mode is None else mode)
        return
    try:
        status = os.fstat(old)
        _own(descriptor, status.st_uid, status.st_gid)
        _copy_attributes(f"/proc/self/fd/{old}", descriptor)
        # After the ACL, whose mask is the group's part of the mode.
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) if mode is None else mode)
    finally:
        os.close(old)


def _regular(directory: int, name: str) -> t.Optional[int]:
    """The file that will be replaced; a link or anything else has nothing to hand on."""
    try:
        found = descriptors.open_file(directory, name)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(found).st_mode):
        return found
    os.close(found)
    return None


def _own(descriptor: int, user: int, group: int) -> None:
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) == (user, group):
        return
    try:
        os.fchown(descriptor, user, group)
    except PermissionError:
        # Only root can give a file away; who is not has been allowed to put one of its own here.
        if os.geteuid() == 0:
            raise


def _copy_attributes(old: str, descriptor: int) -> None:
    try:
        names = os.listxattr(old)
    except OSError as error:
        if error.errno in _NOT_TO_BE_HAD:
            return
        raise
    for name in names:
        if name.startswith(_OF_THE_CONTENTS):
            continue
        try:
            os.setxattr(descriptor, name, os.getxattr(old, name))
        except OSError as error:
            # Labels are not everybody's to give. Without its ACL a file may say too much.
            refused = isinstance(error, PermissionError) and name != _ACL
            if not refused and error.errno not in _NOT_TO_BE_HAD:
                raise


# --- directories, and what is to go -----------------------------------------------------------


def _make_directories(path: str, mode: int, durable: bool) -> None:
    if path and not os.path.isdir(path):
        parent = os.path.dirname(path)
        _make_directories(parent, mode, durable)
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            # Made meanwhile; what is no directory shows when a file is made in it.
            return
        if durable:
            sync_directory(parent)


def remove(path: str, *, durable: bool = False) -> None:
    """Remove a file and what a killed run left beside it; no error when there is none.

    O(durable): where it would grant something to somebody if it came back with a power failure.
    """
    _unlink(path)
    remove_unfinished(path)
    if durable:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            sync_directory(os.path.dirname(path))


def remove_unfinished(path: str) -> None:
    """Remove what killed runs left beside a file."""
    parent, name = os.path.split(path)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), _directory(parent) as found:
        _sweep(found, name)


def _unlink(path: str, directory: t.Optional[int] = None) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path, dir_fd=directory)


def remove_empty_directory(path: str) -> None:
    """Remove a directory that nobody uses any more; leave it when something is in it."""
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in STILL_USED:
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
