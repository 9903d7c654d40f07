# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The formats of images: told by a name or by the first bytes, and what systemd can read of them.

Private to the collection. Pure.
"""

from __future__ import annotations

import bz2
import lzma
import os
import typing as t
import zlib

from .._core.plan import Failure
from .model import Source

HEAD_SIZE = 64 * 1024
"""So many of the first bytes are enough to tell."""

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


def settled(wanted: str, location: str, compression: str, head: t.Callable[[], bytes]) -> str:
    """C(tar) or C(raw): as it is wanted, or else by the name, or else by the first bytes."""
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


def check_readable(source: Source, version: int, zstd: bool) -> None:
    """Refuse a compression that nobody on this host can read, before anything is fetched.

    O(zstd) is whether the program of that name is there.
    """
    if source.compression != "zst" or reads_zstd(version) or zstd:
        return
    raise Failure(
        f"{source.location} is compressed with Zstandard, which systemd {version} on this host "
        "cannot import, and the program zstd is not installed to convert it on the way. Install "
        "zstd, or offer the image compressed with gzip or xz"
    )


def reads_zstd(version: int) -> bool:
    """Whether systemd-import itself unpacks Zstandard: 252 and 257 refuse it, 262 does it."""
    return version >= 262
