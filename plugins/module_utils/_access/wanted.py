# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who shall be allowed what with which machine. Private to the collection.

Pure: from what the user declares to wishes, and refusals of what cannot be an owner.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._core.plan import Failure
from .._systemd import machined

# All that an owner may unless it is narrowed, in the order in which it is written and told.
RIGHTS = ("start", "stop", "restart", "login", "shell", "kill", "terminate", "status")
# Never among what an owner may by default: an argument of its own asks for it.
ROOT_SHELL = "root_shell"
EVERY = (*RIGHTS, ROOT_SHELL)

# Who is the same for many: a right of theirs is everybody's, or says nothing.
_NOBODY = frozenset({"nobody", "nogroup"})
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+@\\ -]*[A-Za-z0-9_-])?")


@dataclasses.dataclass(frozen=True, order=True)
class Owner:
    """A user of the host, or all members of a group of it."""

    name: str
    is_group: bool = False

    def __str__(self) -> str:
        return f"@{self.name}" if self.is_group else self.name


@dataclasses.dataclass(frozen=True)
class Grant:
    """What some people may do with one machine; nothing is granted without people."""

    machine: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    may: tuple[str, ...] = RIGHTS

    @property
    def owners(self) -> tuple[Owner, ...]:
        return (
            *(Owner(name) for name in self.users),
            *(Owner(name, is_group=True) for name in self.groups),
        )


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The rights to some machines as they shall be, or to all machines of the host."""

    grants: tuple[Grant, ...] = ()
    machines: tuple[str, ...] = ()
    """All that are named, those included to which nobody shall have rights."""
    exclusive: bool = True
    """There shall be no rights to machines that are not named."""
    shared: frozenset[str] = frozenset()
    """The machines that may have owners although their root is the host's."""


def grant_of(
    machine: str,
    owners: t.Sequence[str],
    may: t.Optional[t.Sequence[str]] = None,
    root_shell: bool = False,
) -> t.Optional[Grant]:
    """The rights to one machine; nothing when nobody shall have any."""
    here = f"machine {machine}"
    people = sorted({owner_of(text, here) for text in owners})
    words = RIGHTS if may is None else tuple(right for right in RIGHTS if right in may)
    if not people:
        if may is not None or root_shell:
            raise Failure(
                f"{here}: says what its owner may do, but names none; name a user of the host, or a"
                " group with @ before its name"
            )
        return None
    if root_shell:
        words = (*words, ROOT_SHELL)
    if not words:
        raise Failure(
            f"{here}: its owner may do nothing; leave the owner out, or name some of"
            f" {', '.join(RIGHTS)}"
        )
    return Grant(
        machine,
        users=tuple(one.name for one in people if not one.is_group),
        groups=tuple(one.name for one in people if one.is_group),
        may=words,
    )


def owner_of(text: str, here: str) -> Owner:
    """An owner from its spelling; a refusal of what can be none on any host."""
    is_group = text.startswith("@")
    name = text[1:] if is_group else text
    wrong = _wrong_with(name, "group" if is_group else "user")
    if wrong:
        raise Failure(
            f"{here}: {text!r} cannot be its owner: {wrong}. Expected the name of a user of the"
            " host, or of a group with @ before it, like alan or @staff"
        )
    return Owner(name, is_group)


def _wrong_with(name: str, what: str) -> t.Optional[str]:
    if not name.strip():
        return "it is empty" if what == "user" else "the group has no name"
    strange = sorted(set(re.findall(r"[^A-Za-z0-9_.+@\\ -]", name)))
    if strange:
        return "it contains " + " and ".join(repr(character) for character in strange)
    if name.isdigit():
        return f"it is a number; name the {what} that has it"
    if not _NAME.fullmatch(name):
        return f"no {what} has such a name"
    if name == "root":
        return f"the {what} root may do everything anyway"
    if name in _NOBODY:
        return f"the {what} {name} stands for everybody who is unknown"
    return None


# --- from arguments -------------------------------------------------------------------------


def wanted_of(entries: t.Sequence[t.Mapping[str, t.Any]], *, exclusive: bool) -> Wanted:
    """The wishes from the argument C(machines)."""
    names = [entry["name"] for entry in entries]
    for name in names:
        machined.check_name(name)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise Failure(
            f"{', '.join(doubled)}: named more than once; give each machine one entry with all its"
            " owners"
        )
    found = [grant_in(entry) for entry in entries]
    return Wanted(
        grants=tuple(grant for grant in found if grant),
        machines=tuple(names),
        exclusive=exclusive,
        shared=frozenset(entry["name"] for entry in entries if entry["owner_shared_users"]),
    )


def grant_in(entry: t.Mapping[str, t.Any]) -> t.Optional[Grant]:
    """The rights that the entry of a machine declares, wherever machines are declared."""
    one = entry["owner"]
    owners = [*([] if one is None else [one]), *(entry["owners"] or ())]
    return grant_of(entry["name"], owners, entry["owner_may"], entry["owner_root_shell"])


def gone_of(entries: t.Sequence[t.Mapping[str, t.Any]]) -> Wanted:
    """That nobody shall have rights to the machines named, or to any when none is named."""
    names = tuple(entry["name"] for entry in entries)
    for name in names:
        machined.check_name(name)
    return Wanted(machines=names, exclusive=not names)
