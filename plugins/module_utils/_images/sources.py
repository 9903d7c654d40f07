# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What images are made from: files, directories and URLs, looked at but not yet taken.

Private to the collection. A look at a URL is a HEAD request and, where the source shall be
verified, the small files beside it; never the image itself.
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import dataclasses
import functools
import hashlib
import http.client
import lzma
import os
import stat
import typing as t
import urllib.error
import urllib.parse
import urllib.request
import zlib

from .._core import run
from .._core.plan import Failure
from . import verify as images_verify
from .model import Source

STALL_TIMEOUT = 30
HEAD_SIZE = 64 * 1024
USER_AGENT = "nspawn.machined"

# Known by importd since before 252, without any other program.
COMPRESSIONS = {"gz": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "bz2": b"BZh", "zst": b"\x28\xb5\x2f\xfd"}
_COMPRESSION_SUFFIXES = {".gz": "gz", ".xz": "xz", ".bz2": "bz2", ".zst": "zst"}
_FORMAT_SUFFIXES = {".tar": "tar", ".raw": "raw", ".img": "raw", ".qcow2": "raw"}
_SHORT_SUFFIXES = {".tgz": "gz", ".txz": "xz", ".tbz2": "bz2", ".tbz": "bz2", ".tzst": "zst"}
_USTAR_OFFSET = 257
_QCOW2_MAGIC = b"QFI\xfb"
# A GPT header lies behind a first block of 512 bytes, or of 4096 on disks that have those.
_GPT_OFFSETS = (512, 4096)
_MBR_SIGNATURE = (510, b"\x55\xaa")


# --- formats --------------------------------------------------------------------------------


def by_name(name: str) -> tuple[t.Optional[str], str]:
    """Format and compression, as far as a file's name tells them."""
    stem, suffix = os.path.splitext(name.lower())
    if suffix in _SHORT_SUFFIXES:
        return "tar", _SHORT_SUFFIXES[suffix]
    compression = _COMPRESSION_SUFFIXES.get(suffix)
    if compression:
        suffix = os.path.splitext(stem)[1]
    return _FORMAT_SUFFIXES.get(suffix), compression or "none"


def compression_of(head: bytes) -> str:
    """The compression that the first bytes of a file show."""
    for name, magic in COMPRESSIONS.items():
        if head.startswith(magic):
            return name
    return "none"


def format_of(head: bytes) -> t.Optional[str]:
    """C(tar) or C(raw), as far as the first bytes of a file that is not compressed show it."""
    if head[_USTAR_OFFSET : _USTAR_OFFSET + 5] == b"ustar":
        return "tar"
    if head.startswith(_QCOW2_MAGIC):
        return "raw"
    if any(head[offset : offset + 8] == b"EFI PART" for offset in _GPT_OFFSETS):
        return "raw"
    offset, signature = _MBR_SIGNATURE
    return "raw" if head[offset : offset + len(signature)] == signature else None


def unpacked(head: bytes, compression: str) -> bytes:
    """As much as the first bytes of a compressed file give; nothing if they cannot be read."""
    try:
        if compression == "gz":
            return zlib.decompressobj(wbits=31).decompress(head, HEAD_SIZE)
        if compression == "xz":
            return lzma.LZMADecompressor().decompress(head, HEAD_SIZE)
        if compression == "bz2":
            return bz2.BZ2Decompressor().decompress(head, HEAD_SIZE)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError):
        return b""
    return head if compression == "none" else b""


def _settle_format(
    wanted: str, location: str, compression: str, head: t.Callable[[], bytes]
) -> str:
    if wanted != "auto":
        return wanted
    named = by_name(location)[0]
    found = named or format_of(unpacked(head(), compression))
    if not found:
        raise Failure(
            f"{location}: neither its name nor its first bytes tell whether it is a tar or a raw "
            "image. Say it with format: tar or format: raw"
        )
    return found


def check_readable(source: Source, version: int) -> None:
    """Refuse a compression that nobody on this host can read, before anything is fetched."""
    if source.compression != "zst" or reads_zstd(version) or run.find("zstd"):
        return
    raise Failure(
        f"{source.location} is compressed with Zstandard, which systemd {version} on this host "
        "cannot import, and the program zstd is not installed to convert it on the way. Install "
        "zstd, or offer the image compressed with gzip or xz"
    )


def reads_zstd(version: int) -> bool:
    """Whether systemd-import itself unpacks Zstandard: 252 and 257 refuse it, 262 does it."""
    return version >= 262


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
        head = stream.read(HEAD_SIZE)
        size = stream.seek(0, os.SEEK_END)
    compression = compression_of(head)
    return Source(
        kind="path",
        location=path,
        file=real,
        format=_settle_format(wanted_format, path, compression, lambda: head),
        compression=compression,
        size=size,
        last_modified=str(status.st_mtime_ns),
        checksum=checksum,
        verified="checksum" if checksum else "none",
    )


def of_upload(
    path: str, wanted_format: str, checksum: t.Optional[str], found: t.Mapping[str, t.Any]
) -> Source:
    """A file of the controller, as the action plugin found it there."""
    actual = t.cast("str", found["checksum"])
    if checksum and checksum != actual:
        raise Failure(f"path {path} on the controller has {actual}, expected {checksum}")
    head = base64.b64decode(found["head"])
    compression = compression_of(head)
    return Source(
        kind="upload",
        location=path,
        file=found.get("file"),
        format=_settle_format(wanted_format, found["name"], compression, lambda: head),
        compression=compression,
        size=found["size"],
        checksum=actual,
        verified="checksum" if checksum else "none",
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


def check_url(url: str) -> None:
    """Refuse what is not a plain http, https or file URL."""
    wrong = _wrong_with(url)
    if wrong:
        raise Failure(
            f"url {url!r}: {wrong}. Expected http://HOST/PATH, https://HOST/PATH or file:///PATH"
        )


def _wrong_with(url: str) -> t.Optional[str]:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if not url.isprintable() or " " in url:
        return "it contains spaces or control characters"
    if parts.scheme not in ("http", "https", "file"):
        return f"its scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme"
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            return f"it names the host {parts.netloc!r}, but a file URL is about this host"
        return None if parts.path.startswith("/") else "its path is not absolute"
    if not parts.hostname or port == 0:
        return "it names no host"
    if parts.username is not None or parts.password is not None:
        return "it contains a user name or password, which would be shown and kept"
    return None if parts.path.strip("/") else "it names no file"


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
    known_format, compression = by_name(name)
    head = b""
    if wanted_format == "auto" and not known_format:
        head = fetch_small(url, HEAD_SIZE, whole=False)
        compression = compression_of(head)
    expected, verified = images_verify.expectation(url, verify, checksum, fetch_small)
    length = headers.get("Content-Length", "")
    return Source(
        kind="url",
        location=url,
        format=_settle_format(wanted_format, name, compression, lambda: head),
        compression=compression,
        size=int(length) if length.isdigit() else None,
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
        checksum=expected,
        verified=verified,
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
