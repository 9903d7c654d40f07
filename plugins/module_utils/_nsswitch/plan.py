# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is to be done so that services are asked, or not asked any more.

Private to the collection. Pure: from what was seen and what is wanted to a plan.
"""

from __future__ import annotations

import typing as t

from .._core.plan import Failure, Plan, Step
from . import text as nsswitch_text
from .authselect import Profile
from .seen import PATH, Snapshot
from .wanted import Wanted


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    """One file is written, or goes so that the vendor's counts again, or authselect is asked."""
    after = text_of(seen, wanted)
    if after == seen.effective:
        return ()
    if seen.profile is not None:
        return _features(seen.profile, seen, wanted)
    arguments = {"root": wanted.root, "text": after}
    if wanted.absent and after == seen.vendor and seen.text is not None:
        return (Step("remove", PATH, arguments, before=seen.text, after=None),)
    return (Step("write", PATH, arguments, before=seen.text, after=after),)


def text_of(seen: Snapshot, wanted: Wanted) -> t.Optional[str]:
    """What shall count then: the same text when all is as it shall be."""
    result = seen.effective
    for database, services in wanted.databases.items():
        if wanted.absent and result is not None:
            result = nsswitch_text.without_services(result, database, services)
        elif not wanted.absent and nsswitch_text.lacks(result, database, services):
            result = nsswitch_text.with_services(result, database, services)
    return result


def warnings(seen: Snapshot, wanted: Wanted) -> t.Iterator[str]:
    """What is as it shall be, and will not help."""
    if wanted.absent:
        return
    after = text_of(seen, wanted)
    names: dict[str, list[str]] = {}
    for database, services in wanted.databases.items():
        for service in services:
            if service.name not in seen.libraries:
                names.setdefault(service.name, []).append(database)
            blocked = nsswitch_text.unreachable(after, database, service.name)
            if blocked:
                yield (
                    f"{database}: {service.name} is never asked for what the services before it do"
                    f" not know: {blocked}"
                )
    for name, databases in names.items():
        yield (
            f"{', '.join(databases)}: {name} cannot be asked yet, as libnss_{name}.so.2 is not"
            f" there; install it (libnss-{name} of Debian, nss-{name} of openSUSE, part of systemd"
            " elsewhere)"
        )


# --- authselect -------------------------------------------------------------------------------


def _features(profile: Profile, seen: Snapshot, wanted: Wanted) -> Plan:
    """Features to turn on (to turn off, when services shall go), each for some database."""
    if not wanted.is_host:
        raise Failure(
            f"{wanted.root}: its nsswitch.conf is made by authselect (profile {profile.name}), and"
            " only authselect in it can change that; run authselect there, for example with"
            " nspawn.machined.machine_exec"
        )
    features = set(profile.features)
    steps = []
    for database in wanted.databases:
        if _fulfils(profile.rendered(features), database, wanted):
            continue
        feature = _feature(profile, features, database, wanted)
        features ^= {feature}
        verb = "disable-feature" if wanted.absent else "enable-feature"
        steps.append(
            Step(
                verb,
                f"authselect {feature}",
                {"feature": feature},
                before={"enabled": wanted.absent},
                after={"enabled": not wanted.absent},
            )
        )
    if not steps:
        raise Failure(
            f"{PATH} is not what authselect makes of its profile {profile.name}; see what"
            " 'authselect check' says, and have it written anew with 'authselect apply-changes'"
        )
    return tuple(steps)


def _feature(profile: Profile, features: t.AbstractSet[str], database: str, wanted: Wanted) -> str:
    """The feature that does it; a refusal when none does."""
    candidates = [name for name in profile.known if (name in features) == wanted.absent]
    for feature in candidates:
        if _fulfils(profile.rendered(features ^ {feature}), database, wanted):
            return feature
    services = ", ".join(map(str, wanted.databases[database]))
    wish = f"{database} {'without' if wanted.absent else 'with'} {services}"
    raise Failure(
        f"{PATH} is made by authselect, and no feature of its profile {profile.name} makes {wish}."
        " Make a profile of your own (authselect create-profile), change nsswitch.conf in it and"
        " select it; or leave that database out"
    )


def _fulfils(text: t.Optional[str], database: str, wanted: Wanted) -> bool:
    if text is None:
        return False
    services = wanted.databases[database]
    missing = nsswitch_text.lacks(text, database, services)
    return len(missing) == len(services) if wanted.absent else not missing
