# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where a version of mkosi reads a setting, and under which name.

Private to the collection. Pure. What a setting means is no matter here, see C(_mkosi.formats) and
C(_mkosi.translate).
"""

from __future__ import annotations

import difflib
import typing as t

from .._core.plan import Failure
from . import table, words
from .text import Values

Handler = t.Callable[[str, str, Values], None]
"""Takes a setting: its section, its name and what it is set to."""


class Draft:
    """A configuration that comes about in the words of one version of mkosi."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.new = version > table.OLDEST
        self.settings: dict[str, dict[str, Values]] = {}
        self.warnings: list[str] = []
        self.old_words = False
        """Whether any of what was taken is written for mkosi 14 or an older one."""

    def place(self, section: str, name: str, values: Values) -> None:
        """Put a setting where this version reads it, under the name that this version knows."""
        found, places = self._known(name)
        if not places:
            self._lost(section, name, values)
            return
        target = section if section in places else places[0]
        if (target, found) != (section, name):
            self.renamed(section, name, target, found)
        self._put(target, found, values)

    def _known(self, name: str) -> tuple[str, tuple[str, ...]]:
        for candidate in (name, *reversed(words.OTHER_NAMES.get(name, ()))):
            places = table.sections(candidate, self.version)
            if places:
                return candidate, places
        return name, ()

    def _put(self, section: str, name: str, values: Values) -> None:
        keys = self.settings.setdefault(section, {})
        keys[name] = keys.get(name, ()) + values

    def set(self, name: str, *values: str) -> None:
        """A setting that the translation itself wants, in this version's section."""
        self.settings.setdefault(table.sections(name, self.version)[0], {})[name] = values

    def value(self, name: str) -> t.Optional[str]:
        """What a setting is set to so far, in whatever section it is."""
        for keys in self.settings.values():
            if name in keys:
                return ",".join(keys[name])
        return None

    # --- what is said of it ---

    def renamed(self, section: str, name: str, target: str, found: str) -> None:
        self.warnings.append(
            f"[{section}] {name}= is [{target}] {found}= in mkosi {self.version}; written as that"
        )

    def became(self, section: str, name: str, what: str) -> None:
        setting = name if "=" in name else f"{name}="
        self.warnings.append(f"[{section}] {setting} is {what} in mkosi {self.version}")

    # --- what this version does not know ---

    def _lost(self, section: str, name: str, values: Values) -> None:
        where = f"[{section}] {name}="
        if name in words.DROPPED:
            self.warnings.append(
                f"{where} does not exist in mkosi {self.version} and was left out:"
                f" {words.DROPPED[name]}"
            )
            return
        known = [
            place
            for one in words.OTHER_NAMES.get(name, (name,))
            for place in table.SETTINGS.get(one, ())
        ]
        if not known:
            if self.version > table.NEWEST and section in table.known_sections(self.version):
                self.warnings.append(f"{where} is not known to this collection; passed on as it is")
                self._put(section, name, values)
                return
            raise Failure(f"mkosi has no setting {where} {self._nearest(name)}")
        advice = f": {words.INSTEAD[name]}" if name in words.INSTEAD else ""
        first = min(first for _section, first, _last in known)
        if first > self.version:
            raise Failure(
                f"{where} needs mkosi {first} or later, and this host has {self.version}{advice}"
            )
        last = max(last or table.NEWEST for _section, _first, last in known)
        raise Failure(
            f"{where} is gone since mkosi {last + 1}; this host has {self.version}{advice}"
        )

    def _nearest(self, name: str) -> str:
        candidates = sorted(table.known_settings(self.version))
        folded = {one.lower(): one for one in reversed(candidates)}
        near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
        if not near:
            return f"or anything like it; see mkosi(1) of version {self.version}"
        found = folded[near[0]]
        return f"The nearest is [{table.sections(found, self.version)[0]}] {found}="

    def check_section(self, section: str, name: str) -> None:
        known = {place[0] for places in table.SETTINGS.values() for place in places} | {"Packages"}
        if section in known:
            return
        current = table.known_sections(self.version)
        near = difflib.get_close_matches(section, sorted(current), n=1, cutoff=0.5)
        _found, places = self._known(name)
        raise Failure(
            f"mkosi has no section [{section}] and would ignore {name}= in it without a word."
            + (f" The nearest section is [{near[0]}]." if near else "")
            + (f" mkosi {self.version} reads {name}= in [{places[0]}]." if places else "")
        )
