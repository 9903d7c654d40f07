# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Rights that cannot be granted, or would be more than was asked for, are refused.

Private to the collection. Pure.
"""

from __future__ import annotations

import typing as t

from .._core.plan import Failure
from . import private_users
from .seen import Machine, Person, Polkit, Snapshot
from .wanted import Grant, Owner, Wanted


def check(seen: Snapshot, wanted: Wanted, *, installing: bool = False) -> None:
    """Refuse what cannot come true, before anything changes."""
    if not wanted.grants:
        return
    check_polkit(seen.polkit, installing=installing)
    for grant in wanted.grants:
        check_people(grant, seen.people)
        if grant.machine not in wanted.shared:
            check_users(grant.machine, users_of(seen, grant).facts)


def users_of(seen: Snapshot, grant: Grant) -> Machine:
    return seen.machines.get(grant.machine, Machine())


def check_polkit(polkit: Polkit, *, installing: bool = False) -> None:
    if polkit.backend is None:
        if installing:
            return
        raise Failure(
            "polkit does not answer on this host, and without it nobody but root may do anything"
            f" with machines: {polkit.fault}. Install and start it (the package polkitd of Debian,"
            " polkit elsewhere), or let the role nspawn.machined.access do it"
        )
    if not polkit.reads_rules:
        raise Failure(
            f"this host's polkit {polkit.version} (backend {polkit.backend!r}) reads no JavaScript"
            " rules, only .pkla files, which cannot tell one machine from another: owners need"
            " polkit 0.106 or later"
        )


def check_people(grant: Grant, people: t.Mapping[Owner, Person]) -> None:
    for owner in grant.owners:
        wrong = _wrong_with(owner, people[owner])
        if wrong:
            raise Failure(f"machine {grant.machine}: {str(owner)!r} cannot be its owner: {wrong}")


def _wrong_with(owner: Owner, person: Person) -> t.Optional[str]:
    what = "group" if owner.is_group else "user"
    if person.name is None and person.other and owner.is_group:
        return f"there is no such group on this host, but a user; write {owner.name}"
    if person.name is None and person.other:
        return f"there is no such user on this host, but a group; write @{owner.name}"
    if person.name is None:
        return f"there is no such {what} on this host; make it first"
    if person.uid == 0:
        return "it is another name of root, who may do everything anyway"
    if person.name != owner.name:
        return f"this host calls that {what} {person.name}; write it so"
    return None


def check_users(machine: str, facts: private_users.Facts) -> None:
    reason = private_users.why_shared(facts)
    if reason:
        raise Failure(
            f"machine {machine}: cannot have an owner, who would be root of the host: {reason}."
            " Give it users of its own ([Exec] PrivateUsers=pick, the default), or say"
            " owner_shared_users=true if its owner may be that"
        )
