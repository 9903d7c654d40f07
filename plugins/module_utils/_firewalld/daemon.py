# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""firewalld as it runs: its objects on the bus, and settings as they go over it.

Private to the collection. All settings of a zone or policy are one call: it costs 2 ms,
firewall-cmd takes 60 to 90.
"""

from __future__ import annotations

import typing as t

from .._systemd import bus
from . import xml
from .model import (
    ZONE,
    Key,
    Property,
    Settings,
    Value,
    coalesced,
    defaults_of,
    forward_fields,
    forward_text,
    freeze,
    properties_of,
)

_MAIN = "org.fedoraproject.FirewallD1"
_ROOT = "/org/fedoraproject/FirewallD1"
FIREWALLD = bus.Service(_MAIN, _ROOT, _MAIN)
ZONES = bus.Service(_MAIN, _ROOT, f"{_MAIN}.zone")
POLICIES = bus.Service(_MAIN, _ROOT, f"{_MAIN}.policy")
DIRECT = bus.Service(_MAIN, _ROOT, f"{_MAIN}.direct")
IPSETS = bus.Service(_MAIN, _ROOT, f"{_MAIN}.ipset")
CONFIG = bus.Service(_MAIN, f"{_ROOT}/config", f"{_MAIN}.config")


def ask(service: bus.Service, method: str, signature: str = "", *arguments: str) -> t.Any:
    (answer,) = bus.call(service, method, signature, *arguments)
    return answer


def permanent(key: Key) -> bus.Service:
    """The object of a zone or policy of the permanent configuration."""
    method = "getZoneByName" if key.kind == ZONE else "getPolicyByName"
    path = str(ask(CONFIG, method, "s", key.name))
    return bus.Service(_MAIN, path, f"{_MAIN}.config.{key.kind}")


# --- the running firewall -------------------------------------------------------------------


def live(key: Key) -> Settings:
    if key.kind == ZONE:
        raw = ask(ZONES, "getZoneSettings2", "s", key.name)
    else:
        raw = ask(POLICIES, "getPolicySettings", "s", key.name)
    return from_bus(key.kind, raw)


def set_live(key: Key, settings: Settings) -> None:
    service, method = (
        (ZONES, "setZoneSettings2") if key.kind == ZONE else (POLICIES, "setPolicySettings")
    )
    bus.call(service, method, "sa{sv}", key.name, *to_bus(key.kind, settings))


# --- settings as the bus has them -----------------------------------------------------------


def from_bus(kind: str, raw: t.Mapping[str, t.Mapping[str, t.Any]]) -> Settings:
    """Settings as the bus has them; what is empty it leaves out."""
    settings = defaults_of(kind)
    for name, one in properties_of(kind).items():
        variant = raw.get(_bus_name(kind, name))
        if variant is not None:
            settings[name] = _value_from_bus(kind, one, variant["data"])
    return freeze(settings)


def _bus_name(kind: str, name: str) -> str:
    return "rules_str" if (kind, name) == (ZONE, "rich_rules") else name


def _value_from_bus(kind: str, one: Property, data: t.Any) -> Value:
    if one.shape == "ports":
        return coalesced(f"{port}/{protocol}" for port, protocol in data)
    if one.shape == "forwards":
        return tuple(forward_text(*fields) for fields in data)
    if one.is_list:
        return tuple(data)
    if one.name == "target" and data == xml.REJECT[kind]:
        return "REJECT"
    return t.cast("Value", data)


_SIGNATURES = {
    "words": "as",
    "sources": "as",
    "rules": "as",
    "ports": "a(ss)",
    "forwards": "a(ssss)",
    "text": "s",
    "flag": "b",
    "number": "i",
}


def to_bus(kind: str, settings: Settings) -> list[str]:
    """Settings as arguments of busctl for a{sv}."""
    table = properties_of(kind)
    arguments = [str(len(settings))]
    for name, value in settings.items():
        shape = table[name].shape
        arguments += [_bus_name(kind, name), _SIGNATURES[shape]]
        arguments += _words_to_bus(kind, name, shape, value)
    return arguments


def _words_to_bus(kind: str, name: str, shape: str, value: Value) -> list[str]:
    if isinstance(value, tuple):
        fields = [_fields(shape, item) for item in value]
        return [str(len(value)), *[word for item in fields for word in item]]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if name == "target" and value == "REJECT":
        return [xml.REJECT[kind]]
    return [str(value)]


def _fields(shape: str, item: str) -> tuple[str, ...]:
    if shape == "ports":
        port, _slash, protocol = item.partition("/")
        return (port, protocol)
    if shape == "forwards":
        return forward_fields(item)
    return (item,)
