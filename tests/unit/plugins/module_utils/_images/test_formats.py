# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images.formats import (
    by_name,
    check_readable,
    compression_of,
    format_of,
    unpacked,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.model import Source

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as into:
        into.add(__file__, "file")
    return path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.tar", ("tar", "none")),
        ("a.tar.gz", ("tar", "gz")),
        ("A.TGZ", ("tar", "gz")),
        ("a.txz", ("tar", "xz")),
        ("/b/a.raw.zst", ("raw", "zst")),
        ("a.img", ("raw", "none")),
        ("a.qcow2", ("raw", "none")),
        ("a.xz", (None, "xz")),
        ("tar", (None, "none")),
    ],
)
def test_a_name_tells_format_and_compression(name: str, found: tuple[str | None, str]) -> None:
    assert by_name(name) == found


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_first_bytes_tell_format_and_compression(archive: Path, compression: str) -> None:
    head = COMPRESSORS[compression](archive.read_bytes())
    assert compression_of(head) == compression
    assert format_of(unpacked(head, compression)) == "tar"


def test_disks_are_known_by_their_first_bytes() -> None:
    assert format_of(b"QFI\xfb") == "raw"
    assert format_of(b"\0" * 510 + b"\x55\xaa") == "raw"
    assert format_of(b"\0" * 512 + b"EFI PART") == "raw"
    assert format_of(b"\0" * 4096 + b"EFI PART") == "raw"


@given(st.binary(max_size=2000), st.sampled_from(["gz", "xz", "bz2", "zst", "none"]))
def test_no_bytes_break_the_look_at_them(data: bytes, compression: str) -> None:
    assert format_of(unpacked(data, compression)) in ("tar", "raw", None)


@pytest.mark.parametrize(
    ("compression", "version", "zstd"),
    [("zst", 262, False), ("zst", 257, True), ("xz", 252, False), ("none", 252, False)],
)
def test_what_this_host_can_unpack_is_taken(compression: str, version: int, zstd: bool) -> None:
    check_readable(Source("path", "/a", "tar", compression), version, zstd)


def test_what_nobody_on_this_host_can_unpack_is_refused_before_it_is_fetched() -> None:
    with pytest.raises(Failure, match=r"systemd 257 on this host cannot import.*Install zstd"):
        check_readable(Source("url", "http://example.org/a.tar.zst", "tar", "zst"), 257, False)
