# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is known of images, as data: where they come from, and what a look at a host shows.

Private to the collection. Nothing here looks or acts: C(seen) fills it in, C(plan) reads it.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._systemd.machined import Image
from .addresses import Address


@dataclasses.dataclass(frozen=True)
class Source:
    """A file, a directory or a URL as it was found."""

    kind: str
    """C(url), C(path), C(upload) or C(mkosi)."""
    location: str
    """As the user gave it, without what is secret of a URL."""
    format: str
    """C(tar), C(raw) or C(directory)."""
    compression: str = "none"
    size: t.Optional[int] = None
    etag: t.Optional[str] = None
    last_modified: t.Optional[str] = None
    checksum: t.Optional[str] = None
    """C(sha256:…), what the bytes must have: given literally or by SHA256SUMS."""
    verified: str = "none"
    integrity: bool = False
    """What came was, or will be, compared with a checksum, wherever that is from."""
    file: t.Optional[str] = None
    """Where the bytes lie on this host; nothing for a URL."""
    address: t.Optional[Address] = None
    """Where they are fetched from; nothing for what lies on this host."""
    digest: t.Optional[str] = None
    """What a build was made from."""


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where one image came from, and what is needed to see whether its source has changed."""

    kind: str
    """C(url), C(path), C(upload), C(clone) or C(mkosi)."""
    source: str
    """The URL without what is secret of it, the path, or the name of the image that it was
    cloned from."""
    imported: float
    """Seconds since 1970."""
    checksum: t.Optional[str] = None
    """C(sha256:…) of the file as it came, compressed or not."""
    verified: str = "none"
    """C(signature), C(checksum) or C(none)."""
    integrity: bool = False
    """The file was compared with a checksum; that alone shows damage, and not who made it."""
    size: t.Optional[int] = None
    etag: t.Optional[str] = None
    last_modified: t.Optional[str] = None
    parent: t.Optional[str] = None
    """The identity of the image that it was cloned from, which outlives a rename."""
    digest: t.Optional[str] = None
    """What a build was made from, for images that were built on the host."""
    names: tuple[str, ...] = ()
    """The names that the image had before."""
    identity: str = ""
    """The file system object that the record is about; nothing while it is being made."""
    replaces: str = ""
    """The identity of the image whose name it is to get; nothing once it has it."""
    owed: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """What is still to be done to it: C(limit), C(read_only), C(start) of a machine."""


@dataclasses.dataclass(frozen=True)
class Pieces:
    """What belongs to an image but does not bear its name in machined's eyes."""

    enabled: bool = False
    drop_ins: bool = False
    record: bool = False

    def any(self) -> bool:
        return self.enabled or self.drop_ins or self.record

    def names(self) -> list[str]:
        fields = dataclasses.asdict(self)
        return [name for name, there in fields.items() if there]


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The host as it is, as far as the wanted images are concerned; all of them by key."""

    version: int
    images: t.Mapping[str, Image]
    identities: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    records: t.Mapping[str, Provenance] = dataclasses.field(default_factory=dict)
    """Only those that speak for the image that is there."""
    sources: t.Mapping[str, Source] = dataclasses.field(default_factory=dict)
    problems: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why a source could not be looked at."""
    used_by: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The machine that runs from an image, or what else uses it."""
    limits: t.Mapping[str, t.Optional[int]] = dataclasses.field(default_factory=dict)
    pieces: t.Mapping[str, Pieces] = dataclasses.field(default_factory=dict)
    """Of images that shall be renamed, by their old names."""
    btrfs: bool = True
    """Images are subvolumes, which alone can be limited."""
    zstd: bool = True
    """The program that unpacks Zstandard is there."""
    leftovers: frozenset[str] = frozenset()
    """Names of images that a killed run was making or removing."""
