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


def _path(directory: str) -> str:
    return os.path.join(STATE_DIRECTORY, f"{host.identity(directory)}.json")


def exists(directory: str) -> bool:
    return os.path.lexists(_path(directory))


def read(directory: str) -> Record:
    """The record of a directory; a new one, not yet written, when there is none."""
    text = core_files.read(_path(directory))
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
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not there, or cut off: then nothing is known and it is built again.
        return Record(directory, secrets.token_hex(16))


def write(record: Record) -> None:
    text = json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True) + "\n"
    path = _path(record.directory)
    if core_files.read(path) != text:
        memory.write(path, text)


def forget(directory: str) -> None:
    memory.forget(_path(directory))
