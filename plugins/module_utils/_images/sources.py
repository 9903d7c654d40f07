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
import functools
import hashlib
import http.client
import os
import stat
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .._core.plan import Failure
from . import formats
from . import verify as images_verify
from .model import Source

STALL_TIMEOUT = 30
USER_AGENT = "nspawn.machined"


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
    with open(real, "rb") as stream:
        head = stream.read(formats.HEAD_SIZE)
        size = stream.seek(0, os.SEEK_END)
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
    """A digest of names, sizes, modes and times: cheap, and other when a file is other."""
    digest = hashlib.sha256()
    for where, directories, files in os.walk(directory):
        directories.sort()
        for name in sorted(files) + directories:
            path = os.path.join(where, name)
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(path)
                # A directory's own size and time change when nothing of it does.
                isdir = stat.S_ISDIR(status.st_mode)
                contents = () if isdir else (status.st_size, status.st_mtime_ns)
                fields = (path, status.st_mode, status.st_uid, status.st_gid, *contents)
                digest.update(repr(fields).encode("utf-8", "surrogateescape"))
    return f"tree:{digest.hexdigest()}"


def checksum_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


# --- URLs -----------------------------------------------------------------------------------


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone, and from https never to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: t.Any,
        code: int,
        msg: str,
        headers: t.Any,
        newurl: str,
    ) -> t.Optional[urllib.request.Request]:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme != "https" and (scheme != "http" or req.type == "https"):
            raise Failure(f"{req.full_url} redirects to {newurl}, which is not followed")
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)
        if followed is not None:
            followed.method = req.get_method()
        return followed


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def open_url(
    url: str,
    *,
    method: str = "GET",
    headers: t.Optional[t.Mapping[str, str]] = None,
    timeout: float = STALL_TIMEOUT,
) -> http.client.HTTPResponse:
    """Ask a server; what it refuses becomes an error that names the URL."""
    # Without it a server may compress on the way, and checksums and lengths are of other bytes.
    sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
    request = urllib.request.Request(url, headers=sent, method=method)
    try:
        return t.cast("http.client.HTTPResponse", _opener().open(request, timeout=timeout))
    except urllib.error.HTTPError as error:
        with error:
            raise UrlRefused(url, error.code, error.reason) from None
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise Failure(f"{url} cannot be reached: {reason}") from None


class UrlRefused(Failure):
    """A server that answered, but with an error."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(
            f"{url}: the server answered {status} {reason}. Expected 200 OK; check the URL",
            status=status,
        )
        self.status = status


def of_url(url: str, wanted_format: str, verify: str, checksum: t.Optional[str]) -> Source:
    """Look at a URL without fetching it."""
    if url.startswith("file:"):
        return _of_file_url(url, wanted_format, verify, checksum)
    headers = _look(url)
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    known_format, compression = formats.by_name(name)
    head = b""
    if wanted_format == "auto" and not known_format:
        head = fetch_small(url, formats.HEAD_SIZE, whole=False)
        compression = formats.compression_of(head)
    expected, verified = images_verify.expectation(url, verify, checksum, fetch_small)
    length = headers.get("Content-Length", "")
    return Source(
        kind="url",
        location=url,
        format=formats.settled(wanted_format, name, compression, lambda: head),
        compression=compression,
        size=int(length) if length.isdigit() else None,
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
        checksum=expected,
        verified=verified,
        integrity=expected is not None,
    )


def _of_file_url(url: str, wanted_format: str, verify: str, checksum: t.Optional[str]) -> Source:
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    expected, verified = images_verify.expectation(url, verify, checksum, fetch_small)
    found = of_path(path, wanted_format, expected)
    return dataclasses.replace(found, kind="url", location=url, verified=verified)


def _look(url: str) -> http.client.HTTPMessage:
    try:
        with open_url(url, method="HEAD") as response:
            return response.headers
    except UrlRefused as refused:
        # Signed links of object stores allow GET alone.
        if refused.status not in (403, 405, 501):
            raise
    with open_url(url) as response:
        return response.headers


def fetch_small(url: str, limit: int, whole: bool = True) -> bytes:
    """The bytes of a small file; an error when it is larger than that."""
    if url.startswith("file:"):
        path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
        try:
            with open(path, "rb") as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            raise Failure(f"{url}: {error.strerror}") from None
    else:
        span = {} if whole else {"Range": f"bytes=0-{limit - 1}"}
        try:
            with open_url(url, headers=span) as response:
                data = response.read(limit + 1)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"{url} could not be read: {error!r}") from None
    if whole and len(data) > limit:
        raise Failure(f"{url} is larger than {limit} bytes; expected a small file")
    return data[:limit]
