# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is opened stays what it is: files and directories by descriptor, never by path.

Private to the collection. A path can lead elsewhere at the next moment where somebody else may
write; a descriptor cannot. The caller closes what is returned here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

# From linux/openat2.h. The number is the same on every architecture.
_OPENAT2 = 437
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

# Before Linux 5.6, and where a filter of system calls does not know it.
NO_OPENAT2 = (errno.ENOSYS, errno.EPERM)

_KINDS = {
    stat.S_IFREG: "a regular file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


class _How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    """Open a path that may lead no other way than O(resolve) says."""
    how = _How(flags | os.O_CLOEXEC, 0, resolve)
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise failed(errno.ENOENT, path)
    descriptor = _libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_long(directory),
        ctypes.c_char_p(encoded),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if descriptor < 0:
        raise failed(ctypes.get_errno(), path)
    return int(descriptor)


def failed(number: int, name: str) -> OSError:
    """The error that Python would raise; its class is the one of the number."""
    return OSError(number, os.strerror(number), name)


# --- one name in a directory ----------------------------------------------------------------


def open_file(directory: int, name: str, *, mounts: bool = True) -> int:
    """Stand for what has a name in a directory, whatever it is, without following or opening it.

    Not O(mounts): an error (EXDEV) where something else is mounted.
    """
    return _open(directory, name, os.O_PATH | os.O_NOFOLLOW, mounts)


def open_directory(directory: int, name: str, *, mounts: bool = True) -> int:
    """Open a directory for reading; an error (ENOTDIR, ELOOP) when it is none, or a link to one."""
    return _open(directory, name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, mounts)


def _open(directory: int, name: str, flags: int, mounts: bool) -> int:
    if mounts:
        return os.open(name, flags | os.O_CLOEXEC, dir_fd=directory)
    try:
        return openat2(directory, name, flags, RESOLVE_NO_XDEV)
    except OSError as error:
        if error.errno not in NO_OPENAT2:
            raise
    return _open_on_mount(directory, name, flags)


def _open_on_mount(directory: int, name: str, flags: int) -> int:
    descriptor = os.open(name, flags | os.O_CLOEXEC, dir_fd=directory)
    try:
        if _mount_of(descriptor) != _mount_of(directory):
            raise failed(errno.EXDEV, name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _mount_of(descriptor: int) -> str:
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii", errors="replace") as stream:
        return next(line for line in stream if line.startswith("mnt_id:"))


# --- what is open ---------------------------------------------------------------------------


def reopen(descriptor: int, flags: int) -> int:
    """Open what a descriptor stands for; nothing else can get in between.

    It does not wait: not for the other end of a FIFO, and not for who has a lease on a file.
    """
    ways = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(f"/proc/self/fd/{descriptor}", flags | ways)


def same(one: int, other: int) -> bool:
    """Whether two descriptors stand for the same thing."""
    return os.path.samestat(os.fstat(one), os.fstat(other))


def kind(mode: int) -> str:
    """What something is, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "something unknown")
