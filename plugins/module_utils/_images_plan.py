# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is to be done so that the images of a host are as they are wanted.

Private to the collection. Pure: from what was seen and what is wanted to a plan. C(_images)
looks and acts.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils import (
    _machined,
    _sources,
    _verify,
)
from ansible_collections.nspawn.machined.plugins.module_utils._plan import (
    Failure,
    Plan,
    Step,
    ordered,
)
from ansible_collections.nspawn.machined.plugins.module_utils._provenance import Provenance

DEFAULT_TIMEOUT = 1800
VERIFICATIONS = ("signature", "checksum", "none")
FORMATS = ("auto", "tar", "raw", "directory")
SOURCES = ("url", "path", "clone_from", "rename_from")
NO_LIMIT = _machined.UNKNOWN

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}


# --- what is wanted -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One image as it shall be. Nothing where it shall be left as it is."""

    name: str
    state: str = "present"
    url: t.Optional[str] = None
    path: t.Optional[str] = None
    clone_from: t.Optional[str] = None
    rename_from: t.Optional[str] = None
    format: str = "auto"
    verify: t.Optional[str] = None
    checksum: t.Optional[str] = None
    read_only: t.Optional[bool] = None
    limit: t.Optional[int] = None
    update: bool = False
    force: bool = False
    timeout: float = DEFAULT_TIMEOUT
    digest: t.Optional[str] = None
    """What a build on this host was made from; then the path is the build's output."""
    upload: t.Optional[t.Mapping[str, t.Any]] = None
    """O(path) is on the controller: what it is there, and where it was uploaded to."""

    @property
    def verification(self) -> str:
        """A checksum that is given says more than one that is fetched."""
        return self.verify or ("checksum" if self.checksum else "signature")


def wanted(arguments: t.Mapping[str, t.Any]) -> Wanted:
    """One image from the arguments of the module C(image); wrong ones are refused here."""
    known = {field.name for field in dataclasses.fields(Wanted)}
    given = {key: value for key, value in arguments.items() if key in known and value is not None}
    if "limit" in given:
        given["limit"] = size_of(str(given["limit"]))
    if "checksum" in given:
        given["checksum"] = _verify.check_literal(given["checksum"])
    image = Wanted(**given)
    check(image)
    return image


def check(image: Wanted) -> None:
    """Refuse what cannot be meant."""
    _machined.check_image_name(image.name)
    named = [source for source in SOURCES if getattr(image, source) is not None]
    if len(named) > 1:
        raise Failure(f"image {image.name}: {' and '.join(named)} are given; expected one source")
    if image.state == "absent" and named:
        raise Failure(f"image {image.name}: state absent takes no source, but {named[0]} is given")
    if image.url is not None:
        _sources.check_url(image.url)
    if image.path is not None and not image.path.startswith("/"):
        raise Failure(f"image {image.name}: path {image.path!r} is not absolute")
    if image.checksum and not (image.url or image.path):
        raise Failure(f"image {image.name}: checksum belongs to url or path")
    if image.verify and not image.url:
        raise Failure(f"image {image.name}: verify belongs to url; a path takes checksum")
    if image.verify == "none" and image.checksum:
        raise Failure(f"image {image.name}: verify none contradicts checksum; leave one out")
    if image.url is not None and image.format == "directory":
        raise Failure(f"image {image.name}: a URL gives a tar or a raw image, no directory")
    if image.timeout <= 0:
        raise Failure(f"image {image.name}: timeout {image.timeout:g} is not above 0")
    for other in (image.clone_from, image.rename_from):
        if other is not None:
            _machined.check_image_name(other)
            if other == image.name:
                raise Failure(f"image {image.name}: its source is itself")


