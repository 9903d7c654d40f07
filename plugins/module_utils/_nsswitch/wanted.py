# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which services shall be asked for which databases. Private to the collection. Pure."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from .._core.plan import Failure
from .text import Service

_DATABASE = re.compile(r"[a-z][a-z_]*")
_SERVICE = re.compile(r"(?:(\[[!A-Za-z= ]+\])\s+)?([A-Za-z0-9_.+-]+)")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The services of some databases of one system."""

    root: str
    """The directory that is the root of that system."""
    databases: t.Mapping[str, tuple[Service, ...]] = dataclasses.field(default_factory=dict)
    absent: bool = False
    """They shall not be asked."""

    @property
    def is_host(self) -> bool:
        return os.path.normpath(self.root) in ("/", "//")


def wanted_of(databases: t.Mapping[str, t.Any], root: str, *, absent: bool = False) -> Wanted:
    """The wish from the arguments of the module."""
    if not os.path.isabs(root):
        raise Failure(
            f"root: {root!r} is no absolute path; expected the directory that is the root of a"
            " system, like /var/lib/machines/web"
        )
    return Wanted(
        root,
        {_database(name): _services(name, given) for name, given in databases.items()},
        absent,
    )


def _database(name: t.Any) -> str:
    if not isinstance(name, str) or not _DATABASE.fullmatch(name):
        raise Failure(
            f"databases: {name!r} is no database; expected a name as nsswitch.conf has it, like"
            " passwd, group, shadow or hosts"
        )
    return name


def _services(database: str, given: t.Any) -> tuple[Service, ...]:
    if not isinstance(given, (list, tuple)) or not given:
        raise Failure(
            f"databases: {database}: {given!r} is no list of services; expected one like [systemd]"
        )
    found = tuple(_service(database, one) for one in given)
    names = [one.name for one in found]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise Failure(f"databases: {database}: {', '.join(doubled)} is named more than once")
    return found


def _service(database: str, given: t.Any) -> Service:
    match = _SERVICE.fullmatch(given) if isinstance(given, str) else None
    if not match:
        raise Failure(
            f"databases: {database}: {given!r} is no service; expected a name like systemd, or"
            ' "[SUCCESS=merge] systemd"'
        )
    return Service(match.group(2), match.group(1) or "")
