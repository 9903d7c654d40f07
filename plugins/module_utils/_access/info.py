# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who may do what with which machine, as polkit's rules of ours say it.

Private to the collection. Only reads.
"""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import typing as t

from .._core import files as core_files
from .._core.plan import Failure
from .._systemd import machined
from . import private_users, rules
from . import seen as access_seen
from .wanted import ROOT_SHELL, Grant, Owner

Fields = dict[str, t.Any]


def tell(names: t.Optional[t.Sequence[str]], users: t.Sequence[str]) -> Fields:
    """The rights to some machines, or to all; and those of some users, their groups' included."""
    for name in names or ():
        machined.check_name(name)
    text = core_files.read(rules.PATH)
    grants, fault = _read(text)
    if names is not None:
        grants = tuple(grant for grant in grants if grant.machine in names)
    polkit = access_seen.polkit()
    return {
        "machines": _machines(grants),
        "users": {name: _of_user(name, grants) for name in users},
        "rules": {"path": rules.PATH, "exists": text is not None, "fault": fault},
        "polkit": {**dataclasses.asdict(polkit), "reads_rules": polkit.reads_rules},
    }


def _read(text: t.Optional[str]) -> tuple[tuple[Grant, ...], t.Optional[str]]:
    if text is None:
        return (), None
    try:
        return rules.parse(text), None
    except Failure as failure:
        return (), failure.message


def _machines(grants: t.Sequence[Grant]) -> list[Fields]:
    people = access_seen.people(owner for grant in grants for owner in grant.owners)
    machines = access_seen.machines([grant.machine for grant in grants]) if grants else {}
    return [
        {
            "name": grant.machine,
            **told(grant),
            "exists": machines[grant.machine].there,
            "shared_users": private_users.why_shared(machines[grant.machine].facts),
            "unknown_owners": [
                str(owner) for owner in grant.owners if people[owner].name != owner.name
            ],
        }
        for grant in grants
    ]


def told(grant: Grant) -> Fields:
    """The rights to one machine as a module returns them."""
    return {
        "users": list(grant.users),
        "groups": list(grant.groups),
        "may": [right for right in grant.may if right != ROOT_SHELL],
        "root_shell": ROOT_SHELL in grant.may,
    }


def _of_user(name: str, grants: t.Iterable[Grant]) -> list[Fields]:
    """What one user may, by whatever name."""
    names = {Owner(name), *(Owner(group, is_group=True) for group in _groups_of(name))}
    return [
        {
            "machine": grant.machine,
            "may": told(grant)["may"],
            "root_shell": told(grant)["root_shell"],
            "as": [str(owner) for owner in grant.owners if owner in names],
        }
        for grant in grants
        if names.intersection(grant.owners)
    ]


def _groups_of(name: str) -> list[str]:
    try:
        primary = pwd.getpwnam(name).pw_gid
    except KeyError:
        raise Failure(f"user: there is no user {name!r} on this host") from None
    found = []
    for number in os.getgrouplist(name, primary):
        try:
            found.append(grp.getgrgid(number).gr_name)
        except KeyError:
            # A number without a name: no rule can mean it.
            continue
    return found
