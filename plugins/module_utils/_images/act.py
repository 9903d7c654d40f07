# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Makes, changes and removes images: how each step of a plan is carried out.

Private to the collection. Each works under a lock of its image, which its run may have had since
its look, and can be killed at any moment: what it had begun is then finished or taken back by the
step C(clear leftovers).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import typing as t

from .._core import locks, run, trees
from .._core.plan import Failure, Step, Verbs
from .._systemd import image_classes, machined
from .._systemd.image_classes import MACHINE
from . import clones, keepers, provenance, seen, staging, transfer
from .identity import identity_of
from .keepers import call
from .model import Pieces, Provenance, Source

# While btrfs counts for the first time, machined reports no limits.
LIMIT_PATIENCE = 60


# --- through machined -----------------------------------------------------------------------


def clone(
    parent: str,
    name: str,
    *,
    read_only: bool = False,
    prepare: t.Optional[t.Callable[[str, str], None]] = None,
) -> None:
    """Clone an image through machined, which copies its settings along: whole or not at all.

    O(prepare) gets the clone's path and identity before it has its name.
    """
    source = machined.image_path(parent)
    if not os.path.lexists(source):
        source = machined.image_path(parent, "raw")
    record = Provenance(
        kind="clone", source=parent, imported=time.time(), parent=identity_of(source)
    )
    parents = [locks.image(parent)]
    with locks.held([locks.image(name)], f"what clones image {name}", beside=parents) as hold:
        cut_off = provenance.begun(name) is not None
        provenance.begin(name, record)
        try:
            with clones.made(parent, name, hold.descriptors, sweep_first=cut_off) as made:
                record = dataclasses.replace(
                    record,
                    identity=identity_of(made),
                    owed={"read_only": True} if read_only else {},
                )
                if identity_of(source) != record.parent:
                    raise Failure(
                        f"image {name}: {parent} was replaced while it was cloned; nothing was "
                        "made of it. Run this again to clone the new one"
                    )
                provenance.begin(name, record)
                if prepare:
                    prepare(made, record.identity)
                clones.publish(made, name)
        except Exception:
            provenance.take_back(name)
            raise
        _finish(name, record)


def remove(key: str, identity: str) -> None:
    """Remove an image with its settings and the record of where it came from.

    O(identity) is what the plan saw: only if it is still that one.
    """
    kind, name = image_classes.split(key)
    with locks.held([locks.image(key)], f"what removes image {key}"):
        refuse_another(key, identity, _path_of(key))
        keepers.of(kind).remove(name)
        provenance.forget(key)


def _path_of(key: str) -> str:
    """Where an image lies that machined, or systemd, would find by this name."""
    kind, name = image_classes.split(key)
    files = (name, f"{name}.raw")
    paths = [os.path.join(directory, file) for directory in kind.directories for file in files]
    return next(filter(os.path.lexists, paths), "")


def refuse_another(key: str, identity: str, path: str) -> None:
    """What has taken the place of an image since it was seen is not for us to remove."""
    if not identity or identity_of(path) != identity:
        raise Failure(
            f"image {key}: it is not the one that was there when this run began"
            f" ({identity or 'which could not be looked at'}); nothing of it was removed. Run this"
            " again if the new one is to go as well"
        )


def rename(old: str, new: str) -> None:
    """Rename an image; its settings, drop-ins, enablement and record go along."""
    both = map(locks.image, (old, new))
    with locks.held(both, f"what renames image {old}"):
        pieces = seen.pieces_of(old)
        call("RenameImage", "ss", old, new)
        _take_along(old, new, pieces)


def _take_along(old: str, new: str, pieces: Pieces) -> None:
    """Each part is there before the old one goes, so that a kill can be made good."""
    if pieces.drop_ins:
        _move_drop_ins(seen.drop_ins_path(old), seen.drop_ins_path(new))
    if pieces.enabled:
        for unit, verb in ((new, "enable"), (old, "disable")):
            run.run(["systemctl", "--no-reload", verb, "--", machined.unit_of(unit)])
    if pieces.drop_ins or pieces.enabled:
        run.run(["systemctl", "daemon-reload"])
    if pieces.record:
        provenance.rename(old, new)


def _move_drop_ins(old: str, new: str) -> None:
    os.makedirs(new, mode=0o755, exist_ok=True)
    for name in sorted(os.listdir(old)):
        os.rename(os.path.join(old, name), os.path.join(new, name))
    os.rmdir(old)


def _set_read_only(key: str, wanted: bool) -> None:
    _keeper(key).set_read_only(image_classes.split(key)[1], wanted)


def _set_limit(name: str, limit: int) -> None:
    """Set a limit through machined, which does not turn quotas on for it."""
    trees.enable_quotas(machined.MACHINES_DIRECTORY)
    call("SetImageLimit", "st", name, str(limit))
    # What was not committed yet would be read as no limit.
    trees.sync_btrfs(machined.MACHINES_DIRECTORY)
    end = time.monotonic() + LIMIT_PATIENCE
    while (found := keepers.limit_of(name)) != (None if limit == machined.UNKNOWN else limit):
        if time.monotonic() > end:
            raise Failure(f"image {name}: machined was to limit it to {limit} bytes, not {found}")
        time.sleep(0.1)


# --- what a killed run left -----------------------------------------------------------------


