# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Users who cannot be users of a machine, or should not be, are refused by what they are.

Private to the collection. Pure.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._access import private_users
from .._core.plan import Failure
from .seen import Group, Home, People, Person, Tree
from .wanted import DEFAULT_SHELL, SHELL_SINCE, Bound, Rules

NOBODY = 65534
# From here on up to the end of 16 bits: users of services that come and go, and of containers.
FIRST_DYNAMIC, LAST_DYNAMIC = 61184, 65535
# Since then BindUser= does without private users.
SHARED_SINCE = 258
# Since then the home is mapped for groups by the number of the user, whatever that of the group is.
ONE_NUMBER_SINCE = 258


def check(
    bound: Bound, people: People, rules: Rules, version: int, *, making: bool = False
) -> None:
    """Refuse users who cannot be bound; O(making): private groups may still be on their way."""
    numbers: dict[int, str] = {}
    for name in bound.names:
        person = people.of(name)
        wrong = (
            _wrong_with_user(name, person, people, bound)
            or _wrong_with_home(person, people, rules)
            or _wrong_with_group(name, person, people, making)
            or (_wrong_with_numbers(name, person, people) if version >= ONE_NUMBER_SINCE else None)
        )
        if not wrong and person.uid in numbers:
            wrong = f"{numbers[person.uid]} has the same number {person.uid}"
        if wrong:
            raise Failure(f"machine {bound.machine}: {name!r} cannot be its user: {wrong}")
        numbers[person.uid] = name


def _wrong_with_user(name: str, person: Person, people: People, bound: Bound) -> t.Optional[str]:
    if person.name is None:
        return "there is no such user on this host; make it first"
    if person.name != name:
        return f"this host calls that user {person.name}; write it so"
    if person.uid == 0:
        return "it is another name of root"
    if person.uid == NOBODY:
        return "it stands for everybody who is unknown"
    is_system = person.uid < people.first_user or FIRST_DYNAMIC <= person.uid <= LAST_DYNAMIC
    if is_system and not bound.allow_system:
        return (
            f"it is a system user (number {person.uid}), whose files are a service's; say"
            " users_allow_system=true if that is meant"
        )
    if person.same_uid:
        return (
            f"{', '.join(person.same_uid)} has the same number {person.uid}, so its files are"
            " somebody else's as well; give it one of its own"
        )
    return None


def _wrong_with_home(person: Person, people: People, rules: Rules) -> t.Optional[str]:
    """One rule for all that can be written in a passwd file, whatever it is called."""
    home = person.home
    below = " or ".join(rules.home_roots)
    here = f"its home {home.path!r}"
    if home.real and home.real != home.path:
        here += f", which is {home.real},"
    if not home.path:
        return f"it has no home; expected a folder of its own below {below}"
    if not home.real:
        return f"{here} does not exist; expected a folder of its own below {below}"
    if not any(home.real.startswith(f"{root}/") for root in people.roots):
        return (
            f"{here} is not below {below}: the machine would be given it with everything in it."
            " Move it there, or name the folder in users_home_roots"
        )
    return _wrong_with_folder(here, home, person)


def _wrong_with_folder(here: str, home: Home, person: Person) -> t.Optional[str]:
    if not home.is_directory:
        return f"{here} is no folder"
    if home.uid != person.uid:
        return f"{here} belongs to user {home.uid}, not to {person.name} ({person.uid})"
    if home.shared_with:
        return f"{here} is also the home of {', '.join(home.shared_with)}, or in it"
    if home.replaceable:
        return (
            f"{here} could be replaced by another one: others than root may write to"
            f" {home.replaceable}"
        )
    return None


def _wrong_with_group(name: str, person: Person, people: People, making: bool) -> t.Optional[str]:
    """By its name alone, as systemd-nspawn knows it."""
    if person.group == name:
        return None
    found = f"its primary group is {person.group or 'one without a name'}"
    if not making:
        return (
            f"{found}; expected one of its own with its name. Make it (groupadd {name}, usermod -g"
            f" {name} {name}), or have the role nspawn.machined.users do it"
            " (users_private_group: make)"
        )
    if not person.is_local:
        return f"{found}, and it is not in /etc/passwd, so its group can only be changed elsewhere"
    group = people.groups.get(name)
    return _wrong_with_shared(name, group) if group else None


def _wrong_with_shared(name: str, group: Group) -> t.Optional[str]:
    others = sorted({*group.members, *group.primary_of} - {name})
    if others:
        return f"the group {name} is there, and not its own: {', '.join(others)} is in it as well"
    return None


