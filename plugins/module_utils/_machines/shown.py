# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The directories of the host that are made because a machine is shown them.

Private to the collection. Pure.
"""

from __future__ import annotations

import typing as t

from .._core.plan import Step
from .._shares.wanted import DEFAULT_MODE, Share
from .draft import Draft
from .record import Record


def make(draft: Draft) -> None:
    """Before the machine is there: without them it would not start."""
    host = draft.host
    for share in _missing(draft):
        mode = DEFAULT_MODE if share.mode is None else share.mode
        uid = host.users[share.owner] if share.owner else 0
        group, gid = host.group_of(share)
        draft.step(
            "make",
            share.source,
            after={
                "owner": share.owner or "root",
                "group": group,
                "mode": f"{mode:04o}",
            },
            needs=draft.steps_of("record"),
            uid=uid,
            gid=gid,
            mode=mode,
        )


def remembered(draft: Draft) -> tuple[str, ...]:
    """All that were made for it, and are about to be."""
    old = (draft.seen.record or Record()).directories
    return tuple(dict.fromkeys((*old, *(share.source for share in _missing(draft)))))


def unmake(draft: Draft, needs: t.Sequence[Step]) -> None:
    """Only the empty ones, and of those that somebody else is shown none."""
    for path in (draft.seen.record or Record()).directories:
        draft.step("unmake", path, before={"empty": "removed"}, after={}, needs=needs)


def _missing(draft: Draft) -> list[Share]:
    places = draft.host.places
    return [
        share for share in draft.wanted.shares if share.create and places[share.source].kind is None
    ]
