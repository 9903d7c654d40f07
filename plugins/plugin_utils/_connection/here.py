# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A machine of the controller's own host. Private to the collection."""

from __future__ import annotations

import getpass
import typing as t

from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import connection_loader

from .base import MachineConnection

if t.TYPE_CHECKING:
    from . import making


class HereConnection(MachineConnection):
    """Nothing is on the way, but becoming root perhaps."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._given = (args, {**kwargs, "shell": self._shell})

    @property
    def owned(self) -> bool:
        return bool(self.get_option("as_owner"))

    def owner(self) -> str:
        return getpass.getuser()

    def host(self) -> str:
        return ""

    def how(self) -> str:
        return ""

    def way(self) -> making.Way:
        from . import hosts, making

        host = hosts.Host(local(self._given), hosts.become_of(self))
        if self.owned:
            return making.Way(host, making.owned(self.target, self.user), self._patience)
        return making.Way(host, making.machine(self.target), self._patience)


def local(given: tuple[tuple[t.Any, ...], dict[str, t.Any]]) -> ConnectionBase:
    """The controller's own host, as Ansible sees it."""
    args, kwargs = given
    connection = connection_loader.get("ansible.builtin.local", *args, **kwargs)
    connection.set_options()
    return t.cast("ConnectionBase", connection)
