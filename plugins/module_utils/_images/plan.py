# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is to be done so that the images of a host are as they are wanted.

Private to the collection. Pure: from what was seen and what is wanted to a plan.
"""

from __future__ import annotations

import typing as t

from .._core.plan import Failure, Plan, Step, ordered
from .._systemd import image_classes, machined
from .._systemd.image_classes import MACHINE
from . import formats
from .drift import drift
from .model import Pieces, Snapshot, Source
from .wanted import NO_LIMIT, Wanted, check_all


def plan(seen: Snapshot, images: t.Sequence[Wanted], *, expected: t.Collection[str] = ()) -> Plan:
    """What to do, in an order in which a clone comes after its parent.

    O(expected) are images that others make before the plan is carried out.
    """
    check_all(images)
    steps: list[Step] = []
    renewed = set(expected).difference(seen.images)
    for image in _parents_first(images):
        steps += _sweep(image.key, seen)
        if image.state == "absent":
            steps += _absent(image, seen, images)
            continue
        own = _present(image, seen, renewed)
        if any(step.verb in _RENEWING for step in own):
            renewed.add(image.key)
        steps += own
    return ordered(steps)


_RENEWING = ("pull image", "import image", "clone image", "replace image", "rename image")


def _parents_first(images: t.Sequence[Wanted]) -> list[Wanted]:
    waiting = {image.key: image for image in images}
    ready: list[Wanted] = []
    while waiting:
        free = [image for image in waiting.values() if image.parent not in waiting]
        if not free:
            raise Failure(f"images {', '.join(waiting)} are cloned from each other")
        ready += free
        for image in free:
            del waiting[image.key]
    return ready


def _sweep(key: str, seen: Snapshot) -> list[Step]:
    if key not in seen.leftovers:
        return []
    return [Step("clear leftovers of image", key, before={"leftovers": "a cut-off run's"})]


def _after_sweep(key: str) -> frozenset[str]:
    return frozenset({f"clear leftovers of image {key}"})


def _absent(image: Wanted, seen: Snapshot, images: t.Sequence[Wanted]) -> list[Step]:
    there = seen.images.get(image.key)
    if there is None:
        return []
    _refuse_elsewhere(image, there)
    _refuse_when_used(image.key, seen, "removed")
    before = {"state": "present", "type": there.type}
    clones = (other.key for other in images if other.parent == image.key)
    return [
        Step(
            "remove image",
            image.key,
            {"type": there.type, "identity": seen.identities.get(image.key, "")},
            before=before,
            after={"state": "absent"},
            needs=_after_sweep(image.key).union(*(_parent_steps(clone) for clone in clones)),
        )
    ]


def _present(image: Wanted, seen: Snapshot, renewed: t.AbstractSet[str]) -> list[Step]:
    _refuse_too_old(image, seen)
    there = seen.images.get(image.key)
    if there is None:
        steps = [_make(image, seen, renewed)]
    elif image.rename_from is not None:
        steps = _finish_rename(image, seen)
    elif image.update and drift(image, seen, renewed):
        return [_replace(image, seen, there, renewed)]
    else:
        steps = []
    return steps + _properties(image, seen, there, steps)


def _make(image: Wanted, seen: Snapshot, renewed: t.AbstractSet[str]) -> Step:
    if image.rename_from is not None:
        return _rename(image, image.rename_from, seen)
    if image.clone_from is not None:
        return _clone(image, seen, renewed)
    if image.url is None and image.path is None:
        raise Failure(
            f"image {image.key} does not exist on this host, and no source is given. Expected "
            "one of url, path, clone_from or rename_from"
        )
    source = _readable(image, seen)
    return Step(
        "pull image" if source.kind == "url" else "import image",
        image.key,
        {
            "source": source,
            "version": seen.version,
            "timeout": image.timeout,
            "least_rate": image.least_rate,
        },
        before={"state": "absent"},
        after={"state": "present", **_shown(source)},
        needs=_after_sweep(image.key),
    )


def _readable(image: Wanted, seen: Snapshot) -> Source:
    problem = seen.problems.get(image.key)
    if problem:
        raise Failure(f"image {image.key}: {problem}")
    source = seen.sources[image.key]
    formats.check_readable(source, seen.version, seen.zstd)
    return source


def _shown(source: Source) -> dict[str, t.Any]:
    shown = {
        "source": source.location,
        "format": source.format,
        "compression": source.compression,
        "checksum": source.checksum,
        "verified": source.verified,
        "integrity": source.integrity,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _clone(image: Wanted, seen: Snapshot, renewed: t.AbstractSet[str]) -> Step:
    parent, read_only = _parent(image, seen, renewed), bool(image.read_only)
    return Step(
        "clone image",
        image.key,
        {"parent": parent, "read_only": read_only},
        before={"state": "absent"},
        after={"state": "present", "source": parent, "read_only": read_only},
        needs=_parent_steps(parent) | _after_sweep(image.key),
    )


def _parent(image: Wanted, seen: Snapshot, renewed: t.AbstractSet[str]) -> str:
    """The key of the image to clone, which must be there by then."""
    parent = image.parent or ""
    if parent not in seen.images and parent not in renewed:
        raise Failure(
            f"image {image.key}: there is no image {image.clone_from} to clone. "
            f"{_known(image, seen)}"
        )
    return parent


def _known(image: Wanted, seen: Snapshot) -> str:
    """What the user may have meant."""
    names = (there.name for there in seen.images.values() if there.image_class == image.kind.name)
    which = "Images" if image.kind is MACHINE else f"Images of class {image.kind.name}"
    return f"{which} on this host: {', '.join(sorted(names)) or 'none'}"


def _parent_steps(parent: str) -> frozenset[str]:
    verbs = ("pull", "import", "clone", "rename", "replace")
    return frozenset(f"{verb} image {parent}" for verb in verbs)


def _replace(
    image: Wanted, seen: Snapshot, there: machined.Image, renewed: t.AbstractSet[str]
) -> Step:
    reason = drift(image, seen, renewed) or ""
    # What is built has no such word: its force is about building.
    built = image.digest is not None
    if image.key not in seen.records and not image.force:
        way_out = (
            "Remove it, or take another name" if built else "force: true replaces it all the same"
        )
        raise Failure(
            f"image {image.key}: {reason}, so nobody can say whether it is worth keeping. {way_out}"
        )
    _refuse_elsewhere(image, there)
    forced = None if built else image.kind.forced
    if not (image.force and image.kind.forced):
        way_out = f"; or force: true {forced}" if forced else ""
        _refuse_when_used(image.key, seen, "replaced", way_out)
    owed = _kept(image, seen, there)
    arguments: dict[str, t.Any] = {
        "version": seen.version,
        "timeout": image.timeout,
        "least_rate": image.least_rate,
        "old": there.path,
        "identity": seen.identities.get(image.key, ""),
        "owed": {**owed, "start": seen.used_by[image.key]} if image.key in seen.used_by else owed,
    }
    if image.clone_from is not None:
        arguments["parent"] = _parent(image, seen, renewed)
        after: dict[str, t.Any] = {"source": image.clone_from}
    else:
        arguments["source"] = _readable(image, seen)
        after = _shown(arguments["source"])
    record = seen.records.get(image.key)
    origin = {"source": record.source, "checksum": record.checksum} if record else {}
    was = {"limit": _size_shown(seen.limits.get(image.key)), "read_only": there.read_only}
    return Step(
        "replace image",
        image.key,
        arguments,
        before={**origin, **{what: was[what] for what in owed}},
        after={**after, **owed},
        needs=_after_sweep(image.key)
        | (_parent_steps(image.parent) if image.parent else frozenset()),
    )


def _kept(image: Wanted, seen: Snapshot, there: machined.Image) -> dict[str, t.Any]:
    """What the new image must be because it is wanted so, or because the old one is."""
    limit = seen.limits.get(image.key) if image.limit is None else image.limit
    kept: dict[str, t.Any] = {}
    if limit is not None and limit != NO_LIMIT:
        _refuse_limit(image, seen, new=True)
        kept["limit"] = limit
    if there.read_only if image.read_only is None else image.read_only:
        kept["read_only"] = True
    return kept


# --- renaming -------------------------------------------------------------------------------


def _rename(image: Wanted, old: str, seen: Snapshot) -> Step:
    if old not in seen.images:
        raise Failure(
            f"image {image.name}: neither it nor {old}, which it shall be renamed from, exists. "
            f"{_known(image, seen)}"
        )
    _refuse_when_used(old, seen, "renamed")
    pieces = seen.pieces.get(old, Pieces())
    # A machine's name may be less than an image's; whoever is enabled is a machine.
    if pieces.enabled:
        machined.check_name(image.name)
    return Step(
        "rename image",
        image.name,
        {"old": old, "pieces": pieces},
        before={"name": old},
        after={"name": image.name},
        needs=_after_sweep(image.name),
    )


def _finish_rename(image: Wanted, seen: Snapshot) -> list[Step]:
    """What a killed run has not taken along yet."""
    old = image.rename_from or ""
    pieces = seen.pieces.get(old, Pieces())
    if old in seen.images or not pieces.any():
        return []
    return [
        Step(
            "finish renaming image",
            image.name,
            {"old": old, "pieces": pieces},
            before=dict.fromkeys(pieces.names(), old),
            after=dict.fromkeys(pieces.names(), image.name),
        )
    ]


# --- properties -----------------------------------------------------------------------------


def _properties(
    image: Wanted,
    seen: Snapshot,
    there: t.Optional[machined.Image],
    steps: t.Sequence[Step],
) -> list[Step]:
    before = frozenset(step.identity for step in steps)
    made = any(step.verb != "finish renaming image" for step in steps)
    limit = _limit(image, seen, made, before)
    # A limit cannot be set on what is read-only, so it comes first.
    before |= frozenset(step.identity for step in limit)
    return limit + _read_only(image, seen, there, made, before)


def _limit(image: Wanted, seen: Snapshot, made: bool, before: frozenset[str]) -> list[Step]:
    if image.limit is None:
        return []
    now = None if made else seen.limits.get(image.key)
    if (NO_LIMIT if now is None else now) == image.limit:
        return []
    _refuse_limit(image, seen, new=made)
    return [
        Step(
            "limit image",
            image.key,
            {"limit": image.limit},
            before={"limit": _size_shown(now)},
            after={"limit": _size_shown(image.limit)},
            needs=before,
        )
    ]


def _refuse_limit(image: Wanted, seen: Snapshot, *, new: bool) -> None:
    kind = _type_of_new(image, seen) if new else seen.images[image.key].type
    if kind != "subvolume":
        raise Failure(
            f"image {image.key}: a limit needs a subvolume of btrfs, but its type "
            f"{'would be' if new else 'is'} {kind}. Say limit: none, or give it a tar or a "
            "directory on a /var/lib/machines that is btrfs"
        )


def _type_of_new(image: Wanted, seen: Snapshot) -> str:
    """What an image will be; of one whose origin is made by the same plan, the usual."""
    source = seen.sources.get(image.key)
    origin = seen.images.get(image.rename_from or image.parent or "")
    if image.rename_from is not None and origin:
        return origin.type
    if (source and source.format == "raw") or (origin and origin.type == "raw"):
        return "raw"
    return "subvolume" if seen.btrfs else "directory"


def _size_shown(size: t.Optional[int]) -> t.Union[int, str]:
    return "none" if size is None or size == NO_LIMIT else size


def _read_only(
    image: Wanted,
    seen: Snapshot,
    there: t.Optional[machined.Image],
    made: bool,
    before: frozenset[str],
) -> list[Step]:
    origin = there or seen.images.get(image.rename_from or "")
    now = origin.read_only if origin else False
    if image.read_only in (None, now):
        return []
    if image.clone_from is not None and there is None:
        return []  # the clone is made as it shall be
    if there and not made:
        done = "made read-only" if image.read_only else "made writable"
        _refuse_elsewhere(image, there)
        _refuse_when_used(image.key, seen, done)
    return [
        Step(
            "make read-only image" if image.read_only else "make writable image",
            image.key,
            before={"read_only": now},
            after={"read_only": image.read_only},
            needs=before,
        )
    ]


# --- what is refused ------------------------------------------------------------------------


def _refuse_too_old(image: Wanted, seen: Snapshot) -> None:
    kind = image.kind
    if seen.version < kind.since:
        raise Failure(
            f"image {image.key}: images of class {kind.name} need systemd {kind.since} or later, "
            f"and this host has {seen.version}. Nothing on it would look into {kind.root}"
        )


def _refuse_elsewhere(image: Wanted, there: machined.Image) -> None:
    """What machined does not do for us is done in one directory alone."""
    directory = there.path.rpartition("/")[0]
    if image.kind is not MACHINE and directory != image.kind.root:
        raise Failure(
            f"image {image.key} is {there.path}, which is not of this collection's making. "
            f"Expected it in {image.kind.root}; change it, or take it away, by hand"
        )


def _refuse_when_used(key: str, seen: Snapshot, done: str, way_out: str = "") -> None:
    user = seen.used_by.get(key)
    if user is not None:
        kind = image_classes.split(key)[0]
        raise Failure(
            f"image {key} cannot be {done} while {kind.use.format(user=user)}. "
            f"{kind.way_out}{way_out}"
        )


# --- what to tell ---------------------------------------------------------------------------


def to_upload(steps: Plan) -> list[str]:
    """The images whose files are still on the controller, but are needed now."""
    sources = ((step.subject, step.arguments.get("source")) for step in steps)
    return [
        name
        for name, source in sources
        if isinstance(source, Source) and source.kind == "upload" and source.file is None
    ]


def _trusted(source: Source) -> str:
    """Who decides what an image is that nobody has verified."""
    if source.integrity:
        return (
            "has the checksum that its server says, but that came over plain http: it shows "
            "damage and not tampering, so the image is not called verified. Use https, verify: "
            "signature, or checksum: sha256:…"
        )
    return (
        "is not verified; whoever serves it decides what runs on this host. Use verify or checksum"
    )


def warnings(seen: Snapshot, images: t.Sequence[Wanted], steps: Plan) -> list[str]:
    """What the user should know beside what changed."""
    said = []
    for step in steps:
        source = step.arguments.get("source")
        if not isinstance(source, Source) or source.kind != "url":
            continue
        if source.verified == "none" and source.file is None:
            said.append(f"image {step.subject}: {source.location} {_trusted(source)}")
    changed = {step.subject for step in steps}
    for image in images:
        problem = seen.problems.get(image.key)
        if problem and image.key in seen.images:
            said.append(f"image {image.key} is there, but its source: {problem}")
        # A clone goes its own way; that its parent does too is told, but not at each run.
        told = image.key in seen.images and image.clone_from is None
        reason = drift(image, seen) if told else None
        if reason and image.key not in changed and image.key in seen.records:
            said.append(f"image {image.key} was left as it is: {reason}. update: true replaces it")
    return said
