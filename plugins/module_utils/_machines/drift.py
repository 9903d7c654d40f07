# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What was declared for a machine, and where it differs from that.

Private to the collection. Pure.
"""

from __future__ import annotations

import typing as t

from .._core import ini, masks
from .._core.ini import Settings
from .._core.plan import Failure
from .._settings import nspawn_file

Declared = t.Mapping[str, t.Any]
"""What was said of state, enabled, settings and unit; what was left open is not in it."""

# The words of machine_info for a machine that is as it was declared.
_AS_DECLARED = {
    "started": ("running",),
    "stopped": ("stopped", "failed"),
    "paused": ("paused",),
}


def declared(
    state: t.Optional[str],
    enabled: t.Optional[bool],
    settings: t.Optional[Settings],
    unit: t.Optional[str],
) -> Declared:
    """What the record keeps of a wish."""
    said: dict[str, t.Any] = {
        "state": "started" if state == "restarted" else state,
        "enabled": enabled,
        "settings": None if settings is None else _present(settings).as_lists(),
        "unit": None if unit is None else ini.parse(unit, "unit").as_lists(),
    }
    return {subject: value for subject, value in said.items() if value is not None}


def _present(settings: Settings) -> Settings:
    """Without the keys that are not to be there."""
    return Settings(
        {
            section: {key: values for key, values in keys.items() if values}
            for section, keys in settings.items()
        }
    )


def drift(
    said: Declared,
    *,
    state: str,
    enabled: bool,
    settings: t.Optional[str],
    unit: t.Optional[str],
) -> list[dict[str, t.Any]]:
    """What is not as it was declared; O(settings) and O(unit) are the texts of the files."""
    found = []
    if "state" in said and state not in _AS_DECLARED.get(said["state"], ()):
        found.append(_entry("state", said["state"], state))
    if "enabled" in said and enabled != said["enabled"]:
        found.append(_entry("enabled", said["enabled"], enabled))
    if "settings" in said:
        found += _in_file("settings", said["settings"], settings, nspawn_file.same)
    if "unit" in said:
        found += _in_file("unit", said["unit"], unit, _identical)
    return found


def _identical(_place: ini.Place, found: ini.Values, wanted: ini.Values) -> bool:
    return found == wanted


def _in_file(
    subject: str,
    said: t.Mapping[str, t.Mapping[str, t.Sequence[str]]],
    text: t.Optional[str],
    same: t.Callable[[ini.Place, ini.Values, ini.Values], bool],
) -> t.Iterator[dict[str, t.Any]]:
    wanted = Settings(said)
    try:
        there = ini.parse(text or "", subject)
    except Failure as failure:
        yield _entry(subject, masks.sections(said), failure.message)
        return
    for section, key in dict.fromkeys(
        [place for each in (wanted, there) for place, _value in each.places()]
    ):
        place = (section, key)
        if not same(place, there.values_of(*place), wanted.values_of(*place)):
            yield _entry(
                subject, _shown(wanted, place), _shown(there, place, wanted), key=f"{section}.{key}"
            )


def _shown(
    settings: Settings, place: ini.Place, other: t.Optional[Settings] = None
) -> t.Optional[list[str]]:
    """The values of a key, without secrets; nothing when it is not there."""
    beside = other.values_of(*place) if other else ()
    return masks.masked(place[1], settings.values_of(*place), beside) or None


def _entry(
    subject: str, said: t.Any, found: t.Any, *, key: t.Optional[str] = None
) -> dict[str, t.Any]:
    return {"subject": subject, "key": key, "declared": said, "found": found}
