# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Looks at the images of a host, and tells what is known of them. Private to the collection."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import time
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils import (
    _bus,
    _images_plan,
    _images_prune,
    _machined,
    _provenance,
    _sources,
    _transfer,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images_plan import (
    Pieces,
    Snapshot,
    Wanted,
)
from ansible_collections.nspawn.machined.plugins.module_utils._plan import Failure

# The plan's own part, so that other rooms need to know only this one.
wanted = _images_plan.wanted
plan = _images_plan.plan
clone_step = _images_plan.clone_step

SYSTEM_DIRECTORY = "/etc/systemd/system"
MACHINES_WANTS = os.path.join(SYSTEM_DIRECTORY, "machines.target.wants")
# Hidden from machinectl list-images. A directory takes long to remove, and half of one must not
# look like an image.
REMOVED_PREFIX = ".nspawn-machined-old."

_IMAGE_INTERFACE = "org.freedesktop.machine1.Image"
_IMAGE_PATHS = "/org/freedesktop/machine1/image"


# --- looking --------------------------------------------------------------------------------


def snapshot(images: t.Sequence[Wanted]) -> Snapshot:
    """Read what the plan for these images needs to know."""
    owed = _owed()
    there = {
        name: dataclasses.replace(image, read_only=True) if "read_only" in owed[name] else image
        for name, image in _machined.images().items()
    }
    identities = {name: _provenance.identity_of(image.path) for name, image in there.items()}
    records = _records(there, identities)
    sources, problems = _look_at_sources(images, records, there)
    return Snapshot(
        version=_machined.systemd_version(),
        images=there,
        identities=identities,
        records=records,
        sources=sources,
        problems=problems,
        used_by=_used(there, owed) if _may_disturb(images, there) else {},
        limits=_limits(images, there, owed),
        btrfs=_provenance.is_btrfs(_machined.MACHINES_DIRECTORY),
        pieces={
            image.rename_from: pieces_of(image.rename_from) for image in images if image.rename_from
        },
        leftovers=_leftovers(there),
    )


def _records(
    there: t.Mapping[str, _machined.Image], identities: t.Mapping[str, str]
) -> dict[str, _provenance.Provenance]:
    found = {}
    for name, some in _provenance.records().items():
        record = _provenance.matching(some, identities[name]) if name in there else None
        if record:
            found[name] = record
    return found


def _may_disturb(images: t.Sequence[Wanted], there: t.Mapping[str, _machined.Image]) -> bool:
    """Whether a plan might do what a running machine would not bear."""
    for image in images:
        seen = there.get(image.name)
        if image.rename_from in there:
            return True
        if seen and (image.state == "absent" or image.update):
            return True
        if seen and image.read_only is not None and image.read_only != seen.read_only:
            return True
    return False


def _owed() -> t.Mapping[str, t.Mapping[str, t.Any]]:
    """What images must become, or be again, because a run was killed while it replaced them."""
    found: dict[str, t.Mapping[str, t.Any]] = collections.defaultdict(dict)
    for name, finished in _provenance.names().items():
        begun = None if finished else _provenance.begun(name)
        if begun:
            found[name] = begun.owed
    return found


def _used(
    there: t.Mapping[str, _machined.Image],
    owed: t.Optional[t.Mapping[str, t.Mapping[str, t.Any]]] = None,
) -> dict[str, str]:
    """The machines that run from images, or would if nobody had stopped them for a while."""
    by_path = {image.path: name for name, image in there.items()}
    used = {name: debt["start"] for name, debt in (owed or {}).items() if "start" in debt}
    for name, machine in _machined.machines().items():
        used[by_path.get(machine.root, name)] = name
    return used


def _limits(
    images: t.Sequence[Wanted],
    there: t.Mapping[str, _machined.Image],
    owed: t.Mapping[str, t.Mapping[str, t.Any]],
) -> dict[str, t.Optional[int]]:
    """The limits that shall be changed, and those that a replacement shall keep."""
    subvolumes = {name for name, image in there.items() if image.type == "subvolume"}
    return {
        image.name: owed[image.name].get("limit") or limit_of(image.name)
        for image in images
        if (image.limit is not None or image.update) and image.name in subvolumes
    }


def limit_of(name: str) -> t.Optional[int]:
    """The most that an image may take, or nothing when there is no limit."""
    path = _bus.object_path(_IMAGE_PATHS, name)
    found = _bus.properties(_bus.MACHINED, "Limit", path=path, interface=_IMAGE_INTERFACE)
    limit = t.cast("int", found["Limit"])
    return None if limit >= _machined.UNKNOWN else limit


def pieces_of(name: str) -> Pieces:
    return Pieces(
        enabled=os.path.lexists(wants_path(name)),
        drop_ins=os.path.isdir(drop_ins_path(name)),
        record=name in _provenance.records(),
    )


def wants_path(name: str) -> str:
    return os.path.join(MACHINES_WANTS, _machined.unit_of(name))


def drop_ins_path(name: str) -> str:
    return os.path.join(SYSTEM_DIRECTORY, f"{_machined.unit_of(name)}.d")


def _leftovers(there: t.Mapping[str, _machined.Image]) -> frozenset[str]:
    """Images whose making, replacing or removing was cut off; not those that are worked on now."""
    try:
        entries = os.listdir(_machined.MACHINES_DIRECTORY)
    except FileNotFoundError:
        entries = []
    hidden = {
        entry[len(prefix) :]
        for prefix in (_transfer.STAGING, REMOVED_PREFIX)
        for entry in entries
        if entry.startswith(prefix)
    }
    finished = _provenance.names()
    said = {name for name in finished if not finished[name] or name not in there}
    return frozenset(name for name in hidden | said if not _transfer.is_locked(name))


def _look_at_sources(
    images: t.Sequence[Wanted],
    records: t.Mapping[str, _provenance.Provenance],
    there: t.Mapping[str, _machined.Image],
) -> tuple[dict[str, _sources.Source], dict[str, str]]:
    """Look at all sources side by side; what cannot be reached is a problem, not yet an error."""
    looked = [image for image in images if image.url is not None or image.path is not None]
    sources: dict[str, _sources.Source] = {}
    problems: dict[str, str] = {}
    if not looked:
        return sources, problems
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = {pool.submit(_look, image, records.get(image.name)): image for image in looked}
        for future, image in futures.items():
            try:
                sources[image.name] = future.result()
            except Failure as failure:
                if image.name not in there or image.update:
                    raise Failure(
                        f"image {image.name}: {failure.message}", **failure.details
                    ) from None
                problems[image.name] = failure.message
    return sources, problems


def _look(image: Wanted, record: t.Optional[_provenance.Provenance]) -> _sources.Source:
    if image.url is not None:
        return _sources.of_url(image.url, image.format, image.verification, image.checksum)
    if image.upload is not None:
        return _sources.of_upload(image.path or "", image.format, image.checksum, image.upload)
    source = _sources.of_path(image.path or "", image.format, image.checksum)
    if image.digest is not None:
        return dataclasses.replace(source, kind="mkosi", digest=image.digest)
    touched = record and record.checksum and record.last_modified != source.last_modified
    if touched and source.format != "directory" and not source.checksum and source.file:
        # Another time, perhaps the same contents: only now is it worth reading all of it.
        return dataclasses.replace(source, checksum=_sources.checksum_of(source.file))
    return source


def prune_snapshot() -> _images_prune.Snapshot:
    """Read what says which images may go."""
    there = _machined.images()
    identities = {name: _provenance.identity_of(image.path) for name, image in there.items()}
    used = _used(there)
    needed = {name: f"machine {machine} runs from it" for name, machine in used.items()}
    for name in there:
        if os.path.lexists(wants_path(name)):
            needed.setdefault(name, "its machine is enabled to start at boot")
    return _images_prune.Snapshot(
        now=time.time(),
        images=there,
        hidden=_hidden(),
        ours=frozenset(_records(there, identities)),
        needed=needed,
    )


def _hidden() -> dict[str, _machined.Image]:
    if not _machined.is_installed():
        return {}
    (rows,) = _bus.call(_bus.MACHINED, "ListImages")
    found = {}
    for name, kind, read_only, created, modified, usage, _object in rows:
        if name.startswith(".") and name != ".host":
            path = _machined.image_path(name, kind)
            found[name] = _machined.Image(name, kind, read_only, created, modified, usage, path)
    return found


# --- telling --------------------------------------------------------------------------------


def told(
    image: t.Optional[_machined.Image], record: t.Optional[_provenance.Provenance]
) -> t.Optional[dict[str, t.Any]]:
    """An image as modules return it; nothing when there is none."""
    if image is None:
        return None
    return {
        **dataclasses.asdict(image),
        "provenance": _told_record(record) if record else None,
    }


def _told_record(record: _provenance.Provenance) -> dict[str, t.Any]:
    fields = dataclasses.asdict(record)
    del fields["identity"], fields["parent"], fields["owed"]
    return {**fields, "names": list(record.names)}


def tell(names: t.Sequence[str]) -> list[t.Optional[dict[str, t.Any]]]:
    """Images as they are now, in the order of the names."""
    there = _machined.images()
    return [
        told(there.get(name), _provenance.read(name, there[name].path) if name in there else None)
        for name in names
    ]


def inspect(names: t.Optional[t.Sequence[str]]) -> list[dict[str, t.Any]]:
    """All that is known of these images, or of all; names that no image has are left out."""
    there = _machined.images()
    chosen = [name for name in (sorted(there) if names is None else names) if name in there]
    identities = {name: _provenance.identity_of(image.path) for name, image in there.items()}
    records = _records(there, identities)
    used = _used(there)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        details = dict(zip(chosen, pool.map(_details, chosen)))
    return [
        {
            **(told(there[name], records.get(name)) or {}),
            **details[name],
            "machine": used.get(name),
            "enabled": os.path.lexists(wants_path(name)),
            "clones": sorted(
                other
                for other, record in records.items()
                if record.parent and record.parent == identities[name]
            ),
        }
        for name in chosen
    ]


def _details(name: str) -> dict[str, t.Any]:
    path = _bus.object_path(_IMAGE_PATHS, name)
    found = _bus.properties(_bus.MACHINED, path=path, interface=_IMAGE_INTERFACE)
    sizes = {
        ours: None if found[theirs] >= _machined.UNKNOWN else found[theirs]
        for ours, theirs in (
            ("usage", "Usage"),
            ("limit", "Limit"),
            ("usage_exclusive", "UsageExclusive"),
            ("limit_exclusive", "LimitExclusive"),
        )
    }
    return {**sizes, "os": _os_release(name)}


def _os_release(name: str) -> dict[str, str]:
    """What the image says it is; nothing when it does not say, or cannot be looked into."""
    try:
        (fields,) = _bus.call(_bus.MACHINED, "GetImageOSRelease", "s", name, timeout=30)
    except Failure:
        return {}
    return t.cast("dict[str, str]", fields)
