# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Makes, changes and removes images: how each step of a plan is carried out.

Private to the collection. Each works under a lock of its image, and can be killed at any moment:
what it had begun is then finished or taken back by the step C(clear leftovers).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import time
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils import (
    _bus,
    _files,
    _images,
    _machined,
    _provenance,
    _run,
    _settings,
    _sources,
    _transfer,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images_plan import Pieces
from ansible_collections.nspawn.machined.plugins.module_utils._plan import Failure, Step

REMOVE_TIMEOUT = 600
CLONE_TIMEOUT = 600
NAME_LOCKS = "/run/systemd/nspawn/locks/name-"
# While btrfs counts for the first time, machined reports no limits.
LIMIT_PATIENCE = 60


# --- through machined -----------------------------------------------------------------------


def clone(parent: str, name: str, *, read_only: bool = False) -> None:
    """Clone an image through machined, which copies its settings along."""
    path = _machined.image_path(parent)
    if not os.path.lexists(path):
        path = _machined.image_path(parent, "raw")
    record = _provenance.Provenance(
        kind="clone", source=parent, imported=time.time(), parent=_provenance.identity_of(path)
    )
    with _transfer.locked(name):
        _provenance.begin(name, record)
        _call(
            "CloneImage", "ssb", parent, name, "yes" if read_only else "no", timeout=CLONE_TIMEOUT
        )
        made = os.path.join(
            _machined.MACHINES_DIRECTORY, os.path.basename(path).replace(parent, name, 1)
        )
        _provenance.write(name, dataclasses.replace(record, identity=_provenance.identity_of(made)))


def was_cut_off(name: str) -> bool:
    """Whether a run was killed while it made an image of this name; one that lives has the lock."""
    with _transfer.locked(name):
        return _provenance.begun(name) is not None


def await_clone(name: str) -> None:
    """Wait until machined has ended a clone of this name that a killed run had asked for.

    machined goes on copying when nobody listens any more.
    """
    end = time.monotonic() + CLONE_TIMEOUT
    while _is_being_cloned(name):
        if time.monotonic() > end:
            raise Failure(
                f"image {name}: machined has been making an image of this name for "
                f"{CLONE_TIMEOUT:g} s. Wait for it to end, or restart systemd-machined"
            )
        time.sleep(0.1)


def _is_being_cloned(name: str) -> bool:
    """machined holds a lock of the name for as long as it copies."""
    try:
        descriptor = os.open(f"{NAME_LOCKS}{name}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove(name: str) -> None:
    """Remove an image with its settings and the record of where it came from."""
    with _transfer.locked(name):
        path = os.path.join(_machined.MACHINES_DIRECTORY, name)
        gone = name
        if os.path.isdir(path) and not os.path.islink(path) and not _is_subvolume(path):
            gone = f"{_images.REMOVED_PREFIX}{name}"
            _call("RenameImage", "ss", name, gone)
        _call("RemoveImage", "s", gone, timeout=REMOVE_TIMEOUT)
        # machined takes the settings along.
        _files.remove_empty_directory(_settings.DIRECTORY)
        _provenance.forget(name)


def _is_subvolume(path: str) -> bool:
    return _provenance.identity_of(path).startswith("subvolume:")


def rename(old: str, new: str) -> None:
    """Rename an image; its settings, drop-ins, enablement and record go along."""
    with _transfer.locked(new), _transfer.locked(old):
        pieces = _images.pieces_of(old)
        _call("RenameImage", "ss", old, new)
        _take_along(old, new, pieces)


def _take_along(old: str, new: str, pieces: Pieces) -> None:
    """Each part is there before the old one goes, so that a kill can be made good."""
    if pieces.drop_ins:
        _move_drop_ins(_images.drop_ins_path(old), _images.drop_ins_path(new))
    if pieces.enabled:
        for unit, verb in ((new, "enable"), (old, "disable")):
            _run.run(["systemctl", "--no-reload", verb, "--", _machined.unit_of(unit)])
    if pieces.drop_ins or pieces.enabled:
        _run.run(["systemctl", "daemon-reload"])
    if pieces.record:
        _provenance.rename(old, new)


def _move_drop_ins(old: str, new: str) -> None:
    os.makedirs(new, mode=0o755, exist_ok=True)
    for name in sorted(os.listdir(old)):
        os.rename(os.path.join(old, name), os.path.join(new, name))
    os.rmdir(old)


def _call(method: str, signature: str, *arguments: str, timeout: float = 60) -> None:
    try:
        _bus.call(_bus.MACHINED, method, signature, *arguments, timeout=timeout)
    except _bus.CallFailed as failed:
        raise Failure(
            f"machined refused {method} of image {arguments[0]}: {failed.message}"
        ) from None


def _set_read_only(name: str, wanted: bool) -> None:
    _call("MarkImageReadOnly", "sb", name, "yes" if wanted else "no")
    found = _machined.images().get(name)
    if found is None or found.read_only != wanted:
        raise Failure(
            f"image {name}: machined did not make it {'read-only' if wanted else 'writable'}, "
            "though it said so; the file system below it may not know such a flag"
        )


def _set_limit(name: str, limit: int) -> None:
    """Set a limit through machined, which does not turn quotas on for it."""
    _transfer.enable_quotas(_machined.MACHINES_DIRECTORY)
    _call("SetImageLimit", "st", name, str(limit))
    # What was not committed yet would be read as no limit.
    _transfer.sync_btrfs(_machined.MACHINES_DIRECTORY)
    end = time.monotonic() + LIMIT_PATIENCE
    while (found := _images.limit_of(name)) != (None if limit == _machined.UNKNOWN else limit):
        if time.monotonic() > end:
            raise Failure(f"image {name}: machined was to limit it to {limit} bytes, not {found}")
        time.sleep(0.1)


# --- what a killed run left -----------------------------------------------------------------


def clear(name: str) -> None:
    """Remove what a killed run left of an image that it was making or removing."""
    root = _machined.MACHINES_DIRECTORY
    with _transfer.locked(name):
        _transfer.sweep(name, root)
        entries = os.listdir(root)
        if f"{_images.REMOVED_PREFIX}{name}" in entries:
            _call("RemoveImage", "s", f"{_images.REMOVED_PREFIX}{name}", timeout=REMOVE_TIMEOUT)
        begun = _provenance.begun(name)
        if begun and not begun.identity:
            _remove_half_clone(name, entries)
        _settle(name, begun)


def _remove_half_clone(name: str, entries: t.Iterable[str]) -> None:
    """What machined was cloning for us when it died.

    Its temporary name is C(.#), the image's name and 16 hexadecimal digits. It is ours if we
    had said before that we would make that image.
    """
    for entry in entries:
        if re.fullmatch(r"\.#" + re.escape(name) + r"[0-9a-f]{16}", entry):
            _transfer.remove_tree(os.path.join(_machined.MACHINES_DIRECTORY, entry))


def _settle(name: str, begun: t.Optional[_provenance.Provenance]) -> None:
    """Finish what a killed run had begun, as far as its image is there."""
    image = _machined.images().get(name)
    record = _provenance.read(name, image.path) if image else None
    owed = begun.owed if begun else {}
    try:
        if image is None:
            _provenance.forget(name)
        elif record and (record.owed or "read_only" not in owed):
            _finish(name, record)
        else:
            if "read_only" in owed:
                _set_read_only(name, True)  # the old one, made writable to be replaced
            _provenance.take_back(name)
    finally:
        if "start" in owed:
            _start(owed["start"])


def _finish(name: str, record: _provenance.Provenance) -> None:
    """Give an image what it is owed, and say that it is done."""
    if "limit" in record.owed:
        _set_limit(name, record.owed["limit"])
    if "read_only" in record.owed:
        _set_read_only(name, True)
    _provenance.write(name, dataclasses.replace(record, owed={}))


# --- from a source --------------------------------------------------------------------------


def make(
    name: str,
    source: _sources.Source,
    version: int,
    timeout: float,
    *,
    old: t.Optional[str] = None,
    parent: t.Optional[str] = None,
    owed: t.Optional[t.Mapping[str, t.Any]] = None,
) -> None:
    """Make an image from a source, or replace one: whole or not at all.

    O(owed) is what the new image must become before it is done. A machine that is to be started
    again is stopped only when everything is ready.
    """
    root = os.path.dirname(old) if old else _machined.MACHINES_DIRECTORY
    with _transfer.stage(name, root) as place:
        made, found = _transfer.make(source, place, version, timeout)
        record = _provenance.Provenance(
            kind=found.kind,
            source=found.location,
            imported=time.time(),
            checksum=found.checksum,
            verified=found.verified,
            size=found.size,
            etag=found.etag,
            last_modified=found.last_modified,
            parent=parent,
            digest=found.digest,
            identity=_provenance.identity_of(made),
            owed=owed or {},
        )
        _provenance.begin(name, record)
        with _stopped(record.owed.get("start")):
            _transfer.publish(made, place, old)
            _finish(name, record)


@contextlib.contextmanager
def _stopped(machine: t.Optional[str]) -> t.Iterator[None]:
    """Have a machine stopped for a while, whatever happens meanwhile."""
    if machine is None:
        yield
        return
    _run.run(["systemctl", "stop", "--", _machined.unit_of(machine)], timeout=180)
    try:
        yield
    finally:
        _start(machine)


def _start(machine: str) -> None:
    _run.run(["systemctl", "start", "--", _machined.unit_of(machine)], timeout=180)


def _make(step: Step) -> None:
    a = step.arguments
    make(step.subject, a["source"], a["version"], a["timeout"])


def _replace(step: Step) -> None:
    a = step.arguments
    source, parent = a.get("source"), None
    if source is None:
        image = _machined.images()[a["parent"]]
        parent = _provenance.identity_of(image.path)
        source = _sources.Source(
            kind="clone",
            location=image.name,
            file=image.path,
            format="raw" if image.type == "raw" else "directory",
        )
    make(
        step.subject,
        source,
        a["version"],
        a["timeout"],
        old=a["old"],
        parent=parent,
        owed=a["owed"],
    )


VERBS: t.Mapping[str, t.Callable[[Step], None]] = {
    "clear leftovers of image": lambda s: clear(s.subject),
    "pull image": _make,
    "import image": _make,
    "clone image": lambda s: clone(
        s.arguments["parent"], s.subject, read_only=s.arguments["read_only"]
    ),
    "replace image": _replace,
    "rename image": lambda s: rename(s.arguments["old"], s.subject),
    "finish renaming image": lambda s: _take_along(
        s.arguments["old"], s.subject, s.arguments["pieces"]
    ),
    "remove image": lambda s: remove(s.subject),
    "remove hidden image": lambda s: _call("RemoveImage", "s", s.subject, timeout=REMOVE_TIMEOUT),
    "limit image": lambda s: _set_limit(s.subject, s.arguments["limit"]),
    "make read-only image": lambda s: _set_read_only(s.subject, True),
    "make writable image": lambda s: _set_read_only(s.subject, False),
}
