# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the user wants of zones and policies, as data. Private to the collection."""

from __future__ import annotations

import dataclasses
import types
import typing as t

from .model import (
    POLICY,
    ZONE,
    Items,
    Key,
    Property,
    Settings,
    forward_text,
    freeze,
    properties_of,
)

DEFAULT_ZONE = "DEFAULT"
"""Stands for the host's default zone, as HOST and ANY stand for others in firewalld itself."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is wanted of one zone or policy."""

    key: Key
    present: bool = True
    exclusive: bool = False
    settings: Settings = dataclasses.field(default_factory=dict)
    without: t.Mapping[str, Items] = dataclasses.field(default_factory=dict)


def wanted(params: t.Mapping[str, t.Any]) -> list[Wanted]:
    """What the arguments of the module say, zones first."""
    return [
        _wanted(kind, raw, exclusive=params["exclusive"])
        for kind, argument in ((ZONE, "zones"), (POLICY, "policies"))
        for raw in params[argument]
    ]


def _wanted(kind: str, raw: t.Mapping[str, t.Any], *, exclusive: bool) -> Wanted:
    return Wanted(
        key=Key(kind, raw["name"]),
        present=raw["state"] == "present",
        exclusive=exclusive if raw["exclusive"] is None else raw["exclusive"],
        settings=freeze(_values(kind, raw)),
        without=types.MappingProxyType(_values(kind, raw["remove"] or {})),
    )


def _values(kind: str, raw: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        name: _value(one, raw[name])
        for name, one in properties_of(kind).items()
        if raw.get(name) is not None
    }


def _value(one: Property, value: t.Any) -> t.Any:
    if one.shape == "forwards":
        fields = ("port", "protocol", "to_port", "to_addr")
        value = [forward_text(*(item[field] for field in fields)) for item in value]
    if one.shape == "text":
        value = value.strip().replace("\n", " ")  # as firewalld reads it from its own files
    return tuple(dict.fromkeys(value)) if one.is_list else value
