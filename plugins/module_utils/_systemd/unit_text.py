# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What drop-ins of units say: from YAML to text, and checked. Private to the collection. Pure."""

from __future__ import annotations

import re
import typing as t

from .._core import ini
from .._core.ini import Settings
from .._core.plan import Failure
from . import unit_table

# The commands of which a service has one: a further one would stand beside the vendor's instead
# of replacing it, and systemd then refuses to load the unit.
_REPLACED = ("ExecStart", "ExecReload", "ExecStop")


def normalise(raw: t.Mapping[str, t.Any], what: str = "settings") -> Settings:
    """Settings of a unit from YAML, lists of commands begun with the empty assignment."""
    return _reset(ini.normalise(raw, what, _quoted))


def _quoted(word: str, _what: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if escaped != word or re.search(r"[\s']", word) else word


def _reset(settings: Settings) -> Settings:
    found = {
        key: ("", *values)
        for key, values in settings.get("Service", {}).items()
        if key in _REPLACED and values and values[0] != ""
    }
    return settings.updated(Settings({"Service": found}))


def render(raw: t.Mapping[str, t.Any], what: str = "settings") -> str:
    """The text of a drop-in, from what was written in YAML."""
    settings = normalise(raw, what)
    for (section, key), values in settings.places():
        for value in values or ("",):
            ini.check_safe(section, key, value, what)
            _check_readable(section, key, value, what)
    return ini.render(settings)


# What systemd cannot read, it writes to the journal. What may be secret must not get that far.
_ESCAPE = r"\\(?:[abfnrtvs\\\"']|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3})"
_CHARACTER = rf"[^\\]|{_ESCAPE}"
_WORD = rf"(?:[^\\\s\"']|{_ESCAPE}|\"(?:[^\\\"]|{_ESCAPE})*\"|'(?:[^\\']|{_ESCAPE})*')+"
_ASSIGNMENT = rf"(?=[\"']?[A-Za-z_][A-Za-z0-9_]*=){_WORD}"
_READABLE: t.Mapping[str, tuple[re.Pattern[str], str]] = {
    "Environment": (
        re.compile(rf"(?:{_ASSIGNMENT}(?:\s+|\Z))*"),
        (
            "assignments NAME=VALUE with a backslash doubled, each as a whole in quotes if there"
            " are blanks in it; or give a mapping"
        ),
    ),
    "SetCredential": (
        re.compile(rf"(?:[^:]+:(?:{_CHARACTER})+)?", re.DOTALL),
        "NAME:VALUE with a backslash doubled",
    ),
    "SetCredentialEncrypted": (
        re.compile(r"(?:[^:]+:[A-Za-z0-9+/=\s]+)?"),
        "NAME:VALUE as systemd-creds prints it",
    ),
}


def _check_readable(section: str, key: str, value: str, what: str) -> None:
    readable, expected = _READABLE.get(key, (None, ""))
    if readable is not None and not readable.fullmatch(value):
        raise Failure(
            f"{what}: the value of [{section}] {key}= cannot be read; expected {expected}"
        )


_SIZE = re.compile(r"infinity|[0-9]+(?:\.[0-9]+)?\s*(?:[KMGTPEB]|%|‰|‱)?")
_SHAPES: t.Mapping[str, tuple[re.Pattern[str], str]] = {
    **{
        f"{when}Memory{what}": (_SIZE, "a size like 512M or 1.5G, a percentage, or infinity")
        for when in ("", "Startup")
        for what in ("Min", "Low", "High", "Max", "SwapMax", "ZSwapMax")
    },
    "TasksMax": (re.compile(r"infinity|[0-9]+%?"), "a number, a percentage, or infinity"),
    "CPUQuota": (re.compile(r"[0-9]+(?:\.[0-9]+)?%"), "a percentage like 150%"),
    **{
        name: (re.compile(r"idle|[0-9]{1,5}"), "a number from 1 to 10000")
        for name in ("CPUWeight", "IOWeight", "StartupCPUWeight", "StartupIOWeight")
    },
}


def check(settings: Settings, unit: str, systemd_version: int, what: str = "settings") -> None:
    """Refuse sections and keys that this systemd would ignore in a drop-in of the unit."""
    kind = unit.rpartition(".")[2].title()
    found: list[str] = []
    for (section, key), values in settings.places():
        found += _problems(section, key, values, kind, systemd_version)
    if found:
        raise Failure(f"{what}: {'; '.join(found)}", problems=found)


def _problems(
    section: str, key: str, values: t.Sequence[str], kind: str, version: int
) -> t.Iterator[str]:
    if section.startswith("X-"):
        return
    sections = dict.fromkeys(("Unit", kind, "Install"))
    if section not in sections:
        near = ini.nearest(section, sections)
        expected = f"[{near}]" if near else ", ".join(f"[{name}]" for name in sections)
        yield f"a drop-in of a {kind.lower()} has no section [{section}]; expected {expected}"
        return
    keys = unit_table.TABLE.get(section)
    if keys is None or key.startswith("X-"):
        return
    if key not in keys:
        yield f"there is no key {key}= in [{section}]; {_hint(section, key, list(sections))}"
    elif version < keys[key]:
        yield (f"[{section}] {key}= needs systemd {keys[key]} or later, this host has {version}")
    shape, expected = _SHAPES.get(key, (None, ""))
    if shape is not None:
        for value in values:
            if value and not shape.fullmatch(value):
                yield f"[{section}] {key}={value}: expected {expected}"


def _hint(section: str, key: str, sections: t.Sequence[str]) -> str:
    tables = {name: unit_table.TABLE.get(name, {}) for name in sections}
    owners = [name for name, keys in tables.items() if key in keys]
    if owners:
        return f"it belongs into [{owners[0]}]"
    near = ini.nearest(key, tables[section])
    return f"the nearest is {near}=" if near else "see systemd.directives(7) for all there are"
