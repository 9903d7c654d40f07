# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What was done inside of machines for a socket of the host. Private to the collection."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from .._core import files as core_files
from .._core import memory
from .._core.plan import Failure

RECORDS = memory.of("docker_sockets")
_ENDING = ".json"


@dataclasses.dataclass(frozen=True)
class Record:
    """What was done, and can be undone."""

    group: str = ""
    made: bool = False
    """The group was made by us."""
    members: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


def names() -> list[str]:
    """The machines of which something is remembered."""
    try:
        files = sorted(os.listdir(RECORDS))
    except FileNotFoundError:
        return []
    return [
        file[: -len(_ENDING)]
        for file in files
        if file.endswith(_ENDING) and not file.startswith(".")
    ]


def read(machine: str) -> t.Optional[Record]:
    text = core_files.read(_path(machine))
    if text is None:
        return None
    try:
        fields = json.loads(text)
        return Record(
            str(fields["group"]),
            bool(fields["made"]),
            tuple(map(str, fields["members"])),
            tuple(map(str, fields["masked"])),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"{_path(machine)}: is not a record as this collection writes it ({error!r}); remove"
            " the file to forget what was done there"
        ) from error


def write(machine: str, record: Record) -> None:
    text = json.dumps(dataclasses.asdict(record), indent=2, sort_keys=True)
    memory.write(_path(machine), text + "\n")


def forget(machine: str) -> None:
    memory.forget(_path(machine))


def _path(machine: str) -> str:
    return os.path.join(RECORDS, machine + _ENDING)
