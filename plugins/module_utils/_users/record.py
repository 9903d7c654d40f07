# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the collection remembers of users who got a private group. Private to the collection."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .._core import files as core_files
from .._core import memory
from .._core.plan import Failure

RECORDS = memory.of("users")
_ENDING = ".json"


@dataclasses.dataclass(frozen=True)
class Record:
    """What one user's groups were before."""

    primary: t.Optional[str]
    """The group that was the primary one; nothing when it had no name."""
    made: bool = False
    """The private group was not there."""
    joined: bool = False
    """The user has been made a member of the old group, which it was by number alone."""


def path_of(name: str) -> str:
    return os.path.join(RECORDS, name + _ENDING)


def write(name: str, record: Record) -> None:
    memory.write(path_of(name), json.dumps(dataclasses.asdict(record), sort_keys=True) + "\n")


def forget(name: str) -> None:
    memory.forget(path_of(name))


def read_all() -> dict[str, Record]:
    """Of each user of whom something is remembered."""
    try:
        names = sorted(os.listdir(RECORDS))
    except FileNotFoundError:
        return {}
    names = [name[: -len(_ENDING)] for name in names if name.endswith(_ENDING)]
    return {name: _read(name) for name in names if not name.startswith(".")}


def _read(name: str) -> Record:
    path = path_of(name)
    try:
        fields = json.loads(core_files.read(path) or "")
        return Record(fields["primary"], bool(fields["made"]), bool(fields["joined"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"{path}: is not a record as this collection writes it ({error!r}); remove the file to"
            " forget what was made there"
        ) from error
