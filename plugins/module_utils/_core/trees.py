# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Directories and subvolumes: removed whole, read-only or not, and the btrfs below them.

Private to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import shutil
import stat
import struct
import typing as t

from .plan import Failure

# From linux/fs.h and linux/btrfs.h.
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE_FL = 0x10
_BTRFS_IOC_SNAP_DESTROY = 0x5000940F
_BTRFS_IOC_SUBVOL_GETFLAGS = 0x80089419
_BTRFS_IOC_SUBVOL_SETFLAGS = 0x4008941A
_BTRFS_SUBVOL_RDONLY = 2
_BTRFS_IOC_SYNC = 0x9408
_BTRFS_IOC_QUOTA_CTL = 0xC0109428
_BTRFS_QUOTA_CTL_ENABLE = 1

_NO_SUCH_FLAG = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)


# --- removing -------------------------------------------------------------------------------


def remove(path: str) -> None:
    """Remove a file, a directory or a subvolume with all that is in it, read-only or not."""
    checked(path)
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(path)
        return
    make_writable(path)
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False) and not _destroy_subvolume(entry.path):
            make_writable(entry.path)
    shutil.rmtree(path)


def checked(path: str) -> tuple[str, str]:
    """A path as its directory and its name; a Failure when it has no name of its own.

    Nothing is looked at: what is empty, or ends in dots, names something else than was meant.
    """
    parent, name = os.path.split(path.rstrip("/"))
    if name in ("", ".", "..") or "\0" in path:
        raise Failure(
            f"{path!r} is not removed: expected the path of something that has a name in its directory"
        )
    return parent, name


def _destroy_subvolume(path: str) -> bool:
    """Remove a subvolume at once; no success when it is none or has others inside."""
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Mutable: fcntl.ioctl takes no more than 1024 bytes that are not.
        name = bytearray(struct.pack("=q4088s", 0, os.fsencode(os.path.basename(path))))
        fcntl.ioctl(parent, _BTRFS_IOC_SNAP_DESTROY, name)
    except OSError:
        return False
    finally:
        os.close(parent)
    return True


# --- read-only ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Flag:
    """One bit of a directory or subvolume, and how to read and write it."""

    get: int
    put: int
    form: str
    bit: int


_IMMUTABLE = _Flag(_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, "=i", _FS_IMMUTABLE_FL)
_SUBVOLUME_READ_ONLY = _Flag(
    _BTRFS_IOC_SUBVOL_GETFLAGS, _BTRFS_IOC_SUBVOL_SETFLAGS, "=Q", _BTRFS_SUBVOL_RDONLY
)


def make_writable(path: str) -> None:
    """Take away what makes an image read-only: a flag of the directory or of the subvolume."""
    if not os.path.isdir(path) or os.path.islink(path):
        return
    with _opened(path) as descriptor:
        for flag in (_IMMUTABLE, _SUBVOLUME_READ_ONLY):
            try:
                _set(descriptor, flag, False)
            except OSError as error:
                # Not this kind of file system: there is no such flag.
                if error.errno not in _NO_SUCH_FLAG:
                    raise


def set_read_only(path: str, kind: str, wanted: bool) -> None:
    """Make an image read-only or writable, in the way that machined does it for its type."""
    try:
        if kind == "raw":
            mode = stat.S_IMODE(os.stat(path).st_mode)
            os.chmod(path, (mode & ~0o222) if wanted else (mode | 0o200))
            return
        with _opened(path) as descriptor:
            _set(descriptor, _SUBVOLUME_READ_ONLY if kind == "subvolume" else _IMMUTABLE, wanted)
    except OSError as error:
        done = "read-only" if wanted else "writable"
        raise Failure(f"{path} cannot be made {done}: {error.strerror}") from None


def is_read_only(path: str, kind: str) -> bool:
    """Whether an image is read-only in machined's eyes."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return True
    if kind in ("raw", "block"):
        return not os.stat(path).st_mode & 0o222
    try:
        with _opened(path) as descriptor:
            return _is_set(descriptor, _SUBVOLUME_READ_ONLY if kind == "subvolume" else _IMMUTABLE)
    except OSError:
        return False


@contextlib.contextmanager
def _opened(path: str) -> t.Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _value(descriptor: int, flag: _Flag) -> int:
    flags = bytearray(8)
    fcntl.ioctl(descriptor, flag.get, flags)
    return t.cast("int", struct.unpack_from(flag.form, flags)[0])


def _is_set(descriptor: int, flag: _Flag) -> bool:
    return bool(_value(descriptor, flag) & flag.bit)


def _set(descriptor: int, flag: _Flag, wanted: bool) -> None:
    value = _value(descriptor, flag)
    if bool(value & flag.bit) != wanted:
        fcntl.ioctl(descriptor, flag.put, struct.pack(flag.form, value ^ flag.bit))


# --- the btrfs below ------------------------------------------------------------------------


def enable_quotas(path: str) -> None:
    """Turn on the quotas of a btrfs; no harm when they are on."""
    _ioctl(path, _BTRFS_IOC_QUOTA_CTL, struct.pack("=QQ", _BTRFS_QUOTA_CTL_ENABLE, 0))


def sync_btrfs(path: str) -> None:
    """Have a btrfs commit what it was told, so that others can read it."""
    _ioctl(path, _BTRFS_IOC_SYNC, b"")


def _ioctl(path: str, request: int, argument: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, request, argument)
    except OSError as error:
        raise Failure(f"{path}: btrfs refused it: {error.strerror}") from None
    finally:
        os.close(descriptor)
