# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Directories and subvolumes: removed whole, read-only or not, and the btrfs below them.

Private to the collection. Whoever made a tree may still be at work in it: it is removed by
descriptors (see C(descent)), and neither links nor mounts are followed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import stat
import struct
import typing as t

from . import descriptors
from .descent import Descent
from .plan import Failure
from .printable import printable

# From linux/fs.h and linux/btrfs.h.
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE_FL = 0x10
_FS_APPEND_FL = 0x20
_BTRFS_IOC_SNAP_DESTROY = 0x5000940F
_BTRFS_IOC_SUBVOL_GETFLAGS = 0x80089419
_BTRFS_IOC_SUBVOL_SETFLAGS = 0x4008941A
_BTRFS_SUBVOL_RDONLY = 2
_BTRFS_FIRST_FREE_OBJECTID = 256
_BTRFS_IOC_SYNC = 0x9408
_BTRFS_IOC_QUOTA_CTL = 0xC0109428
_BTRFS_QUOTA_CTL_ENABLE = 1

_NO_SUCH_FLAG = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)
_READ_ONLY = (errno.EPERM, errno.EACCES, errno.EROFS)
# So often something may appear in what is being removed.
_TRIES = 100
# How mountinfo spells what would break its lines.
_SPELLED = re.compile(rb"\\([0-7]{3})")


# --- removing -------------------------------------------------------------------------------


def remove(path: str) -> None:
    """Remove a file, a directory or a subvolume with all that is in it, read-only or not.

    However deep it is, and whatever its names are. Where something is mounted in it, nothing is
    removed at all.
    """
    parent, name = checked(path)
    try:
        above = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_at(above, name, parent)
    finally:
        os.close(above)


def checked(path: str) -> tuple[str, str]:
    """A path as its directory and its name; a Failure when it has no name of its own.

    Nothing is looked at: what is empty, or ends in dots, names something else than was meant.
    """
    parent, name = os.path.split(path.rstrip("/"))
    if name in ("", ".", "..") or "\0" in path:
        raise Failure(
            f"{printable(path)!r} is not removed: expected the path of something that has a name"
            " in its directory"
        )
    return parent, name


def checked_name(name: str) -> str:
    """A name of something in a directory; a Failure when it is a path, or none."""
    if checked(name) != ("", name):
        raise Failure(f"{printable(name)!r} is not removed: expected a name, found a path")
    return name


def remove_at(above: int, name: str, shown: str) -> None:
    """The same by a name in a directory that is open for reading; O(shown) is its path."""
    checked_name(name)
    with Descent(above, shown, mounts=False) as place:
        _refuse_mounts(above, name, place)
        try:
            if not _unlink(place, name):
                _remove_directories(place, name)
        except OSError as error:
            # Where it got stuck; the error itself knows only a name.
            stuck = place.shown(error.filename if isinstance(error.filename, str) else "")
            mounted = error.errno in (errno.EXDEV, errno.EBUSY)
            reason = "something is mounted there" if mounted else error.strerror
            raise Failure(
                f"{stuck} could not be removed: {reason}. What is left stands where it was"
            ) from error


def _refuse_mounts(above: int, name: str, place: Descent) -> None:
    top = os.path.join(os.readlink(f"/proc/self/fd/{above}"), name)
    found = [path for path in _mount_points() if path == top or path.startswith(f"{top}/")]
    if found:
        raise Failure(
            f"{place.shown(name)} was not removed: something is mounted at"
            f" {', '.join(map(printable, found[:3]))}. Unmount it first"
        )


def _mount_points() -> list[str]:
    with open("/proc/self/mountinfo", "rb") as stream:
        fields = [line.split(b" ")[4] for line in stream]
    return [os.fsdecode(_SPELLED.sub(_byte, field)) for field in fields]


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([int(found.group(1), 8)])