def _wrong_with_numbers(name: str, person: Person, people: People) -> t.Optional[str]:
    """Inside, the home's files have the user's group only if their group has the user's number."""
    uid, home = person.uid, person.home
    group = Group(person.gid) if person.group == name else people.groups.get(name)
    taken = people.numbers.get(uid)
    why = (
        f"from {ONE_NUMBER_SINCE} on systemd gives a home into a machine with its user's number"
        f" ({uid}) alone, for the group as well, and with another one nothing in it can be written"
    )
    if group is not None and group.gid != uid:
        free = f"groupmod --gid {uid} {name}" + (f"; today {taken} has that" if taken else "")
        return (
            f"its group {name} has the number {group.gid}: {why}. Give both one number ({free}),"
            f" and its files to the group again (chgrp --recursive --no-dereference {name}"
            f" {home.real})"
        )
    if group is None and taken:
        return (
            f"a group of its own could not have its number, which is that of the group {taken}:"
            f" {why}. Give that group or the user another number"
        )
    # Of what belongs to the former group, usermod makes the new one the group.
    if home.gid not in (uid, person.gid):
        return (
            f"its home {home.path!r} belongs to group {home.gid}: {why}. Give it to its own (chgrp"
            f" {name} {home.real})"
        )
    return None


# --- what may surprise ----------------------------------------------------------------------


def warning(bound: Bound, tree: t.Optional[Tree], image: str) -> t.Optional[str]:
    """What is taken, and may not do what was meant; O(tree) is nothing for a file."""
    here, who = f"machine {bound.machine}", ", ".join(sorted(bound.linger))
    if not bound.names:
        return None
    if tree is None:
        return (
            f"{here}: the image {image} is a file with a file system in it: whether its users are"
            " known in it, or there already, cannot be seen from outside. Look there with getent"
            f" passwd {bound.names[0]}"
        )
    if bound.linger and not tree.has_manager:
        return (
            f"{here}: users_linger: {image} has no systemd-logind with pam_systemd, so {who} will"
            " have no service manager; install libpam-systemd of Debian there, or systemd with PAM"
        )
    if bound.linger and not tree.has_bus:
        return (
            f"{here}: users_linger: {image} has no bus for users: {who} can enable and start own"
            " services with systemctl --user, but not systemd-run --user, nor what else needs that"
            " bus; install dbus-user-session of Debian there, or dbus or dbus-broker elsewhere"
        )
    return None


def concerns(
    bound: Bound, names: t.Iterable[str], people: People, rules: Rules, version: int
) -> t.Iterator[str]:
    """What would have refused O(names), had they been declared: a file that is there has them."""
    for name in names:
        if name in bound.names:
            continue
        try:
            check(dataclasses.replace(bound, names=(name,)), people, rules, version)
        except Failure as failure:
            yield (
                f"{failure.message}. It is not declared here, but BindUser= of its settings or"
                " --bind-user of its unit names it, which this does not change: remove that there,"
                " or declare the machine's users"
            )


# --- the machine ----------------------------------------------------------------------------


def check_tree(bound: Bound, tree: Tree, image: str, people: People, version: int) -> None:
    """Refuse what is there already, and who would be unknown inside."""
    here = f"machine {bound.machine}"
    for name in bound.names:
        for what, there in (("user", tree.users), ("group", tree.groups)):
            if name in there:
                raise Failure(
                    f"{here}: {name!r} cannot be its user: {image} has a {what} of that name"
                    " already; remove it there, or let it be and leave the user out"
                )
    if bound.names and not tree.has_library:
        raise Failure(
            f"{here}: {bound.names[0]!r} would be unknown in it: {image} has no"
            " libnss_systemd.so.2; install it there (libnss-systemd of Debian, nss-systemd of"
            " openSUSE, part of systemd elsewhere)"
        )
    for shell in sorted(shells_of(bound, people)):
        if shell not in tree.shells:
            raise Failure(
                f"{here}: users_shell: {image} has no program {shell}; install it there, or name"
                " another shell"
            )
    check_shell(bound, people, version)


def shells_of(bound: Bound, people: People) -> frozenset[str]:
    """The shells that its users are to have."""
    if bound.shell is None:
        return frozenset()
    if bound.shell != "yes":
        return frozenset((bound.shell,))
    return frozenset(people.of(name).shell or "/bin/sh" for name in bound.names)


def check_shell(bound: Bound, people: People, version: int) -> None:
    """Before there was a key for it, everybody had the default one."""
    other = sorted(shells_of(bound, people) - {DEFAULT_SHELL})
    if other and version < SHELL_SINCE:
        raise Failure(
            f"machine {bound.machine}: users_shell: {', '.join(other)} needs systemd {SHELL_SINCE},"
            f" this host has {version}, with which all users that are bound have {DEFAULT_SHELL}"
            " inside; leave users_shell out, or start the other one from a .bash_profile"
        )


def check_private(bound: Bound, facts: private_users.Facts, version: int) -> None:
    """Refuse a machine whose users are the host's, where systemd-nspawn does."""
    reason = private_users.why_shared(facts) if bound.names else None
    if reason and version < SHARED_SINCE:
        raise Failure(
            f"machine {bound.machine}: {bound.names[0]!r} cannot be its user, as its users are the"
            f" host's: {reason}. Give it users of its own ([Exec] PrivateUsers=pick, the default);"
            f" systemd {SHARED_SINCE} could do without"
        )
