# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What calls with the same record have changed of zones and policies, and how to take it back.

Private to the collection. It is kept on the host, in a file for each record.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import types
import typing as t

from .._core import files, memory
from .._core.plan import Failure
from .model import (
    Items,
    Key,
    Settings,
    Value,
    changed,
    freeze,
    in_order,
    items_of,
    joined,
    properties_of,
    without,
)

DIRECTORY = memory.of("firewalld")


# --- differences ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Delta:
    """A difference of one property that can be taken back later, after others' changes too."""

    added: Items = ()
    removed: Items = ()
    old: t.Optional[Value] = None
    new: tuple[Value, ...] = ()
    """The value that was set; after a call was cut off, each that may have been."""


Deltas = t.Mapping[str, Delta]


def difference(kind: str, before: Settings, after: Settings) -> dict[str, Delta]:
    table = properties_of(kind)
    deltas: dict[str, Delta] = {}
    for name, value in changed(kind, before, after).items():
        shape = table[name].shape
        if table[name].is_list:
            have, goal = items_of(before, name), items_of(after, name)
            added, removed = without(shape, goal, have), without(shape, have, goal)
            deltas[name] = Delta(in_order(shape, added), in_order(shape, removed))
        else:
            deltas[name] = Delta(old=before.get(name), new=(value,))
    return deltas


def reverted(kind: str, settings: Settings, deltas: Deltas) -> Settings:
    """The settings as they would be had the changes never been made.

    Scalars that somebody has set to something else since are left to them.
    """
    table = properties_of(kind)
    result = dict(settings)
    for name, delta in deltas.items():
        if name not in table or name not in result:
            continue
        shape = table[name].shape
        if table[name].is_list:
            left = without(shape, items_of(result, name), delta.added)
            result[name] = joined(shape, left, delta.removed)
        elif result[name] in delta.new and delta.old is not None:
            result[name] = delta.old
    return freeze(result)


def accumulated(kind: str, earlier: Deltas, later: Deltas) -> dict[str, Delta]:
    """Changes of which, after a crash, any part may have been made."""
    table = properties_of(kind)
    result = dict(earlier)
    for name, delta in later.items():
        if name not in earlier:
            result[name] = delta
            continue
        first, shape = earlier[name], table[name].shape
        result[name] = Delta(
            in_order(shape, joined(shape, first.added, delta.added)),
            in_order(shape, joined(shape, first.removed, delta.removed)),
            first.old,
            tuple(dict.fromkeys((*first.new, *delta.new))),
        )
    return result


# --- the record -----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What calls with the same record have changed of one zone or policy."""

    created: bool = False
    file: t.Optional[str] = None
    backup: t.Optional[str] = None
    deltas: Deltas = dataclasses.field(default_factory=dict)


Record = t.Mapping[Key, Recorded]


def path_of(name: str) -> str:
    return os.path.join(DIRECTORY, f"{name}.json")


def check_name(name: str) -> None:
    """Refuse a name of a record that would be another file."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise Failure(
            f"record {name!r}: expected up to 64 letters, digits, -, _ and ., beginning with a "
            "letter or digit"
        )


def read(name: str) -> Record:
    check_name(name)
    text = files.read(path_of(name))
    return parse_record(path_of(name), text) if text is not None else {}


def write(name: str, record: Record) -> None:
    if record:
        memory.write(path_of(name), record_text(record))
    else:
        memory.forget(path_of(name))


# --- the record as text ---------------------------------------------------------------------


def record_text(record: Record) -> str:
    data = [
        {
            "kind": key.kind,
            "name": key.name,
            "created": one.created,
            "file": one.file,
            "backup": one.backup,
            "changes": {name: dataclasses.asdict(delta) for name, delta in one.deltas.items()},
        }
        for key, one in sorted(record.items())
    ]
    return json.dumps({"version": 1, "changed": data}, indent=2) + "\n"


def parse_record(path: str, text: str) -> Record:
    try:
        data = json.loads(text)
        return {
            Key(one["kind"], one["name"]): Recorded(
                bool(one["created"]),
                one["file"],
                one["backup"],
                types.MappingProxyType(
                    {name: _parse_delta(delta) for name, delta in one["changes"].items()}
                ),
            )
            for one in data["changed"]
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(
            f"{path} is no record of changes ({error}). Without it nothing can be taken back: "
            "restore the file, or remove it and tidy the firewall by hand."
        ) from None


def _parse_delta(data: t.Mapping[str, t.Any]) -> Delta:
    return Delta(
        tuple(data["added"]),
        tuple(data["removed"]),
        data["old"],
        tuple(data["new"]),
    )
