# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What images are made from: files, directories and URLs, looked at but not yet taken.

Private to the collection. A look at a URL is a HEAD request and, where the source shall be
verified, the small files beside it; never the image itself.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email.message
import errno
import functools
import hashlib
import io
import os
import stat
import typing as t

from .._core import descriptors
from .._core.descent import Descent
from .._core.plan import Failure
from . import formats, web
from . import verify as images_verify
from .addresses import Address
from .model import Source
from .patience import Patience

# --- files ----------------------------------------------------------------------------------


def of_path(path: str, wanted_format: str, checksum: t.Optional[str]) -> Source:
    """Look at a file or directory of this host."""
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
    except OSError as error:
        raise Failure(f"path {path}: {error.strerror}. Expected a file or a directory") from None
    if stat.S_ISDIR(status.st_mode):
        return _of_directory(path, real, wanted_format, checksum)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise Failure(f"path {path} is neither a file, a directory nor a block device")
    if wanted_format == "directory":
        raise Failure(f"path {path} is a file; format: directory needs a directory")
    try:
        with opened(real) as stream:
            head = stream.read(formats.HEAD_SIZE)
            size = stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise Failure(f"path {path}: {error.strerror}. Expected a file") from None
    compression = formats.compression_of(head)
    return Source(
        kind="path",
        location=path,
        file=real,
        format=formats.settled(wanted_format, path, compression, lambda: head),
        compression=compression,
        size=size,
        last_modified=str(status.st_mtime_ns),
        checksum=checksum,
        verified="checksum" if checksum else "none",
        integrity=checksum is not None,
    )


def of_upload(
    path: str, wanted_format: str, checksum: t.Optional[str], found: t.Mapping[str, t.Any]
) -> Source:
    """A file of the controller, as the action plugin found it there."""
    actual = t.cast("str", found["checksum"])
    if checksum and checksum != actual:
        raise Failure(f"path {path} on the controller has {actual}, expected {checksum}")
    head = base64.b64decode(found["head"])
    compression = formats.compression_of(head)
    return Source(
        kind="upload",
        location=path,
        file=found.get("file"),
        format=formats.settled(wanted_format, found["name"], compression, lambda: head),
        compression=compression,
        size=found["size"],
        checksum=actual,
        verified="checksum" if checksum else "none",
        integrity=True,
    )


def _of_directory(path: str, real: str, wanted_format: str, checksum: t.Optional[str]) -> Source:
    if wanted_format not in ("auto", "directory"):
        raise Failure(f"path {path} is a directory; expected a file for format: {wanted_format}")
    if checksum:
        raise Failure(f"path {path} is a directory, which has no checksum; leave it out")
    return Source(
        kind="path", location=path, file=real, format="directory", last_modified=state_of(real)
    )


def state_of(directory: str) -> str:
    """A digest of names, sizes, modes and times: cheap, and other when a file is other.

    By descriptors: whoever makes directories in directories makes paths that are too long.
    """
    digest = hashlib.sha256()
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Descent(top, directory, mounts=True) as place:
            waiting = [_digested(place, "", digest)]
            while waiting:
                if waiting[-1]:
                    name = waiting[-1].pop()
                    try:
                        place.enter(name)
                    except (FileNotFoundError, NotADirectoryError):
                        continue  # it has become something else meanwhile
                    waiting.append(_digested(place, name, digest))
                    continue
                waiting.pop()
                if waiting:
                    place.leave()
    finally:
        os.close(top)
    return f"tree:{digest.hexdigest()}"


def _digested(place: Descent, name: str, digest: t.Any) -> list[str]:
    """Add all that is in one directory; return the directories in it, the first one last."""
    digest.update(repr((place.depth, name)).encode("utf-8", "surrogateescape"))
    directories = []
    with os.scandir(place.here) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                # A directory's own size and time change when nothing of it does.
                isdir = stat.S_ISDIR(status.st_mode)
                contents = () if isdir else (status.st_size, status.st_mtime_ns)
                fields = (entry.name, status.st_mode, status.st_uid, status.st_gid, *contents)
                digest.update(repr(fields).encode("utf-8", "surrogateescape"))
                if isdir:
                    directories.append(entry.name)
    return directories[::-1]


def checksum_of(path: str) -> str:
    digest = hashlib.sha256()
    with opened(path) as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def opened(path: str) -> io.BufferedReader:
    """Open a file or a block device for reading; an error (EINVAL) when it is anything else.

    Who has put a FIFO there since somebody looked must not make us wait.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, f"it is {descriptors.kind(mode)}, and no regular file", path)


# --- URLs -----------------------------------------------------------------------------------


def of_url(
    address: Address,
    wanted_format: str,
    verify: str,
    checksum: t.Optional[str],
    patience: Patience,
) -> Source:
    """Look at a URL without fetching it."""
    fetch = functools.partial(fetch_small, patience=patience)
    expected, verified = images_verify.expectation(address, verify, checksum, fetch)
    if address.is_file:
        found = of_path(address.path, wanted_format, expected)
        return dataclasses.replace(found, kind="url", location=address.shown, verified=verified)
    headers = _look(address, patience)
    known_format, compression = formats.by_name(address.name)
    head = b""
    if wanted_format == "auto" and not known_format:
        head = fetch_small(address, formats.HEAD_SIZE, patience=patience, whole=False)
        compression = formats.compression_of(head)
    length = headers.get("Content-Length", "")
    return Source(
        kind="url",
        location=address.shown,
        address=address,
        format=formats.settled(wanted_format, address.name, compression, lambda: head),
        compression=compression,
        size=int(length) if length.isdigit() else None,
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
        checksum=expected,
        verified=verified,
        integrity=expected is not None,
    )


def _look(address: Address, patience: Patience) -> email.message.Message:
    try:
        with web.asked(address, patience, method="HEAD") as answer:
            return answer.headers
    except web.UrlRefused as refused:
        # Signed links of object stores allow GET alone.
        if refused.status not in (403, 405, 501):
            raise
    with web.asked(address, patience) as answer:
        return answer.headers


def fetch_small(address: Address, limit: int, *, patience: Patience, whole: bool = True) -> bytes:
    """The bytes of a small file; an error when it is larger than that."""
    if address.is_file:
        try:
            with opened(address.path) as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            raise web.Refused(f"{address.shown}: {error.strerror}") from None
    else:
        span = {} if whole else {"Range": f"bytes=0-{limit - 1}"}
        with web.asked(address, patience, headers=span) as answer:
            data = answer.read(limit + 1)
    if whole and len(data) > limit:
        raise Failure(f"{address.shown} is larger than {limit} bytes; expected a small file")
    return data[:limit]
