# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What cannot come true on this host is refused before anything changes.

Private to the collection. Pure.
"""

from __future__ import annotations

import difflib
import typing as t

from .._access import check as access_check
from .._access import private_users
from .._core.plan import Failure
from .._shares import check as shares_check
from .._systemd.machined import unit_of
from .._users import check as users_check
from .files import Files
from .seen import Snapshot
from .wanted import Wanted


def check(snapshot: Snapshot, wanted: t.Sequence[Wanted]) -> None:
    """Refuse what cannot come true, before anything changes."""
    leaving = {one.name for one in wanted if one.state == "absent"}
    for one in wanted:
        _check_one(snapshot, one, leaving)
        _check_owners(snapshot, one)
        _check_shares(snapshot, one)
        _check_users(snapshot, one)


def _check_one(snapshot: Snapshot, one: Wanted, leaving: t.Collection[str]) -> None:
    seen = snapshot.of(one.name)
    if seen.stranger:
        raise Failure(
            f"{one.name}: a machine of this name runs in {seen.stranger}, not in "
            f"{unit_of(one.name)}; stop it there, then run this again"
        )
    if one.state == "absent" or seen.image:
        return
    if one.image is None:
        if one.declared or one.state in ("started", "restarted", "paused") or one.enabled:
            raise Failure(
                f"{one.name}: there is no image of this name in /var/lib/machines"
                + (", and none is named to clone it from" if one.declared else "")
                + _nearest(one.name, snapshot.images)
            )
    elif one.image not in snapshot.images:
        raise Failure(
            f"{one.name}: cannot be cloned from {one.image}: there is no image of this name"
            + _nearest(one.image, snapshot.images)
        )
    elif one.image in leaving:
        raise Failure(
            f"{one.name}: cannot be cloned from {one.image}, which is to be absent; remove "
            f"{one.image} in a later call"
        )


def _check_owners(snapshot: Snapshot, one: Wanted) -> None:
    """As far as the machine is declared; how it is on the host is looked at when it is there."""
    if one.grant is None:
        return
    access_check.check_people(one.grant, snapshot.people)
    if not one.shared_users:
        access_check.check_users(one.name, _facts(snapshot, one))


def _facts(snapshot: Snapshot, one: Wanted) -> private_users.Facts:
    files = Files(snapshot, one)
    return private_users.Facts(
        settings=files.settings(),
        command=private_users.command_in(files.unit()),
        image_uid=private_users.FIRST_PRIVATE,
    )


def _check_users(snapshot: Snapshot, one: Wanted) -> None:
    if not one.bound.names:
        return
    people, version = snapshot.residents, snapshot.version
    making = snapshot.rules.make_groups
    users_check.check(one.bound, people, snapshot.rules, version, making=making)
    image = one.name if snapshot.of(one.name).image else one.image or ""
    tree = snapshot.trees.get(image)
    if tree is not None:
        users_check.check_tree(one.bound, tree, image, people, version)
    users_check.check_shell(one.bound, people, version)
    users_check.check_private(one.bound, _facts(snapshot, one), version)


def _check_shares(snapshot: Snapshot, one: Wanted) -> None:
    if one.shares:
        private = Files(snapshot, one).private
        shares_check.check(one.name, one.shares, snapshot.host, snapshot.version, private)


def _nearest(name: str, images: t.Iterable[str]) -> str:
    """The image that was probably meant, or which there are."""
    there = sorted(images)
    near = difflib.get_close_matches(name, there, n=1)
    if near:
        return f". Did you mean {near[0]}?"
    if not there:
        return ". There are no images on this host"
    return f". There are: {', '.join(there[:20])}" + (" …" if len(there) > 20 else "")
