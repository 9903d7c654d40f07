# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What of a build may be secret, and what is shown in its place. Private to the collection.

Pure.
"""

from __future__ import annotations

import re
import typing as t

from .._core import masks
from .._core.plan import Failure
from . import text as mkosi_text
from .text import Settings, Values

_LOGIN = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def values_of(settings: Settings) -> tuple[str, ...]:
    """The secret words of a configuration."""
    found: set[str] = set()
    for keys in settings.values():
        for name in filter(masks.may_be_secret, keys):
            for value in keys[name]:
                found.update(masks.words_of(value, name))
    return tuple(sorted(word for word in found if len(word) >= masks.LEAST))


def shown(text: str, before: t.Optional[str] = None) -> str:
    """The text of a configuration as it may be shown, beside the one O(before).

    As mkosi reads it, where the second line of a value may look like another setting, and where
    remarks are nothing: what was somebody's setting may stand in one.
    """
    try:
        sections, old = _sections(text), _sections(before or "")
        said = {
            section: {
                name: tuple(masks.masked(name, values, old.get(section, {}).get(name, ())))
                for name, values in keys.items()
            }
            for section, keys in sections.items()
        }
        return without_logins(mkosi_text.render(said))
    except Failure:
        return f"{masks.MASK}\n"


def _sections(text: str) -> dict[str, dict[str, Values]]:
    parsed = mkosi_text.parse(text)
    return {s: {name: tuple(v) for name, v in keys.items()} for s, keys in parsed.items()}


def without_logins(text: str) -> str:
    """A text without what stands before the host in a URL."""
    return _LOGIN.sub(masks.MASK, text)


def without(words: t.Iterable[str], text: str) -> str:
    """A text without some words."""
    return without_logins(masks.without(words, text))
