# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the collection remembers of machines, on their host and only for root.

Private to the collection. Two memories: what was made, which lasts; and with which files a running
machine was started, which ends with the host's uptime.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import typing as t

from .._core import files as core_files
from .._core import memory
from .._core.plan import Failure
from .._settings import nspawn_file
from . import drift

RECORDS = memory.of("machines")
STARTS = memory.runtime("starts")
# systemd keeps a link for each running unit, whose target is the invocation.
INVOCATIONS = "/run/systemd/units"
_ENDING = ".json"


# --- what was made --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Record:
    """What the collection remembers of a machine, on the host and only for root."""

    made: bool = False
    """The collection cloned its image: it may be purged."""
    image: t.Optional[str] = None
    """What it was cloned from."""
    identity: str = ""
    """The file system object that is its image; empty until the clone was seen to be whole."""
    owner: t.Optional[str] = None
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    declared: drift.Declared = dataclasses.field(default_factory=dict)
    binds: tuple[str, ...] = ()
    """The lines of its settings for what it is shown of the host."""
    directories: tuple[str, ...] = ()
    """Directories of the host that were made for that."""
    users: tuple[str, ...] = ()
    """The users of the host who are users of it."""


def read(name: str) -> t.Optional[Record]:
    text = core_files.read(_path(name))
    return None if text is None else _parsed(_path(name), text)


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


def write(name: str, record: Record) -> None:
    text = json.dumps(
        {
            "made": record.made,
            "image": record.image,
            "identity": record.identity,
            "owner": record.owner,
            "vars": dict(record.variables),
            "declared": dict(record.declared),
            "binds": list(record.binds),
            "directories": list(record.directories),
            "users": list(record.users),
        },
        indent=2,
        sort_keys=True,
    )
    memory.write(_path(name), text + "\n")


def forget(name: str) -> None:
    memory.forget(_path(name))


def _path(name: str) -> str:
    return os.path.join(RECORDS, name + _ENDING)


def _parsed(path: str, text: str) -> Record:
    try:
        fields = json.loads(text)
        return Record(
            made=bool(fields["made"]),
            image=fields["image"],
            identity=str(fields["identity"]),
            owner=fields["owner"],
            variables=dict(fields["vars"]),
            # Not kept by the first versions.
            declared=dict(fields.get("declared") or {}),
            binds=tuple(fields.get("binds") or ()),
            directories=tuple(fields.get("directories") or ()),
            users=tuple(map(str, fields.get("users") or ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"{path}: is not a record as this collection writes it ({error!r}); "
            "remove the file to forget what was made there"
        ) from error


# --- what was started -----------------------------------------------------------------------


def digest(settings: t.Optional[str], unit: t.Optional[str]) -> str:
    """What a machine is started with, in one word. A remark in a file makes no difference."""
    meaning = json.dumps([_meaning(settings), _meaning(unit or None)])
    return hashlib.sha256(meaning.encode()).hexdigest()


def _meaning(text: t.Optional[str]) -> t.Any:
    if text is None:
        return None
    try:
        return nspawn_file.parse(text).as_lists()
    except Failure:
        return text


def invocation(unit: str) -> t.Optional[str]:
    """The identity of the run of a unit; nothing when it does not run."""
    try:
        return os.readlink(_link(unit))
    except OSError:
        return None


def remember_start(
    name: str, unit: str, settings: t.Optional[str], drop_in: t.Optional[str]
) -> None:
    this = invocation(unit)
    if this:
        text = f"{this} {digest(settings, drop_in)}\n"
        memory.write(os.path.join(STARTS, name), text)


def started_with(name: str, unit: str) -> t.Optional[str]:
    """The digest of the files that a machine runs with; nothing when we did not start it."""
    text = core_files.read(os.path.join(STARTS, name))
    this, _space, known = (text or "").strip().partition(" ")
    return known if known and this == invocation(unit) else None


def forget_start(name: str) -> None:
    core_files.remove(os.path.join(STARTS, name))
    core_files.remove_empty_directory(STARTS)


def _link(unit: str) -> str:
    return os.path.join(INVOCATIONS, f"invocation:{unit}")
