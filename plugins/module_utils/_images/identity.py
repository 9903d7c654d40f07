# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What stays the same of an image under any name. Private to the collection."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import typing as t

# From linux/btrfs.h and linux/fs.h; both need no privilege.
_BTRFS_IOC_INO_LOOKUP = 0xD0009412
_FS_IOC_GETVERSION = 0x80087601
_BTRFS_ROOT_INODE = 256


def identity_of(path: str) -> str:
    """What stays the same when an image is renamed and is never given to another one.

    A subvolume has a number that btrfs does not give twice; elsewhere an inode's number may
    come back, but with another generation. A link is not what it leads to; it has no generation
    that can be read, but the time when it was made.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        return _identity_of_link(path) if error.errno == errno.ELOOP else ""
    try:
        return identity_of_open(descriptor)
    finally:
        os.close(descriptor)


def identity_of_open(descriptor: int) -> str:
    """The same of what is open, under whatever name."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode) and status.st_ino == _BTRFS_ROOT_INODE:
        subvolume = _subvolume_id(descriptor)
        if subvolume is not None:
            return f"subvolume:{subvolume}"
    return f"inode:{status.st_ino}:{_generation(descriptor)}"


def _identity_of_link(path: str) -> str:
    try:
        status = os.lstat(path)
    except OSError:
        return ""
    return f"link:{status.st_ino}:{status.st_mtime_ns}"


def is_btrfs(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _subvolume_id(descriptor) is not None
    finally:
        os.close(descriptor)


def _subvolume_id(descriptor: int) -> t.Optional[int]:
    arguments = bytearray(struct.pack("=QQ4080s", 0, _BTRFS_ROOT_INODE, b""))
    try:
        fcntl.ioctl(descriptor, _BTRFS_IOC_INO_LOOKUP, arguments)
    except OSError:
        return None
    return t.cast("int", struct.unpack_from("=Q", arguments)[0])


def _generation(descriptor: int) -> int:
    answer = bytearray(8)
    try:
        fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, answer)
    except OSError:
        return 0
    return t.cast("int", struct.unpack_from("=I", answer)[0])
