# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Making images: unpacked out of sight, verified, then put in place at once.

Private to the collection. systemd-import does the unpacking, the program that importd itself
starts. importd is left out of it, because it
  - shows the image as soon as its input ends, also when the sender was killed,
  - never announces the end of a transfer when it dies itself,
  - turns on the quotas of the whole btrfs,
  - keeps a second, hidden copy of what it pulls and stumbles over it at the next pull.

An image is made in C(/var/lib/machines/.#nspawn-machined.NAME/). systemd does not take names
that begin with C(.#) for images, and removes what bears them at the next boot.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import hashlib
import http.client
import io
import os
import shutil
import stat
import struct
import time
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils import (
    _machined,
    _progress,
    _run,
    _sources,
)
from ansible_collections.nspawn.machined.plugins.module_utils._plan import Failure

STAGING = ".#nspawn-machined."
LOCKS = "/run/nspawn.machined/locks"
LOCK_PATIENCE = 60
CHUNK = 1 << 18

_PROGRAM_DIRECTORIES = ("/usr/lib/systemd", "/lib/systemd", "/usr/libexec/systemd")
_STAGED = "image"

# From linux/fs.h and linux/btrfs.h.
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
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


Stream = t.Union[io.BufferedReader, http.client.HTTPResponse]


class Deadline:
    """A moment that nothing may outlast."""

    def __init__(self, seconds: float, what: str) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._what = what

    def left(self) -> float:
        """Seconds that remain; an error when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Failure(
                f"{self._what} was not done within {self._seconds:g} s. Nothing of it is left; "
                "give it more time with timeout"
            )
        return left


# --- staging --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Stage:
    """A place out of sight where one image is made."""

    name: str
    root: str
    lock: int

    @property
    def directory(self) -> str:
        return staging_of(self.name, self.root)


def staging_of(name: str, root: str) -> str:
    return os.path.join(root, f"{STAGING}{name}")


@contextlib.contextmanager
def stage(name: str, root: str) -> t.Iterator[Stage]:
    """An empty place for an image, taken away again in the end, whatever happened."""
    with locked(name) as lock:
        place = Stage(name, root, lock)
        remove_tree(place.directory)
        os.makedirs(place.directory, mode=0o700)
        try:
            yield place
        finally:
            sweep(name, root)


def sweep(name: str, root: str) -> None:
    """Remove what is or was being made for an image."""
    remove_tree(staging_of(name, root))


@contextlib.contextmanager
def locked(name: str, patience: float = LOCK_PATIENCE) -> t.Iterator[int]:
    """Be the only one who works on an image.

    The programs that we start inherit the lock. When the module is killed and they live on, the
    next run waits for their end instead of clearing away what they write.
    """
    os.makedirs(LOCKS, mode=0o700, exist_ok=True)
    descriptor = os.open(os.path.join(LOCKS, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + patience
        while not _try_lock(descriptor):
            if time.monotonic() > end:
                raise Failure(
                    f"image {name}: another run has been working on it for {patience:g} s. "
                    "Wait for it to end, or end it"
                )
            time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(name: str) -> bool:
    try:
        descriptor = os.open(os.path.join(LOCKS, name), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- making ---------------------------------------------------------------------------------


def make(
    source: _sources.Source, place: Stage, version: int, timeout: float
) -> tuple[str, _sources.Source]:
    """Make an image from a source; return its path and what the source really was.

    Whatever the source was expected to be is checked here: an image that this function
    returns is whole and verified.
    """
    deadline = Deadline(timeout, f"{source.location} into image {place.name}")
    verb = "pulling" if source.kind == "url" else "importing"
    directory = source.format == "directory"
    if directory or _may_share_extents(source):
        words = ["run" if directory else "raw", source.file or "", _STAGED]
        # Nobody counts what it copies; that it goes on is all that can be shown.
        with _progress.Phases(verb, place.name):
            _systemd_import(
                words, "import-fs" if directory else "import", source.location, place, deadline
            )
        found = source
    else:
        with _progress.Meter(verb, place.name, source.size) as meter:
            found = _stream(source, place, version, deadline, meter)
    for path in (os.path.join(place.directory, name) for name in (_STAGED, f"{_STAGED}.raw")):
        if os.path.lexists(path):
            return path, found
    raise Failure(f"systemd-import made nothing of {source.location}")


def _may_share_extents(source: _sources.Source) -> bool:
    """A raw file of the same file system is then copied in no time and takes no space."""
    plain = source.format == "raw" and source.compression == "none"
    return plain and source.file is not None and source.checksum is None


def program(name: str) -> str:
    """The path of a program that systemd starts but does not put into PATH."""
    for directory in _PROGRAM_DIRECTORIES:
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK):
            return path
    raise Failure(
        f"{name} is not on this host. Install systemd-container (Debian, openSUSE, Fedora; a part "
        "of systemd elsewhere)"
    )


def _systemd_import(
    words: t.Sequence[str],
    tool: str,
    source: str,
    place: Stage,
    deadline: Deadline,
    stdin: t.Optional[int] = None,
) -> _run.Result:
    argv = [program(f"systemd-{tool}"), f"--image-root={place.directory}", "--btrfs-quota=no"]
    try:
        return _run.run(
            [*argv, "--", *words], stdin=stdin, timeout=deadline.left(), keep=[place.lock]
        )
    except _run.CommandFailed as failed:
        deadline.left()  # a program that was ended because of it has nothing to say
        raise Failure(
            f"systemd-{tool} could not make image {place.name} of {source}: "
            f"{_reason(failed.result)}",
            **failed.details,
        ) from None


def _reason(result: _run.Result) -> str:
    """What the program said, without what it says when all goes well."""
    usual = ("Importing ", "Exiting.", "Operating on ", "Wrote ")
    said = [line for line in result.stderr.splitlines() if line and not line.startswith(usual)]
    full = os.strerror(errno.ENOSPC)
    # tar says the latter when a part of its last write still found room.
    if any(full in line or "Wrote only" in line for line in said):
        return f"{full}. Nothing of it is kept; make room in {_machined.MACHINES_DIRECTORY}"
    return "; ".join(said[-8:]) or f"it exited with {result.rc} and said nothing"


def _stream(
    source: _sources.Source,
    place: Stage,
    version: int,
    deadline: Deadline,
    meter: _progress.Meter,
) -> _sources.Source:
    """Send the bytes through the checksum and, where needed, zstd into systemd-import."""
    convert = source.compression == "zst" and not _sources.reads_zstd(version)
    with contextlib.ExitStack() as stack:
        stream, source = _opened(source, stack, deadline)
        meter.total = source.size
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        read, write = os.pipe()
        consumers = []
        if convert:
            unpacked, into = os.pipe()
            argv = ["zstd", "-dcq"]
            consumers.append(
                pool.submit(
                    _run.run,
                    argv,
                    stdin=read,
                    stdout=into,
                    timeout=deadline.left(),
                    keep=[place.lock],
                )
            )
            read = unpacked
        consumers.append(
            pool.submit(
                _systemd_import,
                [source.format, "-", _STAGED],
                "import",
                source.location,
                place,
                deadline,
                read,
            )
        )
        try:
            checksum = _pump(source, stream, write, deadline, meter)
        except BrokenPipeError:
            checksum = None  # the reader went away; its own error says why
        finally:
            os.close(write)
            concurrent.futures.wait(consumers)
        for consumer in reversed(consumers):
            consumer.result()
    if checksum is None:
        raise Failure(f"{source.location}: its reader ended before all of it was read")
    if source.checksum and checksum != source.checksum:
        raise Failure(
            f"{source.location} has {checksum}, expected {source.checksum}. Nothing of it is "
            "kept; check the source, or the checksum if the source was changed on purpose"
        )
    return dataclasses.replace(source, checksum=checksum)


def _opened(
    source: _sources.Source, stack: contextlib.ExitStack, deadline: Deadline
) -> tuple[Stream, _sources.Source]:
    if source.file is not None:
        return stack.enter_context(open(source.file, "rb")), source
    patience = min(_sources.STALL_TIMEOUT, deadline.left())
    response = stack.enter_context(_sources.open_url(source.location, timeout=patience))
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    if size is None and not response.chunked and not source.checksum:
        raise Failure(
            f"{source.location}: the server does not say how long it is, so a cut connection "
            "would look like its end. Give a checksum, or use verify"
        )
    found = dataclasses.replace(
        source,
        size=size,
        etag=response.headers.get("ETag"),
        last_modified=response.headers.get("Last-Modified"),
    )
    return response, found


def _pump(
    source: _sources.Source,
    stream: Stream,
    write: int,
    deadline: Deadline,
    meter: _progress.Meter,
) -> str:
    digest = hashlib.sha256()
    count = 0
    while True:
        deadline.left()
        try:
            # Not read(), which would wait until all of the chunk has come.
            chunk = stream.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"{source.location}: broken off after {count} bytes: {error!r}") from None
        if not chunk:
            break
        digest.update(chunk)
        count += len(chunk)
        _write_all(write, chunk)
        meter.advance(len(chunk))
    if source.size is not None and count != source.size:
        raise Failure(
            f"{source.location}: broken off after {count} of {source.size} bytes. Nothing of it "
            "is kept; run it again"
        )
    return f"sha256:{digest.hexdigest()}"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


# --- putting in place -----------------------------------------------------------------------


def publish(made: str, place: Stage, old: t.Optional[str]) -> str:
    """Give a finished image its name, at once; return its path.

    O(old) is the image that it replaces. It lies in the staging place afterwards and goes with it.
    """
    suffix = ".raw" if made.endswith(".raw") else ""
    final = os.path.join(place.root, place.name + suffix)
    if old is None:
        try:
            _rename(made, final, _RENAME_NOREPLACE)
        except FileExistsError:
            raise Failure(f"{final} has appeared meanwhile; nothing of it was changed") from None
        return final
    make_writable(old)
    if old == final:
        _exchange(made, final, os.path.join(place.directory, "old"))
    else:
        # Of another type, so under another path: for a moment there are both, never none.
        _rename(made, final, _RENAME_NOREPLACE)
        os.rename(old, os.path.join(place.directory, "old"))
    return final


def _exchange(made: str, final: str, aside: str) -> None:
    try:
        _rename(made, final, _RENAME_EXCHANGE)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        # A file system that cannot exchange: the name is gone for an instant.
        os.rename(final, aside)
        os.rename(made, final)


def _rename(old: str, new: str, flags: int) -> None:
    """rename(2) with its flags, which Python does not offer."""
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), ctypes.c_uint(flags))
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), old, None, new)
    if libc.renameat2(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old, None, new)


# --- removing -------------------------------------------------------------------------------


def remove_tree(path: str) -> None:
    """Remove a file, a directory or a subvolume with all that is in it, read-only or not."""
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


def make_writable(path: str) -> None:
    """Take away what makes an image read-only: a flag of the directory or of the subvolume."""
    if not os.path.isdir(path) or os.path.islink(path):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _clear(descriptor, _FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, "=i", _FS_IMMUTABLE_FL)
        _clear(
            descriptor,
            _BTRFS_IOC_SUBVOL_GETFLAGS,
            _BTRFS_IOC_SUBVOL_SETFLAGS,
            "=Q",
            _BTRFS_SUBVOL_RDONLY,
        )
    finally:
        os.close(descriptor)


def _clear(descriptor: int, get: int, put: int, form: str, flag: int) -> None:
    flags = bytearray(8)
    try:
        fcntl.ioctl(descriptor, get, flags)
        (value,) = struct.unpack_from(form, flags)
        if value & flag:
            fcntl.ioctl(descriptor, put, struct.pack(form, value & ~flag))
    except OSError as error:
        # Not this kind of file system: there is no such flag.
        if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL):
            raise


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