def check_all(images: t.Sequence[Wanted]) -> None:
    """Refuse images that contradict each other."""
    names = [image.name for image in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Failure(f"images: {', '.join(twice)} stands more than once; expected each name once")
    for image in images:
        if image.rename_from in names:
            raise Failure(
                f"image {image.name} is renamed from {image.rename_from}, which is wanted under "
                "that name as well. Do one of them in a call of its own"
            )


def size_of(text: str) -> int:
    """A size as systemd spells it, with K, M, G, T or P; V(none) is no limit."""
    if text == "none":
        return NO_LIMIT
    number, unit = text.rstrip("KMGTP"), text[len(text.rstrip("KMGTP")) :]
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size <= 0:
        raise Failure(f"limit {text!r}: expected a size such as 10G (K, M, G, T, P), or none")
    return size


# --- what was seen --------------------------------------------------------------------------


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
    """The host as it is, as far as the wanted images are concerned."""

    version: int
    images: t.Mapping[str, _machined.Image]
    identities: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    records: t.Mapping[str, Provenance] = dataclasses.field(default_factory=dict)
    """Only those that speak for the image that is there."""
    sources: t.Mapping[str, _sources.Source] = dataclasses.field(default_factory=dict)
    problems: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why a source could not be looked at."""
    used_by: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The machine that runs from an image."""
    limits: t.Mapping[str, t.Optional[int]] = dataclasses.field(default_factory=dict)
    pieces: t.Mapping[str, Pieces] = dataclasses.field(default_factory=dict)
    """Of images that shall be renamed, by their old names."""
    btrfs: bool = True
    """Images are subvolumes, which alone can be limited."""
    leftovers: frozenset[str] = frozenset()
    """Names of images that a killed run was making or removing."""


# --- drift ----------------------------------------------------------------------------------


def drift(
    image: Wanted, seen: Snapshot, renewed: t.AbstractSet[str] = frozenset()
) -> t.Optional[str]:
    """Why an image that is there is not what its source would give now; nothing when it is.

    O(renewed) are the images that the same plan makes anew.
    """
    if image.clone_from is None and image.url is None and image.path is None:
        return None
    record = seen.records.get(image.name)
    if record is None:
        return "nothing is known of where it came from"
    if image.clone_from is not None:
        if image.clone_from in renewed:
            return f"{image.clone_from}, which it was cloned from, is replaced"
        return _drift_of_clone(image.clone_from, record, seen)
    source = seen.sources.get(image.name)
    if source is None:
        return None  # it could not be looked at; C(problems) says why
    if source.checksum and source.checksum == record.checksum:
        return None  # wherever it lies now
    if (record.kind, record.source) != (source.kind, source.location):
        return f"it came from {record.source} ({record.kind})"
    return _drift_of_source(source, record)


def _drift_of_clone(parent: str, record: Provenance, seen: Snapshot) -> t.Optional[str]:
    if record.kind != "clone":
        return f"it came from {record.source} ({record.kind})"
    identity = seen.identities.get(parent)
    if identity is None or record.parent == identity:
        return None
    if record.source != parent:
        return f"it was cloned from {record.source}"
    return f"{parent} has been replaced since it was cloned"


def _drift_of_source(source: _sources.Source, record: Provenance) -> t.Optional[str]:
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


# --- the plan -------------------------------------------------------------------------------


def plan(seen: Snapshot, images: t.Sequence[Wanted]) -> Plan:
    """What to do, in an order in which a clone comes after its parent."""
    check_all(images)
    steps: list[Step] = []
    renewed: set[str] = set()
    for image in _parents_first(images):
        steps += _sweep(image.name, seen)
        if image.state == "absent":
            steps += _absent(image, seen, images)
            continue
        own = _present(image, seen, renewed)
        if any(step.verb in _RENEWING for step in own):
            renewed.add(image.name)
        steps += own
    return ordered(steps)


_RENEWING = ("pull image", "import image", "clone image", "replace image", "rename image")


def _parents_first(images: t.Sequence[Wanted]) -> list[Wanted]:
    waiting = {image.name: image for image in images}
    ready: list[Wanted] = []
    while waiting:
        free = [image for image in waiting.values() if image.clone_from not in waiting]
        if not free:
            raise Failure(f"images {', '.join(waiting)} are cloned from each other")
        ready += free
        for image in free:
            del waiting[image.name]
    return ready


def _sweep(name: str, seen: Snapshot) -> list[Step]:
    return [sweep_step(name)] if name in seen.leftovers else []


def sweep_step(name: str) -> Step:
    return Step("clear leftovers of image", name, before={"leftovers": "a cut-off run's"})


def _after_sweep(name: str) -> frozenset[str]:
    return frozenset({f"clear leftovers of image {name}"})


def _absent(image: Wanted, seen: Snapshot, images: t.Sequence[Wanted]) -> list[Step]:
    there = seen.images.get(image.name)
    if there is None:
        return []
    _refuse_when_used(image.name, seen, "removed")
    before = {"state": "present", "type": there.type}
    clones = (other.name for other in images if other.clone_from == image.name)
    return [
        Step(
            "remove image",
            image.name,
            {"type": there.type},
            before=before,
            after={"state": "absent"},
            needs=_after_sweep(image.name).union(*(_parent_steps(clone) for clone in clones)),
        )
    ]


def _present(image: Wanted, seen: Snapshot, renewed: t.AbstractSet[str]) -> list[Step]:
    there = seen.images.get(image.name)
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
        return _clone(image, image.clone_from, seen, renewed)
    if image.url is None and image.path is None:
        raise Failure(
            f"image {image.name} does not exist on this host, and no source is given. Expected "
            "one of url, path, clone_from or rename_from"
        )
    source = _readable(image, seen)
    return Step(
        "pull image" if source.kind == "url" else "import image",
        image.name,
        {"source": source, "version": seen.version, "timeout": image.timeout},
        before={"state": "absent"},
        after={"state": "present", **_shown(source)},
        needs=_after_sweep(image.name),
    )


def _readable(image: Wanted, seen: Snapshot) -> _sources.Source:
    problem = seen.problems.get(image.name)
    if problem:
        raise Failure(f"image {image.name}: {problem}")
    source = seen.sources[image.name]
    _sources.check_readable(source, seen.version)
    return source


def _shown(source: _sources.Source) -> dict[str, t.Any]:
    shown = {
        "source": source.location,
        "format": source.format,
        "compression": source.compression,
        "checksum": source.checksum,
        "verified": source.verified,
    }
    return {key: value for key, value in shown.items() if value is not None}


def clone_step(
    parent: str,
    name: str,
    *,
    read_only: bool = False,
    needs: t.AbstractSet[str] = frozenset(),
) -> Step:
    """The step that clones an image, for other plans as well."""
    return Step(
        "clone image",
        name,
        {"parent": parent, "read_only": read_only},
        before={"state": "absent"},
        after={"state": "present", "source": parent, "read_only": read_only},
        needs=frozenset(needs) | _after_sweep(name),
    )


def _clone(image: Wanted, parent: str, seen: Snapshot, renewed: t.AbstractSet[str]) -> Step:
    if parent not in seen.images and parent not in renewed:
        raise Failure(_no_parent(image.name, parent, seen))
    return clone_step(
        parent, image.name, read_only=bool(image.read_only), needs=_parent_steps(parent)
    )


def _parent_steps(parent: str) -> frozenset[str]:
    verbs = ("pull", "import", "clone", "rename", "replace")
    return frozenset(f"{verb} image {parent}" for verb in verbs)


def _no_parent(name: str, parent: str, seen: Snapshot) -> str:
    known = ", ".join(sorted(seen.images)) or "none"
    return f"image {name}: there is no image {parent} to clone. Images on this host: {known}"


def _replace(
    image: Wanted, seen: Snapshot, there: _machined.Image, renewed: t.AbstractSet[str]
) -> Step:
    reason = drift(image, seen, renewed) or ""
    # What is built has no such word: its force is about building.
    built = image.digest is not None
    if image.name not in seen.records and not image.force:
        way_out = (
            "Remove it, or take another name" if built else "force: true replaces it all the same"
        )
        raise Failure(
            f"image {image.name}: {reason}, so nobody can say whether it is worth keeping. "
            f"{way_out}"
        )
    if not image.force:
        way_out = "" if built else "; or force: true stops it meanwhile"
        _refuse_when_used(image.name, seen, "replaced", way_out)
    owed = _kept(image, seen, there)
    arguments: dict[str, t.Any] = {
        "version": seen.version,
        "timeout": image.timeout,
        "old": there.path,
        "owed": {**owed, "start": seen.used_by[image.name]} if image.name in seen.used_by else owed,
    }
    if image.clone_from is not None:
        if image.clone_from not in seen.images and image.clone_from not in renewed:
            raise Failure(_no_parent(image.name, image.clone_from, seen))
        arguments["parent"] = image.clone_from
        after: dict[str, t.Any] = {"source": image.clone_from}
    else:
        arguments["source"] = _readable(image, seen)
        after = _shown(arguments["source"])
    record = seen.records.get(image.name)
    origin = {"source": record.source, "checksum": record.checksum} if record else {}
    was = {"limit": _size_shown(seen.limits.get(image.name)), "read_only": there.read_only}
    return Step(
        "replace image",
        image.name,
        arguments,
        before={**origin, **{what: was[what] for what in owed}},
        after={**after, **owed},
        needs=_after_sweep(image.name)
        | (_parent_steps(image.clone_from) if image.clone_from else frozenset()),
    )


def _kept(image: Wanted, seen: Snapshot, there: _machined.Image) -> dict[str, t.Any]:
    """What the new image must be because it is wanted so, or because the old one is."""
    limit = seen.limits.get(image.name) if image.limit is None else image.limit
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
            f"Images on this host: {', '.join(sorted(seen.images)) or 'none'}"
        )
    _refuse_when_used(old, seen, "renamed")
    pieces = seen.pieces.get(old, Pieces())
    # A machine's name may be less than an image's; whoever is enabled is a machine.
    if pieces.enabled:
        _machined.check_name(image.name)
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
    there: t.Optional[_machined.Image],
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
    now = None if made else seen.limits.get(image.name)
    if (NO_LIMIT if now is None else now) == image.limit:
        return []
    _refuse_limit(image, seen, new=made)
    return [
        Step(
            "limit image",
            image.name,
            {"limit": image.limit},
            before={"limit": _size_shown(now)},
            after={"limit": _size_shown(image.limit)},
            needs=before,
        )
    ]


