# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the collection remembers of a mkosi directory, on its host and only for root.

Private to the collection.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import typing as t

from .._core import files as core_files
from .._core import memory
from . import host

STATE_DIRECTORY = memory.of("mkosi")


@dataclasses.dataclass(frozen=True)
class Record:
    """What the module did in a mkosi directory. For root alone: the digest covers passwords."""

    directory: str
    salt: str
    files: tuple[str, ...] = ()
    """What it wrote, relative to the directory."""
    digest: t.Optional[str] = None
    """What the last finished build was made from."""
    outputs: tuple[str, ...] = ()
    """What the last finished build left, absolute."""
    version: t.Optional[str] = None
    uid: int = 0
    """The user who built it."""
    above: tuple[str, ...] = ()
    """Directories above it that were made for it, the lowest first."""


def _path(directory: str) -> str:
    return os.path.join(STATE_DIRECTORY, f"{host.identity(directory)}.json")


def exists(directory: str) -> bool:
    return os.path.lexists(_path(directory))


def read(directory: str) -> Record:
    """The record of a directory; a new one, not yet written, when there is none."""
    # Not there, or cut off: then nothing is known and it is built again.
    found = _parsed(core_files.read(_path(directory)), directory)
    if found:
        return found
    return Record(directory, secrets.token_hex(16), above=_to_be_made_above(directory))


def _parsed(text: t.Optional[str], directory: str) -> t.Optional[Record]:
    try:
        fields = json.loads(text or "")
        return Record(
            directory,
            str(fields["salt"]),
            tuple(fields.get("files", ())),
            fields.get("digest"),
            tuple(fields.get("outputs", ())),
            fields.get("version"),
            int(fields.get("uid", 0)),
            tuple(fields.get("above", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _to_be_made_above(directory: str) -> tuple[str, ...]:
    """What will have been made above a directory, for it or for others; the lowest first.

    Who goes last takes it away, as long as each remembers it.
    """
    made = {path for other in _all() for path in other.above}
    return tuple(p for p in _above(directory) if p in made or not os.path.lexists(p))


def _above(directory: str) -> list[str]:
    found = [os.path.dirname(os.path.normpath(directory))]
    while os.path.dirname(found[-1]) != found[-1]:
        found.append(os.path.dirname(found[-1]))
    return found[:-1]


def _all() -> t.Iterator[Record]:
    for name in os.listdir(STATE_DIRECTORY) if os.path.isdir(STATE_DIRECTORY) else ():
        found = _parsed(core_files.read(os.path.join(STATE_DIRECTORY, name)), "")
        if found:
            yield found


def write(record: Record) -> None:
    text = json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True) + "\n"
    path = _path(record.directory)
    if core_files.read(path) != text:
        memory.write(path, text)


def forget(directory: str) -> None:
    memory.forget(_path(directory))
