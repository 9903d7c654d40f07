# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where images came from. Private to the collection.

The records lie on the host, for root alone, and never inside an image: a machine cannot forge
its own origin. A record belongs to one file system object, not to a name: if somebody removes
an image and makes another of the same name, the old record does not speak for it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .._core import files, memory
from .._systemd import image_classes
from .._systemd.image_classes import MACHINE, ImageClass
from . import addresses
from .identity import identity_of
from .model import Provenance

DIRECTORY = memory.of("images")


def records(kind: ImageClass = MACHINE) -> dict[str, tuple[Provenance, ...]]:
    """Every record of a class by key; the one of a change that was begun comes last."""
    found: dict[str, list[Provenance]] = {}
    for file in sorted(_listed(kind)):
        name, _dot, ending = file.rpartition(".")
        known = ending in ("json", "next")
        record = _load(os.path.join(_directory(kind), file)) if known else None
        if record:
            found.setdefault(kind.key(name), []).append(record)
    return {key: tuple(some) for key, some in found.items()}


def read(key: str, path: t.Optional[str] = None) -> t.Optional[Provenance]:
    """The record of an image that lies at this path; nothing when it is about another one."""
    some = [_load(_file(key, ending)) for ending in ("json", "next")]
    return matching([record for record in some if record], identity_of(path) if path else None)


def matching(some: t.Iterable[Provenance], identity: t.Optional[str]) -> t.Optional[Provenance]:
    """The record that speaks for an object.

    One without an identity speaks for none: it was written before there was anything to speak of.
    """
    known = {record.identity: record for record in some if record.identity}
    return next(iter(known.values()), None) if identity is None else known.get(identity)


def begin(key: str, record: Provenance) -> None:
    """Say what an image will be before it is put in place, so that a kill loses nothing."""
    _write(_file(key, "next"), record)


def write(key: str, record: Provenance) -> None:
    """Say what an image is."""
    _write(_file(key, "json"), record)
    take_back(key)


def begun(key: str) -> t.Optional[Provenance]:
    """What an image was to become, as long as nobody has said that it did."""
    return _load(_file(key, "next"))


def take_back(key: str) -> None:
    """Forget what an image was to become: it has done so, or never will."""
    files.remove_unfinished(_file(key, "json"))
    memory.forget(_file(key, "next"))


def forget(key: str) -> None:
    take_back(key)
    memory.forget(_file(key, "json"))


def names(kind: ImageClass = MACHINE) -> dict[str, bool]:
    """The images of a class that something is said of, and whether all of that is finished."""
    found: dict[str, bool] = {}
    for file in _listed(kind):
        said = files.finished_name(file)
        name, _dot, ending = said.rpartition(".")
        key = kind.key(name)
        found[key] = found.get(key, True) and (said, ending) == (file, "json")
    return found


def rename(old: str, new: str) -> None:
    """Take the record along with an image that got another name."""
    record = _load(_file(old, "json")) or _load(_file(old, "next"))
    if record:
        write(new, dataclasses.replace(record, names=(*record.names, old)))
    forget(old)


def _file(key: str, ending: str) -> str:
    kind, name = image_classes.split(key)
    return os.path.join(_directory(kind), f"{name}.{ending}")


def _directory(kind: ImageClass) -> str:
    return f"{DIRECTORY}{kind.mark}"


def _listed(kind: ImageClass) -> list[str]:
    try:
        return os.listdir(_directory(kind))
    except FileNotFoundError:
        return []


def _load(path: str) -> t.Optional[Provenance]:
    try:
        with open(path, encoding="utf-8") as stream:
            fields = json.load(stream)
        fields["names"] = tuple(fields.get("names", ()))
        if fields.get("kind") == "url":
            fields["source"] = addresses.shown(fields["source"])  # it was once kept in full
        known = {field.name for field in dataclasses.fields(Provenance)}
        return Provenance(**{key: value for key, value in fields.items() if key in known})
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        # Not there, or cut off by a power failure: the image then has no known origin.
        return None


def _write(path: str, record: Provenance) -> None:
    text = json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True)
    # A clone is made again in no time, and fifty of them would wait fifty times.
    memory.write(path, text, durable=record.kind != "clone")
