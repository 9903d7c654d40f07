# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which users of the host shall be users of which machine. Private to the collection.

Pure: from what the user declares to wishes, and refusals of what can be nobody's name.
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core.plan import Failure
from .._settings import nspawn_file
from .._systemd import machined

HOME_ROOTS = ("/home", "/var/home")
# What systemd gives to users whose record names no shell, and to all before it had BindUserShell=.
DEFAULT_SHELL = "/bin/bash"
SHELL_SINCE = 258

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}")
# Who they are is the same on every host.
_NEVER = ("root", "nobody")


@dataclasses.dataclass(frozen=True)
class Bound:
    """Users of the host who shall be users of one machine as well."""

    machine: str
    names: tuple[str, ...] = ()
    linger: frozenset[str] = frozenset()
    """Those who shall have a service manager inside from the boot on."""
    shell: t.Optional[str] = None
    """A path, C(yes) for that of the host; nothing for the machine's default."""
    allow_system: bool = False
    """System users are meant."""
    elsewhere: frozenset[str] = frozenset()
    """Those whom only the settings of the machine name."""

    @property
    def declared(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in self.elsewhere)


NOBODY = Bound("")


@dataclasses.dataclass(frozen=True)
class Rules:
    """What holds for all users of a host."""

    home_roots: tuple[str, ...] = HOME_ROOTS
    """The folders below which homes may be that machines are given."""
    make_groups: bool = False
    """A user without a private group gets one."""


@dataclasses.dataclass(frozen=True)
class Guest:
    """One machine of the module C(users)."""

    bound: Bound
    image: t.Optional[str] = None
    settings: t.Optional[nspawn_file.Settings] = None
    unit: str = ""
    leaving: bool = False


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The people of all machines of a host."""

    guests: tuple[Guest, ...] = ()
    rules: Rules = dataclasses.field(default_factory=Rules)
    absent: bool = False
    """What was made for users shall be taken back."""

    @property
    def names(self) -> tuple[str, ...]:
        staying = [one.bound for one in self.guests if not one.leaving]
        return tuple(dict.fromkeys(name for bound in staying for name in bound.names))


def bound_in(
    entry: t.Mapping[str, t.Any], settings: t.Optional[nspawn_file.Settings] = None
) -> Bound:
    """The users that the entry of a machine declares, wherever machines are declared.

    O(settings) are those of the entry: who is named there is a user as much as others.
    """
    here = f"machine {entry['name']}"
    declared = tuple(entry["users"] or ())
    values = settings.values_of("Files", "BindUser") if settings is not None else ()
    named = tuple(name for value in values for name in value.split())
    _check_names(declared, f"{here}: users")
    _check_names(named, f"{here}: settings, [Files] BindUser=")
    linger = frozenset(entry["users_linger"] or ())
    strangers = sorted(linger.difference(declared))
    if strangers:
        raise Failure(
            f"{here}: users_linger: {', '.join(strangers)} is not among its users; add the name"
            " there, or remove it here"
        )
    shell = _shell_of(entry["users_shell"], here) if entry["users_shell"] is not None else None
    return Bound(
        machine=entry["name"],
        names=tuple(dict.fromkeys((*named, *declared))),
        linger=linger,
        shell=shell,
        allow_system=bool(entry["users_allow_system"]),
        elsewhere=frozenset(named).difference(declared),
    )


def named_in(settings: t.Optional[str], command: t.Sequence[str]) -> tuple[str, ...]:
    """Whom a settings file and the command of a unit make users, whoever wrote that."""
    found: list[str] = []
    for value in _bound_by(settings or ""):
        # An empty one takes back what comes before it.
        found = [*found, *value.split()] if value else []
    for word, following in zip(command, [*command[1:], ""]):
        option, equals, value = word.partition("=")
        if option == "--bind-user":
            found.append(value if equals else following)
    return tuple(dict.fromkeys(found))


def _bound_by(settings: str) -> t.Sequence[str]:
    """What a file says of users; one that no systemd takes whole says nothing."""
    if "BindUser" not in settings:
        return ()
    try:
        return nspawn_file.parse(settings).values_of("Files", "BindUser")
    except Failure:
        return ()


def _check_names(names: t.Sequence[str], here: str) -> None:
    for name in names:
        _check_name(name, here)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise Failure(f"{here}: {', '.join(doubled)} is named more than once")


def _check_name(name: str, here: str) -> None:
    wrong = None
    if not name.strip():
        wrong = "it is empty"
    elif name.isdigit():
        wrong = "it is a number; name the user that has it"
    elif name in _NEVER:
        wrong = f"systemd maps no user {name}, who is somebody else inside"
    elif not _NAME.fullmatch(name):
        wrong = "no user has such a name"
    if wrong:
        raise Failure(
            f"{here}: {name!r} cannot be its user: {wrong}. Expected the name of a user of"
            " the host, like alan"
        )


def _shell_of(given: str, here: str) -> str:
    if given.lower() in ("yes", "true", "host"):
        return "yes"
    if given.startswith("/") and not re.search(r"[\s:\x00-\x1f]", given) and given != "/":
        return os.path.normpath(given)
    raise Failure(
        f"{here}: users_shell: {given!r} is no shell; expected the path of a program inside, like"
        " /bin/zsh, or host for the one that each user has on the host"
    )


def rules_of(roots: t.Sequence[str], make_groups: bool) -> Rules:
    """The rules from the arguments of a module."""
    for root in roots:
        if not os.path.isabs(root) or os.path.normpath(root).strip("/") == "":
            raise Failure(
                f"users_home_roots: {root!r} cannot hold homes; expected an absolute path of a"
                " folder other than /, like /home"
            )
    if not roots:
        raise Failure("users_home_roots: is empty; expected folders that hold homes, like /home")
    return Rules(tuple(os.path.normpath(root) for root in roots), make_groups)


def wanted_of(
    entries: t.Sequence[t.Mapping[str, t.Any]], rules: Rules, *, absent: bool = False
) -> Wanted:
    """The wishes from the argument C(machines) of the module C(users)."""
    names = [entry["name"] for entry in entries]
    for name in names:
        machined.check_name(name)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise Failure(
            f"{', '.join(doubled)}: named more than once; give each machine one entry with all its"
            " users"
        )
    return Wanted(tuple(_guest(entry) for entry in entries), rules, absent)


def _guest(entry: t.Mapping[str, t.Any]) -> Guest:
    given, here = entry["settings"], f"machine {entry['name']}, settings"
    settings = None if given is None else nspawn_file.normalise(given, here)
    return Guest(
        bound=bound_in(entry, settings),
        image=entry["image"],
        settings=settings,
        leaving=entry["state"] == "absent",
    )


def settings_of(bound: Bound) -> nspawn_file.Settings:
    """What of a machine's settings makes them its users."""
    if not bound.names:
        return nspawn_file.Settings({})
    keys: dict[str, tuple[str, ...]] = {"BindUser": bound.names}
    if bound.shell is not None and bound.shell != DEFAULT_SHELL:
        keys["BindUserShell"] = (bound.shell,)
    return nspawn_file.Settings({"Files": keys})
