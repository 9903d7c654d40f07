# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A machine of another host, with Ansible's own ssh on the way. Private to the collection."""

from __future__ import annotations

import getpass
import hashlib
import typing as t

from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from .base import MachineConnection

if t.TYPE_CHECKING:
    from . import entry, making

# How the variables begin that say which host, and how it is reached. A test holds them to those
# that C(ansible.builtin.ssh) knows.
ITS = (
    "ansible_control_path",
    "ansible_host",
    "ansible_nspawn_host_",
    "ansible_password",
    "ansible_pkcs11",
    "ansible_port",
    "ansible_private_key",
    "ansible_scp_",
    "ansible_sftp_",
    "ansible_ssh",
    "inventory_hostname",
)
_HOST = ("ansible_ssh_host", "ansible_host", "inventory_hostname")
# These are about the system inside, and the name of a machine is not that of its host.
NOT_ITS = ("ansible_pipelining", "ansible_user")


class OverSshConnection(MachineConnection):
    """Hands the way to the host over to C(ansible.builtin.ssh), with all of its options."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._given = (args, {**kwargs, "shell": self._shell})
        self._variables: t.Mapping[str, t.Any] = {}
        self._templar: t.Any = None
        self._task_keys: dict[str, t.Any] = {}
        self._found: list[tuple[str, t.Any]] = []

    def _resolve_option_variables(
        self, variables: t.Mapping[str, t.Any], templar: t.Any
    ) -> dict[str, t.Any]:
        self._variables, self._templar = variables, templar
        return dict(super()._resolve_option_variables(variables, templar))

    def set_options(
        self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None
    ) -> None:
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        self._variables = self._variables or var_options or {}
        self._task_keys = {
            name: value for name, value in (task_keys or {}).items() if name != "remote_user"
        }
        self._found = []

    @property
    def owned(self) -> bool:
        return bool(self.get_option("as_owner"))

    def owner(self) -> str:
        return str(self.get_option("ssh_user") or getpass.getuser())

    def host(self) -> str:
        return str(dict(self._pairs())["host"])

    def how(self) -> str:
        return hashlib.sha256(repr(self._pairs()).encode()).hexdigest()

    def _pairs(self) -> list[tuple[str, t.Any]]:
        # The plugin itself is needed only when there is no lane yet, and takes long to load.
        if not self._found:
            names = sorted(name for name in self._variables if name.startswith(ITS))
            pairs = [(name, self._variables[name]) for name in names]
            # "meta: reset_connection" gives variables that nobody has looked into yet.
            templar = self._templar or Templar(None, dict(self._variables))
            self._found = list(templar.template(pairs))
            there = dict(self._found)
            host = next((there[name] for name in _HOST if there.get(name)), "")
            self._found += [("host", host), ("port", self._task_keys.get("port"))]
        return self._found

    def way(self) -> making.Way:
        from . import hosts, making

        host = hosts.OverSsh(self._ssh(), hosts.become_of(self))
        return making.Way(host, self._target(), self._patience)

    def _target(self) -> entry.Target:
        from . import making

        if self.owned:
            return making.owned(self.target, self.user)
        return making.machine(self.target)

    def _ssh(self) -> ConnectionBase:
        args, kwargs = self._given
        ssh = connection_loader.get("ansible.builtin.ssh", *args, **kwargs)
        variables: t.Mapping[str, t.Any] = self._variables
        if self._templar is not None:
            variables = ssh._resolve_option_variables(variables, self._templar)
        its = {name: value for name, value in variables.items() if name not in NOT_ITS}
        ssh.set_options(task_keys=self._task_keys, var_options=its)
        # Not whom "-u", remote_user and the like name: that is the user inside.
        ssh.set_option("remote_user", self.get_option("ssh_user"))
        # A terminal on the host would spoil what goes through it.
        ssh.set_option("use_tty", False)
        ssh.host = ssh.get_option("host") or self._play_context.remote_addr
        return t.cast("ConnectionBase", ssh)
