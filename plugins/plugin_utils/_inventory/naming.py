# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which machines are wanted, and what they are called. Private to the collection. Pure."""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import typing as t

from ...module_utils._core.plan import Failure
from . import answer
from .answer import Found

_KEYS = ("include", "exclude", "states")


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which machines are wanted, by their names on their hosts and by their states."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    states: tuple[str, ...] = ()

    def want(self, found: Found) -> bool:
        if self.include and not _matches(found.name, self.include):
            return False
        if _matches(found.name, self.exclude):
            return False
        return not self.states or _matches(found.state, self.states)


def _matches(text: str, patterns: t.Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def filters_of(given: t.Mapping[str, t.Any]) -> Filters:
    """Filters as they are written; a refusal of what would filter nothing."""
    for key in given:
        if key not in _KEYS:
            raise Failure(f"filters: there is no {key!r}; expected some of {', '.join(_KEYS)}")
    found = {key: _patterns(key, given.get(key)) for key in _KEYS}
    for pattern in found["states"]:
        if not any(_matches(state, [pattern]) for state in answer.STATES):
            raise Failure(
                f"filters: no state is {pattern!r}; expected some of {', '.join(answer.STATES)}"
            )
    return Filters(**found)


def _patterns(key: str, value: t.Any) -> tuple[str, ...]:
    some = [value] if isinstance(value, str) else value or []
    if not isinstance(some, (list, tuple)) or not all(isinstance(one, str) for one in some):
        raise Failure(f"filters: {key} is {value!r}; expected a pattern, or a list of patterns")
    return tuple(map(str, some))


def names_of(
    wishes: t.Sequence[str], found: t.Sequence[Found], taken: t.Container[str]
) -> dict[str, int]:
    """Each name in the inventory, and which of O(found) has it; some may have none.

    Whose wish is another's as well gets the name of its host behind its own. O(taken) are the names
    that mean something else already: a machine that says it is called like another one of the
    user's hosts does not become that host.
    """
    times = collections.Counter(wishes)
    named: dict[int, str] = {}
    for index, wish in enumerate(wishes):
        if times[wish] == 1 and wish not in taken:
            named[index] = wish
    given = set(named.values())
    for index, one in enumerate(found):
        longer = f"{one.name}.{one.host}"
        if index not in named and longer not in taken and longer not in given:
            named[index] = longer
            given.add(longer)
    return {named[index]: index for index in sorted(named)}
