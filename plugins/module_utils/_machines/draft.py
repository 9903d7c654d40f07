# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The plan for one machine while it is being made. Private to the collection. Pure."""

from __future__ import annotations

import typing as t

from .._core.plan import State, Step, identities
from .._systemd.machined import MACHINES_DIRECTORY, unit_of
from .._users.seen import Tree
from .files import Files
from .seen import Snapshot
from .wanted import Wanted


class Draft:
    """One machine as it is, as it shall be, and the steps so far."""

    def __init__(self, snapshot: Snapshot, wanted: Wanted) -> None:
        self.wanted = wanted
        self.name = wanted.name
        self.seen = snapshot.of(wanted.name)
        self.files = Files(snapshot, wanted)
        self.unit = unit_of(wanted.name)
        self.unread = snapshot.unread
        self.host = snapshot.host
        image = wanted.image if self.files.cloned else wanted.name
        self.tree: t.Optional[Tree] = snapshot.trees.get(image or "")
        """What its image has of users, or will have when it is cloned."""
        self.root = self.seen.path or f"{MACHINES_DIRECTORY}/{wanted.name}"
        self.steps: list[Step] = []

    def step(
        self,
        verb: str,
        subject: t.Optional[str] = None,
        *,
        before: State = None,
        after: State = None,
        needs: t.Iterable[Step] = (),
        **arguments: t.Any,
    ) -> Step:
        """One more step."""
        step = Step(
            verb,
            subject or self.name,
            {"machine": self.name, **arguments},
            before,
            after,
            identities(*needs),
        )
        self.steps.append(step)
        return step

    def steps_of(self, *verbs: str) -> list[Step]:
        return [step for step in self.steps if step.verb in verbs]
