# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Looks at the images of a host, once for all that is wanted of them.

Private to the collection.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import typing as t

from .._core import locks, run
from .._core.plan import Failure
from .._systemd import image_classes, machined
from .._systemd.image_classes import MACHINE, ImageClass
from . import addresses, hidden, keepers, provenance
from . import sources as images_sources
from .identity import identity_of, is_btrfs
from .model import Pieces, Provenance, Snapshot, Source
from .patience import Deadline, Patience
from .wanted import Wanted

SYSTEM_DIRECTORY = "/etc/systemd/system"
MACHINES_WANTS = os.path.join(SYSTEM_DIRECTORY, "machines.target.wants")

Keys = t.Mapping[str, machined.Image]


def snapshot(images: t.Sequence[Wanted]) -> Snapshot:
    """Read what the plan for these images needs to know."""
    kinds = sorted({image.kind for image in images}, key=lambda kind: kind.name)
    owed: dict[str, t.Mapping[str, t.Any]] = collections.defaultdict(dict)
    there: dict[str, machined.Image] = {}
    for kind in kinds:
        owed.update(_owed(kind))
        there.update(_there(kind, owed))
    identities = identities_of(there)
    records = {
        key: record for kind in kinds for key, record in records_of(kind, identities).items()
    }
    sources, problems = _look_at_sources(images, records, there)
    used: dict[str, str] = {}
    for kind in kinds:
        own = [image for image in images if image.kind is kind]
        if _may_disturb(own, there):
            used.update(users_of(kind, there, owed))
    return Snapshot(
        version=machined.systemd_version(),
        images=there,
        identities=identities,
        records=records,
        sources=sources,
        problems=problems,
        used_by=used,
        limits=_limits(images, there, owed),
        btrfs=is_btrfs(machined.MACHINES_DIRECTORY),
        zstd=run.find("zstd") is not None,
        pieces={
            image.rename_from: pieces_of(image.rename_from) for image in images if image.rename_from
        },
        leftovers=frozenset(key for kind in kinds for key in _leftovers(kind, there)),
    )


def _there(
    kind: ImageClass, owed: t.Mapping[str, t.Mapping[str, t.Any]]
) -> dict[str, machined.Image]:
    """The images of a class by their keys, read-only also where a killed run has left it away."""
    return {
        key: dataclasses.replace(image, read_only=True) if "read_only" in owed[key] else image
        for key, image in images_of(kind).items()
    }


def images_of(kind: ImageClass) -> dict[str, machined.Image]:
    """The images of a class by their keys."""
    return {kind.key(name): image for name, image in keepers.of(kind).images().items()}


def find(key: str) -> t.Optional[machined.Image]:
    """The image that has this key now; nothing when there is none."""
    kind, name = image_classes.split(key)
    return keepers.of(kind).find(name)


def identities_of(there: Keys) -> dict[str, str]:
    """What stays the same of these images under any name."""
    return {key: identity_of(image.path) for key, image in there.items()}


def records_of(kind: ImageClass, identities: t.Mapping[str, str]) -> dict[str, Provenance]:
    """The records of a class that speak for the images that are there."""
    found = {}
    for key, some in provenance.records(kind).items():
        record = provenance.matching(some, identities[key]) if key in identities else None
        if record:
            found[key] = record
    return found


def _may_disturb(images: t.Sequence[Wanted], there: Keys) -> bool:
    """Whether a plan might do what somebody who uses an image would not bear."""
    for image in images:
        seen = there.get(image.key)
        if image.rename_from in there:
            return True
        if seen and (image.state == "absent" or image.update):
            return True
        if seen and image.read_only is not None and image.read_only != seen.read_only:
            return True
    return False


def _owed(kind: ImageClass) -> dict[str, t.Mapping[str, t.Any]]:
    """What images must become, or be again, because a run was killed while it replaced them."""
    found = {}
    for key, finished in provenance.names(kind).items():
        begun = None if finished else provenance.begun(key)
        if begun:
            found[key] = begun.owed
    return found


