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
from ansible_collections.nspawn.machined.plugins.module_utils._images.sources import (
    by_name,
    check_url,
    checksum_of,
    compression_of,
    format_of,
    of_path,
    of_url,
    unpacked,
)

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
    "url",
    [
        "http://example.org/a.tar",
        "https://example.org:8443/b/a.tar.xz?token=1",
        "file:///srv/a.tar",
        "file://localhost/srv/a.tar",
        "http://[2001:db8::1]/a.tar",
    ],
)
def test_plain_urls_are_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/a.tar",
        "ftp://example.org/a.tar",
        "data:text/plain,a",
        "http:///a.tar",
        "http://example.org",
        "http://example.org:99999/a.tar",
        "http://me@example.org/a.tar",
        "http://me:secret@example.org/a.tar",
        "http://example.org/a b.tar",
        "http://example.org/a\n.tar",
        "file://other/srv/a.tar",
        "http://[/a.tar",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Failure, match="Expected http"):
        check_url(url)


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        check_url(text)
    except Failure:
        return
    assert text.lower().startswith(("http://", "https://", "file:/"))


def test_a_file_is_looked_at_without_being_read(archive: Path) -> None:
    found = of_path(str(archive), "auto", None)
    assert (found.kind, found.format, found.compression) == ("path", "tar", "none")
    assert found.size == archive.stat().st_size
    assert found.checksum is None


def test_a_directory_is_other_when_a_file_in_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    before = of_path(str(tmp_path), "auto", None)
    assert before.format == "directory"
    assert of_path(str(tmp_path), "auto", None) == before
    (tmp_path / "file").write_text("other")
    assert of_path(str(tmp_path), "auto", None).last_modified != before.last_modified


def test_a_file_url_is_a_file_of_this_host(archive: Path) -> None:
    found = of_url(archive.as_uri(), "auto", "none", checksum_of(str(archive)))
    assert (found.kind, found.file, found.verified) == ("url", str(archive), "checksum")


def test_what_is_neither_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "neither").write_text("text")
    with pytest.raises(Failure, match="format: tar or format: raw"):
        of_path(str(tmp_path / "neither"), "auto", None)
    assert of_path(str(tmp_path / "neither"), "raw", None).format == "raw"
