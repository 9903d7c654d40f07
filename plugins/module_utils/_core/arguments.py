# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The arguments of a module as they may be told, going by their spec.

Private to the collection. Pure.

Whoever adds an argument has not always thought of this. So of a text or a mapping nothing but the
keys is told, unless its spec says C(no_log=False): then it is no secret, and known as one that is
none. C(no_log=True) says that it is one.
"""

from __future__ import annotations

import typing as t

from . import masks

Spec = t.Mapping[str, t.Mapping[str, t.Any]]

_NUMBERS: t.Mapping[str, t.Union[type, tuple[type, ...]]] = {
    "bool": bool,
    "bits": int,
    "bytes": int,
    "float": (int, float),
    "int": int,
}


def told(spec: Spec, given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The arguments that were given, as they may be told."""
    named = _named(spec)
    return {
        name: _told(named.get(name, {}), value)
        for name, value in given.items()
        if value is not None and not name.startswith("_ansible_")
    }


def _named(spec: Spec) -> dict[str, t.Mapping[str, t.Any]]:
    """The spec of each argument under all of its names."""
    return {
        name: entry for key, entry in spec.items() for name in (key, *(entry.get("aliases") or ()))
    }


def _told(entry: t.Mapping[str, t.Any], value: t.Any) -> t.Any:
    options = entry.get("options")
    if entry.get("no_log"):
        return masks.leaves(value)
    if options and isinstance(value, t.Mapping):
        return told(options, value)
    if options and isinstance(value, (list, tuple)):
        return [told(options, one) if isinstance(one, t.Mapping) else masks.MASK for one in value]
    if entry.get("no_log") is False or _is_plain(entry, value):
        return value
    return masks.leaves(value)


def _is_plain(entry: t.Mapping[str, t.Any], value: t.Any) -> bool:
    """Whether it is one of a few words or a number. One that was refused may be anything."""
    if entry.get("choices"):
        every = value if isinstance(value, (list, tuple)) else [value]
        return all(one in entry["choices"] for one in every)
    kind = _NUMBERS.get(entry.get("type", "str"))
    return kind is not None and isinstance(value, kind)


def secrets(spec: Spec, given: t.Mapping[str, t.Any]) -> frozenset[str]:
    """The words that no sentence may have in it: all of them but those that are told anyway."""
    named = _named(spec)
    words: set[str] = set()
    for name, value in given.items():
        words.update(_secrets(named.get(name, {}), value))
    public = "\n".join(_texts(told(spec, given)))
    return frozenset(word for word in words if len(word) >= masks.LEAST and word not in public)


def _secrets(entry: t.Mapping[str, t.Any], value: t.Any) -> t.Iterator[str]:
    options = entry.get("options")
    if entry.get("no_log"):
        yield from masks.words_in(value, "")
    elif options and isinstance(value, t.Mapping):
        yield from secrets(options, value)
    elif options and isinstance(value, (list, tuple)):
        for one in value:
            yield from secrets(options, one) if isinstance(one, t.Mapping) else ()
    elif entry.get("no_log") is False or _is_plain(entry, value):
        return
    elif entry.get("choices") or entry.get("type") in _NUMBERS:
        yield from masks.words_in(value, "")
    else:
        yield from masks.words_in(value)


def _texts(value: t.Any) -> t.Iterator[str]:
    """All texts in some data, those of keys too."""
    if isinstance(value, t.Mapping):
        for key, one in value.items():
            yield str(key)
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value
