# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host shows of rights to machines: its polkit, its people, and its machines' users.

Private to the collection. Only reads.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import grp
import os
import pwd
import stat
import typing as t

from .._core import files as core_files
from .._core.lines import lines_of
from .._core.plan import Failure
from .._core.run import run
from .._settings import nspawn_file
from .._systemd import bus, machined
from . import private_users, rules
from .wanted import Grant, Owner, Wanted

POLKIT = bus.Service(
    "org.freedesktop.PolicyKit1",
    "/org/freedesktop/PolicyKit1/Authority",
    "org.freedesktop.PolicyKit1.Authority",
)
POLKIT_UNIT = "polkit.service"
WORKERS = 8


@dataclasses.dataclass(frozen=True)
class Polkit:
    """Who decides on this host what ordinary users may."""

    backend: t.Optional[str] = None
    """C(js) where rules are JavaScript, C(local) where they are .pkla files; nothing: no polkit."""
    version: str = ""
    fault: str = ""
    """Why it does not answer."""

    @property
    def reads_rules(self) -> bool:
        return self.backend == "js"


@dataclasses.dataclass(frozen=True)
class Person:
    """What the host makes of the name of an owner."""

    name: t.Optional[str] = None
    """How polkit will call it; nothing when there is no such user or group."""
    uid: t.Optional[int] = None
    other: bool = False
    """It is a group where a user was expected, or a user where a group was."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine to which somebody shall have rights."""

    there: bool = False
    """It has an image, or runs."""
    facts: private_users.Facts = dataclasses.field(default_factory=private_users.Facts)


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The host as far as rights are concerned."""

    text: t.Optional[str] = None
    """Of the file of rules."""
    sound: bool = True
    """Polkit can read it, which is not root, and nobody but root can change it."""
    polkit: Polkit = dataclasses.field(default_factory=Polkit)
    people: t.Mapping[Owner, Person] = dataclasses.field(default_factory=dict)
    machines: t.Mapping[str, Machine] = dataclasses.field(default_factory=dict)


def snapshot(wanted: Wanted) -> Snapshot:
    """Look; a host on which nobody shall have rights is asked for nothing but its file."""
    text = core_files.read(rules.PATH)
    if not wanted.grants:
        return Snapshot(text)
    return Snapshot(
        text=text,
        sound=text is None or is_sound(rules.PATH),
        polkit=polkit(),
        people=people(owner for grant in wanted.grants for owner in grant.owners),
        machines=machines([grant.machine for grant in wanted.grants]),
    )


def is_sound(path: str) -> bool:
    status = os.lstat(path)
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid == 0
        and bool(status.st_mode & stat.S_IROTH)
        and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def granted() -> dict[str, Grant]:
    """The rights that there are, by the machines' names; of a file that is not ours, none."""
    text = core_files.read(rules.PATH)
    try:
        return {} if text is None else {one.machine: one for one in rules.parse(text)}
    except Failure:
        return {}


# --- polkit ---------------------------------------------------------------------------------


def polkit() -> Polkit:
    """Asked on the bus, which starts it if need be: so it is known to work."""
    try:
        found = bus.properties(POLKIT, "BackendName", "BackendVersion")
    except Failure as failure:
        return Polkit(fault=str(failure.details.get("stderr") or failure.message).strip())
    return Polkit(found["BackendName"], found["BackendVersion"])


def polkit_reloads() -> t.Optional[bool]:
    """Whether it can be told to read its rules; nothing when it does not run."""
    argv = ["systemctl", "show", "--property=ActiveState,CanReload", "--", POLKIT_UNIT]
    shown = dict(line.partition("=")[::2] for line in lines_of(run(argv).stdout))
    return shown.get("CanReload") == "yes" if shown.get("ActiveState") == "active" else None


# --- people ---------------------------------------------------------------------------------


def people(owners: t.Iterable[Owner]) -> dict[Owner, Person]:
    return {owner: _person(owner) for owner in owners}


def _person(owner: Owner) -> Person:
    user, group = _user(owner.name), _group(owner.name)
    found, other = (group, user) if owner.is_group else (user, group)
    return found or Person(other=other is not None)


def _user(name: str) -> t.Optional[Person]:
    """Polkit knows a user by the first name of the UID, which may be another spelling."""
    try:
        uid = pwd.getpwnam(name).pw_uid
        return Person(pwd.getpwuid(uid).pw_name, uid)
    except KeyError:
        return None


def _group(name: str) -> t.Optional[Person]:
    try:
        return Person(grp.getgrgid(grp.getgrnam(name).gr_gid).gr_name)
    except KeyError:
        return None


# --- machines -------------------------------------------------------------------------------


def machines(names: t.Sequence[str]) -> dict[str, Machine]:
    """What decides whose root a machine's root is, for some machines."""
    if not machined.is_installed():
        return {name: Machine() for name in names}
    images = machined.images()
    running = machined.machines([name for name in machined.registered() if name in names])
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        commands = dict(zip(names, pool.map(command_of, names)))
    return {
        name: _machine(name, commands[name], images.get(name), running.get(name)) for name in names
    }


def _machine(
    name: str,
    command: tuple[str, ...],
    image: t.Optional[machined.Image],
    running: t.Optional[machined.Machine],
) -> Machine:
    found = nspawn_file.locate(name, image.path if image else None)
    return Machine(
        there=image is not None or running is not None,
        facts=private_users.Facts(
            settings=core_files.read(found.path) if found else None,
            trusted=found is None or found.trusted,
            command=command,
            image_uid=_root_uid(image),
            uid_map=_uid_map(running),
            version=machined.systemd_version(),
        ),
    )


def command_of(name: str) -> tuple[str, ...]:
    """What the unit would run, all drop-ins included; nothing when it is masked."""
    where = bus.object_path("/org/freedesktop/systemd1/unit", machined.unit_of(name))
    found = bus.properties(
        bus.SYSTEMD, "ExecStart", path=where, interface="org.freedesktop.systemd1.Service"
    )
    for path, argv, *_times in found["ExecStart"]:
        # The first word of argv is only what the process is called.
        return (path, *argv[1:])
    return ()


def _root_uid(image: t.Optional[machined.Image]) -> t.Optional[int]:
    if image is None or not core_files.is_directory(image.path):
        return None
    return os.lstat(image.path).st_uid


def _uid_map(running: t.Optional[machined.Machine]) -> t.Optional[str]:
    if running is None or not running.leader:
        return None
    try:
        return core_files.read(f"/proc/{running.leader}/uid_map")
    except ProcessLookupError:
        # It has just ended.
        return None
