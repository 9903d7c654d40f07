# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a machine's tree has to say so that the users who are bound are users in it.

Private to the collection. Pure. Glibc asks systemd for them, and logind keeps a list of those who
have a service manager from the boot on.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._nsswitch import plan as nsswitch_plan
from .._nsswitch import text as nsswitch_text
from .._nsswitch import wanted as nsswitch_wanted
from .._nsswitch.text import Service
from .seen import Tree
from .wanted import Bound

_SYSTEMD = (Service("systemd"),)
DATABASES = {"passwd": _SYSTEMD, "group": _SYSTEMD, "shadow": _SYSTEMD}


@dataclasses.dataclass(frozen=True)
class Equipment:
    """What is to be changed in a tree."""

    nsswitch: t.Optional[str] = None
    """The text of its nsswitch.conf; nothing when that stays."""
    linger: tuple[str, ...] = ()
    """Who gets a service manager from the boot on."""
    unlinger: tuple[str, ...] = ()
    """Who does not any more."""
    before: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    after: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.nsswitch is not None or bool(self.linger or self.unlinger)


def equipment(bound: Bound, tree: Tree, root: str, leaving: t.Iterable[str] = ()) -> Equipment:
    """O(leaving) are users who were bound before."""
    gone = set(leaving) - set(bound.names)
    missing = tuple(sorted(bound.linger - tree.linger))
    surplus = tuple(sorted(tree.linger & ((set(bound.names) | gone) - bound.linger)))
    text = _nsswitch(bound, tree, root)
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    if text is not None:
        before.update(_asked(tree.nsswitch.effective))
        after.update(_asked(text))
    if missing or surplus:
        before["linger"] = sorted(tree.linger)
        after["linger"] = sorted(tree.linger.difference(surplus).union(missing))
    return Equipment(text, missing, surplus, before, after)


def _nsswitch(bound: Bound, tree: Tree, root: str) -> t.Optional[str]:
    if not bound.names:
        return None
    wanted = nsswitch_wanted.Wanted(root, DATABASES)
    # Of another system than the host, a change is one step that writes the file, or an error.
    steps = nsswitch_plan.plan(tree.nsswitch, wanted)
    return steps[0].arguments["text"] if steps else None


def _asked(text: t.Optional[str]) -> dict[str, str]:
    return {name: " ".join(nsswitch_text.services(text, name)) for name in DATABASES}
