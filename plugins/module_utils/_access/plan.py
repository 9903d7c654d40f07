# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is to be done so that people have the rights to machines that they shall have.

Private to the collection. Pure: from what was seen and what is wanted to a plan.
"""

from __future__ import annotations

import typing as t

from .._core.plan import Plan, Step
from . import private_users, rules
from .check import check, users_of
from .seen import Snapshot
from .wanted import ROOT_SHELL, Grant, Wanted


def plan(seen: Snapshot, wanted: Wanted, *, installing: bool = False) -> Plan:
    """One file is written or removed; O(installing): polkit may still be on its way."""
    check(seen, wanted, installing=installing)
    grants = granted(seen, wanted)
    text = rules.render(grants) if grants else None
    if text == seen.text and seen.sound:
        return ()
    verb = "remove" if text is None else "write"
    return (Step(verb, rules.PATH, {"text": text}, before=seen.text, after=text),)


def granted(seen: Snapshot, wanted: Wanted) -> tuple[Grant, ...]:
    """All rights as they will be, by the machines' names."""
    kept: tuple[Grant, ...] = ()
    if not wanted.exclusive and seen.text is not None:
        kept = tuple(one for one in rules.parse(seen.text) if one.machine not in wanted.machines)
    return tuple(sorted((*kept, *wanted.grants), key=lambda one: one.machine))


def warnings(seen: Snapshot, wanted: Wanted) -> list[str]:
    """What is granted, but should be known."""
    found: list[str] = []
    for grant in wanted.grants:
        found += warnings_of(grant, private_users.why_shared(users_of(seen, grant).facts))
        if not users_of(seen, grant).there:
            found.append(
                f"machine {grant.machine}: {_names(grant)} may use it, but it is not on this host"
                " yet"
            )
    return found


def warnings_of(grant: Grant, why_shared: t.Optional[str]) -> t.Iterator[str]:
    """What the owners of a machine could do if its root is, or may be, the host's."""
    if why_shared and ROOT_SHELL in grant.may:
        yield (
            f"machine {grant.machine}: {_names(grant)} can become root of the host at any time, by"
            f" a shell as root of the machine ({why_shared})"
        )
    elif why_shared:
        yield (
            f"machine {grant.machine}: whoever becomes root in it is root of the host"
            f" ({why_shared}); its owners are {_names(grant)}"
        )


def _names(grant: Grant) -> str:
    return ", ".join(str(owner) for owner in grant.owners)
