# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What was seen of firewalld, what is wanted of it, and what was changed before, as data.

Private to the collection.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing as t

from .._core.plan import Failure
from .model import Delta, Deltas, Items, Key, Settings, Version

DEFAULT_ZONE = "DEFAULT"
"""Stands for the host's default zone, as HOST and ANY stand for others in firewalld itself."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A zone or policy of the permanent configuration."""

    settings: Settings
    vendor: t.Optional[Settings] = None
    """What came with firewalld, if this did; a file of the administrator's hides it."""
    file: t.Optional[str] = None
    """The text of the administrator's file."""


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What calls with the same record have changed of one zone or policy."""

    created: bool = False
    file: t.Optional[str] = None
    backup: t.Optional[str] = None
    deltas: Deltas = dataclasses.field(default_factory=dict)


Record = t.Mapping[Key, Recorded]
Goals = t.Mapping[Key, t.Optional[Settings]]


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All that the plan depends on."""

    version: Version
    running: bool
    default_zone: str
    entries: t.Mapping[Key, Entry]
    backups: t.Mapping[Key, str] = dataclasses.field(default_factory=dict)
    """The texts that firewalld kept when it changed or removed a file."""
    live: t.Mapping[Key, Settings] = dataclasses.field(default_factory=dict)
    """The running firewall: of zones that are not concerned, only what is bound to them."""
    services: frozenset[str] = frozenset()
    live_services: frozenset[str] = frozenset()
    icmp_types: frozenset[str] = frozenset()
    uplinks: Items = ()
    """Interfaces with a default route."""
    backend: str = "nftables"
    recording: t.Optional[str] = None
    """The name of the record, when one is kept."""
    record: Record = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is wanted of one zone or policy."""

    key: Key
    present: bool = True
    exclusive: bool = False
    settings: Settings = dataclasses.field(default_factory=dict)
    without: t.Mapping[str, Items] = dataclasses.field(default_factory=dict)


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