def _refuse_limit(image: Wanted, seen: Snapshot, *, new: bool) -> None:
    kind = _type_of_new(image, seen) if new else seen.images[image.name].type
    if kind != "subvolume":
        raise Failure(
            f"image {image.name}: a limit needs a subvolume of btrfs, but its type "
            f"{'would be' if new else 'is'} {kind}. Say limit: none, or give it a tar or a "
            "directory on a /var/lib/machines that is btrfs"
        )


def _type_of_new(image: Wanted, seen: Snapshot) -> str:
    """What an image will be; of one whose origin is made by the same plan, the usual."""
    source = seen.sources.get(image.name)
    origin = seen.images.get(image.rename_from or image.clone_from or "")
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
    there: t.Optional[_machined.Image],
    made: bool,
    before: frozenset[str],
) -> list[Step]:
    origin = there or seen.images.get(image.rename_from or "")
    now = origin.read_only if origin else False
    if image.read_only in (None, now):
        return []
    if image.clone_from is not None and there is None:
        return []  # machined makes the clone as it shall be
    if not made:
        done = "made read-only" if image.read_only else "made writable"
        _refuse_when_used(image.name, seen, done)
    return [
        Step(
            "make read-only image" if image.read_only else "make writable image",
            image.name,
            before={"read_only": now},
            after={"read_only": image.read_only},
            needs=before,
        )
    ]