def _remove_directories(place: Descent, top: str) -> None:
    """A directory and all that is below, without calling itself for those."""
    waiting = [[top]]
    refilled = 0
    while waiting:
        if waiting[-1]:
            if _enter(place, waiting[-1].pop()):
                waiting.append(_remove_others(place))
            continue
        waiting.pop()
        if waiting:
            name = place.leave()
            if not _remove_empty(place, name):
                refilled += 1
                if refilled > _TRIES:
                    raise descriptors.failed(errno.ENOTEMPTY, name)
                waiting[-1].append(name)


def _enter(place: Descent, name: str) -> bool:
    """Go into a directory, unless it is gone, or can be made to go at once."""
    try:
        place.enter(name)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            return not _unlink(place, name)  # it has become something else
        raise
    if _is_subvolume(place.here):
        place.leave()
        if _destroy_subvolume(place, name):
            return False
        # It has others inside, which are removed like directories.
        place.enter(name)
        _make_writable(place.here)
    return True


def _remove_others(place: Descent) -> list[str]:
    """Remove what is no directory from one, and return the names of those that are."""
    with os.scandir(place.here) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    return [name for name, is_directory in names if is_directory or not _unlink(place, name)]


def _unlink(place: Descent, name: str) -> bool:
    """Remove what is no directory; it may be gone already."""
    try:
        _insist(place, name, os.unlink)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        return False
    return True


def _remove_empty(place: Descent, name: str) -> bool:
    """Remove a directory; it may be gone already, or have got something new."""
    try:
        _insist(place, name, os.rmdir)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            return _unlink(place, name)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _insist(place: Descent, name: str, remove_it: t.Callable[..., None]) -> None:
    """Remove something; what is read-only, or in what is read-only, is made writable for it."""
    for make_way in (_directory_writable, _entry_writable, None):
        try:
            remove_it(name, dir_fd=place.here)
            return
        except OSError as error:
            if error.errno not in _READ_ONLY or make_way is None:
                raise
        make_way(place, name)


def _directory_writable(place: Descent, _name: str) -> None:
    # The directory that all of it is in is not ours to change.
    if place.depth:
        _make_writable(place.here)


def _entry_writable(place: Descent, name: str) -> None:
    found = descriptors.open_file(place.here, name, mounts=False)
    try:
        if stat.S_IFMT(os.fstat(found).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
            descriptor = descriptors.reopen(found, os.O_RDONLY)
            try:
                _make_writable(descriptor)
            finally:
                os.close(descriptor)
    finally:
        os.close(found)


def _is_subvolume(descriptor: int) -> bool:
    if os.fstat(descriptor).st_ino != _BTRFS_FIRST_FREE_OBJECTID:
        return False
    try:
        _value(descriptor, _SUBVOLUME_READ_ONLY)
    except OSError:
        return False
    return True


def _destroy_subvolume(place: Descent, name: str) -> bool:
    """Remove a subvolume at once; no success when it has others inside."""

    def destroy(name: str, *, dir_fd: int) -> None:
        # Mutable: fcntl.ioctl takes no more than 1024 bytes that are not.
        argument = bytearray(struct.pack("=q4088s", 0, os.fsencode(name)))
        fcntl.ioctl(dir_fd, _BTRFS_IOC_SNAP_DESTROY, argument)

    try:
        _insist(place, name, destroy)
    except FileNotFoundError:
        return True
    except OSError:
        return False
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
_APPEND_ONLY = _Flag(_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, "=i", _FS_APPEND_FL)
_SUBVOLUME_READ_ONLY = _Flag(
    _BTRFS_IOC_SUBVOL_GETFLAGS, _BTRFS_IOC_SUBVOL_SETFLAGS, "=Q", _BTRFS_SUBVOL_RDONLY
)


def make_writable(path: str) -> None:
    """Take away what makes an image read-only: a flag of the directory or of the subvolume."""
    if not os.path.isdir(path) or os.path.islink(path):
        return
    with _opened(path) as descriptor:
        _make_writable(descriptor)


def _make_writable(descriptor: int) -> None:
    # The subvolume first: in one that is read-only nothing has its flags changed.
    for flag in (_SUBVOLUME_READ_ONLY, _IMMUTABLE, _APPEND_ONLY):
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