def users_of(
    kind: ImageClass,
    there: Keys,
    owed: t.Optional[t.Mapping[str, t.Mapping[str, t.Any]]] = None,
) -> dict[str, str]:
    """Who uses images of a class, or would if nobody had stopped it for a while."""
    used = {
        key: debt["start"]
        for key, debt in (owed or {}).items()
        if "start" in debt and image_classes.split(key)[0] is kind
    }
    own = {image.name: image for image in there.values() if image.image_class == kind.name}
    for name, user in keepers.of(kind).users(own).items():
        used[kind.key(name)] = user
    return used


def _limits(
    images: t.Sequence[Wanted],
    there: Keys,
    owed: t.Mapping[str, t.Mapping[str, t.Any]],
) -> dict[str, t.Optional[int]]:
    """The limits that shall be changed, and those that a replacement shall keep."""
    subvolumes = {name for name, image in there.items() if image.type == "subvolume"}
    return {
        image.key: owed[image.key].get("limit") or keepers.limit_of(image.name)
        for image in images
        if image.kind is MACHINE
        and (image.limit is not None or image.update)
        and image.key in subvolumes
    }


def pieces_of(name: str) -> Pieces:
    return Pieces(
        enabled=os.path.lexists(wants_path(name)),
        drop_ins=os.path.isdir(drop_ins_path(name)),
        record=name in provenance.records(),
    )


def wants_path(name: str) -> str:
    return os.path.join(MACHINES_WANTS, machined.unit_of(name))


def drop_ins_path(name: str) -> str:
    return os.path.join(SYSTEM_DIRECTORY, f"{machined.unit_of(name)}.d")


def _leftovers(kind: ImageClass, there: Keys) -> frozenset[str]:
    """Images whose making, replacing or removing was cut off; not those that are worked on now."""
    try:
        entries = os.listdir(kind.root)
    except FileNotFoundError:
        entries = []
    cut_off = {
        kind.key(entry[len(prefix) :])
        for prefix in keepers.of(kind).unfinished
        for entry in entries
        if entry.startswith(prefix)
    }
    if kind is MACHINE:
        cut_off |= hidden.left()
    finished = provenance.names(kind)
    said = {key for key in finished if not finished[key] or key not in there}
    return frozenset(key for key in cut_off | said if locks.is_free(locks.image(key)))


def _look_at_sources(
    images: t.Sequence[Wanted],
    records: t.Mapping[str, Provenance],
    there: Keys,
) -> tuple[dict[str, Source], dict[str, str]]:
    """Look at all sources side by side; what cannot be reached is a problem, not yet an error."""
    looked = [image for image in images if image.url is not None or image.path is not None]
    sources: dict[str, Source] = {}
    problems: dict[str, str] = {}
    if not looked:
        return sources, problems
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = {pool.submit(_look, image, records.get(image.key)): image for image in looked}
        for future, image in futures.items():
            try:
                sources[image.key] = future.result()
            except Failure as failure:
                if image.key not in there or image.update:
                    raise Failure(
                        f"image {image.key}: {failure.message}", **failure.details
                    ) from None
                problems[image.key] = failure.message
    return sources, problems


def _look(image: Wanted, record: t.Optional[Provenance]) -> Source:
    if image.url is not None:
        address = image.address or addresses.of(image.url)
        deadline = Deadline(image.timeout, f"looking at {address.shown}")
        patience = Patience(deadline, image.least_rate)
        return images_sources.of_url(
            address, image.format, image.verification, image.checksum, patience
        )
    if image.upload is not None:
        return images_sources.of_upload(
            image.path or "", image.format, image.checksum, image.upload
        )
    source = images_sources.of_path(image.path or "", image.format, image.checksum)
    if image.digest is not None:
        return dataclasses.replace(source, kind="mkosi", digest=image.digest)
    touched = record and record.checksum and record.last_modified != source.last_modified
    if touched and source.format != "directory" and not source.checksum and source.file:
        # Another time, perhaps the same contents: only now is it worth reading all of it.
        return dataclasses.replace(source, checksum=images_sources.checksum_of(source.file))
    return source