def clear(key: str) -> None:
    """Remove what a killed run left of an image that it was making or removing."""
    kind, name = image_classes.split(key)
    with locks.held([locks.image(key)], f"what clears away after image {key}"):
        staging.sweep(key, kind.root)
        keepers.of(kind).clear(name)
        if kind is MACHINE:
            clones.sweep(name)
        _settle(key, provenance.begun(key))


def _settle(key: str, begun: t.Optional[Provenance]) -> None:
    """Finish what a killed run had begun, as far as its image is there."""
    image = seen.find(key)
    record = provenance.read(key, image.path) if image else None
    owed = begun.owed if begun else {}
    try:
        if image is None:
            provenance.forget(key)
        elif record and (record.owed or "read_only" not in owed):
            _finish(key, record)
        else:
            if "read_only" in owed and begun and _is_replaced(begun, image.path):
                _set_read_only(key, True)  # the old one, made writable to be replaced
            provenance.take_back(key)
    finally:
        if "start" in owed:
            _keeper(key).start(owed["start"])


def _is_replaced(begun: Provenance, path: str) -> bool:
    """Whether an image is the one that was to be replaced, and not somebody else's."""
    return bool(begun.replaces) and begun.replaces == identity_of(path)


def _finish(key: str, record: Provenance) -> None:
    """Give an image what it is owed, and say that it is done."""
    if "limit" in record.owed:
        _set_limit(key, record.owed["limit"])
    if "read_only" in record.owed:
        _set_read_only(key, True)
    provenance.write(key, dataclasses.replace(record, replaces="", owed={}))


# --- from a source --------------------------------------------------------------------------


def make(
    key: str,
    source: Source,
    version: int,
    timeout: float,
    *,
    least_rate: int = 0,
    old: t.Optional[staging.Old] = None,
    parent: t.Optional[str] = None,
    owed: t.Optional[t.Mapping[str, t.Any]] = None,
) -> None:
    """Make an image from a source, or replace one: whole or not at all.

    O(owed) is what the new image must become before it is done. A machine that is to be started
    again is stopped only when everything is ready.
    """
    root = os.path.dirname(old.path) if old else image_classes.split(key)[0].root
    with staging.stage(key, root) as place:
        made, found = transfer.make(source, place, version, timeout, least_rate)
        record = Provenance(
            kind=found.kind,
            source=found.location,
            imported=time.time(),
            checksum=found.checksum,
            verified=found.verified,
            integrity=found.integrity,
            size=found.size,
            etag=found.etag,
            last_modified=found.last_modified,
            parent=parent,
            digest=found.digest,
            identity=identity_of(made),
            replaces=old.identity if old else "",
            owed=owed or {},
        )
        provenance.begin(key, record)
        with _stopped(key, record.owed.get("start")):
            staging.publish(made, place, old)
            _finish(key, record)


@contextlib.contextmanager
def _stopped(key: str, user: t.Optional[str]) -> t.Iterator[None]:
    """Have who uses an image stopped for a while, whatever happens meanwhile."""
    if user is None:
        yield
        return
    keeper = _keeper(key)
    keeper.stop(user)
    try:
        yield
    finally:
        keeper.start(user)


def _keeper(key: str) -> keepers.Keeper:
    return keepers.of(image_classes.split(key)[0])


def _make(step: Step) -> None:
    a = step.arguments
    make(step.subject, a["source"], a["version"], a["timeout"], least_rate=a["least_rate"])


def _clone(step: Step) -> None:
    """machined clones what it knows, with the settings; the others are imported once more."""
    parent, read_only = step.arguments["parent"], step.arguments["read_only"]
    if image_classes.split(step.subject)[0] is MACHINE:
        clone(parent, step.subject, read_only=read_only)
        return
    source, identity = _as_source(parent)
    make(
        step.subject,
        source,
        machined.systemd_version(),
        clones.TIMEOUT,
        parent=identity,
        owed={"read_only": True} if read_only else {},
    )


def _replace(step: Step) -> None:
    a = step.arguments
    source, parent = a.get("source"), None
    if source is None:
        source, parent = _as_source(a["parent"])
    make(
        step.subject,
        source,
        a["version"],
        a["timeout"],
        least_rate=a["least_rate"],
        old=staging.Old(a["old"], a["identity"]),
        parent=parent,
        owed=a["owed"],
    )


def _as_source(key: str) -> tuple[Source, str]:
    """An image as what another one is made from, and what stays the same of it."""
    image = seen.find(key)
    if image is None:
        raise Failure(f"image {key} has gone meanwhile")
    source = Source(
        kind="clone",
        location=image.name,
        file=image.path,
        format="raw" if image.type == "raw" else "directory",
    )
    return source, identity_of(image.path)


VERBS: Verbs = {
    "clear leftovers of image": lambda s: clear(s.subject),
    "pull image": _make,
    "import image": _make,
    "clone image": _clone,
    "replace image": _replace,
    "rename image": lambda s: rename(s.arguments["old"], s.subject),
    "finish renaming image": lambda s: _take_along(
        s.arguments["old"], s.subject, s.arguments["pieces"]
    ),
    "remove image": lambda s: remove(s.subject, s.arguments["identity"]),
    "limit image": lambda s: _set_limit(s.subject, s.arguments["limit"]),
    "make read-only image": lambda s: _set_read_only(s.subject, True),
    "make writable image": lambda s: _set_read_only(s.subject, False),
}
