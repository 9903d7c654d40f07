# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether an image is still what its source would give now. Private to the collection; pure."""

from __future__ import annotations

import typing as t

from .model import Provenance, Snapshot, Source
from .wanted import Wanted


def drift(
    image: Wanted, seen: Snapshot, renewed: t.AbstractSet[str] = frozenset()
) -> t.Optional[str]:
    """Why an image that is there is not what its source would give now; nothing when it is.

    O(renewed) are the images that the same plan makes anew.
    """
    if image.clone_from is None and image.url is None and image.path is None:
        return None
    record = seen.records.get(image.key)
    if record is None:
        return "nothing is known of where it came from"
    if image.clone_from is not None:
        if image.parent in renewed:
            return f"{image.clone_from}, which it was cloned from, is replaced"
        return _drift_of_clone(image, record, seen)
    source = seen.sources.get(image.key)
    if source is None:
        return None  # it could not be looked at; C(problems) says why
    if source.checksum and source.checksum == record.checksum:
        return None  # wherever it lies now
    if (record.kind, record.source) != (source.kind, source.location):
        return f"it came from {record.source} ({record.kind})"
    return _drift_of_source(source, record)


def _drift_of_clone(image: Wanted, record: Provenance, seen: Snapshot) -> t.Optional[str]:
    if record.kind != "clone":
        return f"it came from {record.source} ({record.kind})"
    identity = seen.identities.get(image.parent or "")
    if identity is None or record.parent == identity:
        return None
    if record.source != image.clone_from:
        return f"it was cloned from {record.source}"
    return f"{image.clone_from} has been replaced since it was cloned"


def _drift_of_source(source: Source, record: Provenance) -> t.Optional[str]:
    """Compare the most telling thing that both know; another size is another file in any case."""
    if source.digest is not None:
        return None if source.digest == record.digest else "it was built anew since"
    if source.checksum and record.checksum:
        return f"its source has {source.checksum} now, and had {record.checksum}"
    for what, now, then in (
        ("size", source.size, record.size),
        ("ETag", source.etag, record.etag),
        ("time of change", source.last_modified, record.last_modified),
    ):
        if now is not None and then is not None:
            if now != then:
                return f"its source was changed since ({what})"
            if what != "size":
                return None
    return None