def _refuse_when_used(name: str, seen: Snapshot, done: str, way_out: str = "") -> None:
    machine = seen.used_by.get(name)
    if machine is not None:
        raise Failure(
            f"image {name} cannot be {done} while machine {machine} runs from it. Stop the machine "
            f"first (nspawn.machined.machine with state: stopped){way_out}"
        )


# --- what to tell ---------------------------------------------------------------------------


def to_upload(steps: Plan) -> list[str]:
    """The images whose files are still on the controller, but are needed now."""
    sources = ((step.subject, step.arguments.get("source")) for step in steps)
    return [
        name
        for name, source in sources
        if isinstance(source, _sources.Source) and source.kind == "upload" and source.file is None
    ]


def warnings(seen: Snapshot, images: t.Sequence[Wanted], steps: Plan) -> list[str]:
    """What the user should know beside what changed."""
    said = []
    for step in steps:
        source = step.arguments.get("source")
        if not isinstance(source, _sources.Source) or source.kind != "url":
            continue
        if source.verified == "none" and source.file is None:
            said.append(
                f"image {step.subject}: {source.location} is not verified; whoever serves it "
                "decides what runs on this host. Use verify or checksum"
            )
    changed = {step.subject for step in steps}
    for image in images:
        problem = seen.problems.get(image.name)
        if problem and image.name in seen.images:
            said.append(f"image {image.name} is there, but its source: {problem}")
        # A clone goes its own way; that its parent does too is told, but not at each run.
        told = image.name in seen.images and image.clone_from is None
        reason = drift(image, seen) if told else None
        if reason and image.name not in changed and image.name in seen.records:
            said.append(f"image {image.name} was left as it is: {reason}. update: true replaces it")
    return said
