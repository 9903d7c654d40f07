# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The way to a host, from its variables. Private to the collection.

What Ansible's own executor does before a task, done for one command.
"""

from __future__ import annotations

import typing as t

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.become import BecomeBase
from ansible.plugins.loader import become_loader, connection_loader
from ansible.template import Templar, trust_as_template

from .variables import Way

SSH = "ssh"
_LOCAL = ("local", "ansible.builtin.local")
_SSH = (SSH, "smart", "ansible.builtin.ssh")
# How the variables begin that say how a host is reached by ssh, and are its machines' as well.
_ITS = (
    "ansible_control_path",
    "ansible_host",
    "ansible_password",
    "ansible_pkcs11",
    "ansible_port",
    "ansible_private_key",
    "ansible_scp_",
    "ansible_sftp_",
    "ansible_ssh",
)
# Which user it is, is said by one name there: the others are those of the user inside.
_NOT_ITS = ("ansible_ssh_user",)
_SECRET = ("pass", "password", "passphrase", "pin", "private_key")


def _configured(name: str) -> t.Any:
    return C.config.get_config_value(name)


class Reach:
    """One host, as its variables say that it is reached."""

    def __init__(self, name: str, variables: t.Mapping[str, t.Any], loader: DataLoader) -> None:
        self.name = name
        self.variables = {
            **variables,
            "inventory_hostname": name,
            "inventory_hostname_short": name.split(".")[0],
        }
        self._templar = Templar(loader=loader, variables=self.variables)
        kind = str(self._value("ansible_connection") or _configured("DEFAULT_TRANSPORT"))
        self.kind = SSH if kind in _SSH else kind
        self.is_local = kind in _LOCAL
        self.python = self._python()
        self.become = self._become()
        self.connection = self._connection()
        self.way = self._way()

    def _value(self, name: str) -> t.Any:
        return self._templar.template(self.variables.get(name))

    def _python(self) -> t.Optional[str]:
        """Its Python, if somebody has said which."""
        found = self._value("ansible_python_interpreter")
        return None if not found or str(found).startswith("auto") else str(found)

    def _become(self) -> t.Optional[BecomeBase]:
        """What makes its user root, if that is what the variables say."""
        wished = self._value("ansible_become")
        if not boolean(_configured("DEFAULT_BECOME") if wished is None else wished, strict=False):
            return None
        plugin = become_loader.get(self._method())
        if plugin is None:
            raise AnsibleError(f"there is no become plugin {self._method()}")
        known = C.config.get_plugin_vars("become", plugin._load_name)
        plugin.set_options(var_options={n: self._value(n) for n in known if n in self.variables})
        return t.cast("BecomeBase", plugin)

    def _method(self) -> str:
        return str(self._value("ansible_become_method") or _configured("DEFAULT_BECOME_METHOD"))

    def _connection(self) -> t.Any:
        context = PlayContext()
        context.remote_addr = str(self._value("ansible_host") or self.name)
        connection = connection_loader.get(self.kind, context)
        if connection is None:
            raise AnsibleError(f"there is no connection plugin {self.kind}")
        connection.set_become_plugin(self.become)
        resolved = connection._resolve_option_variables(self.variables, self._templar)
        connection.set_options(var_options=resolved)
        return connection

    # --- what its machines need of it ---

    def _way(self) -> Way:
        """What leads there, for its machines."""
        variables = self._become_variables()
        if not self.is_local:
            variables.update(self._ssh_variables())
        return Way(self.is_local, variables)

    def _ssh_variables(self) -> dict[str, t.Any]:
        # The resolved one: what it is made of may be something else for a machine.
        variables: dict[str, t.Any] = {"ansible_host": self._value("ansible_host") or self.name}
        if self.kind == SSH:
            variables["ansible_host"] = str(self.connection.get_option("host"))
        else:
            connection_loader.get(SSH, class_only=True)
        for name in C.config.get_plugin_vars("connection", SSH):
            if name in self.variables and name.startswith(_ITS) and name not in _NOT_ITS:
                variables[name] = self._handed_on(name)
        user = self._user()
        if user:
            variables["ansible_ssh_user"] = user
        return variables

    def _user(self) -> t.Optional[str]:
        """The user there; not the one of the command line, who is meant to be inside."""
        if self.kind != SSH:
            user, origin = self._value("ansible_ssh_user") or self._value("ansible_user"), ""
        else:
            user, origin = self.connection.get_option_and_origin("remote_user")
        return None if not user or str(origin).startswith("cli") else str(user)

    def _become_variables(self) -> dict[str, t.Any]:
        if self.become is None:
            return {}
        method = self._method()
        ours = "ansible_nspawn_host_become"
        variables: dict[str, t.Any] = {ours: True, f"{ours}_method": method}
        short = method.rpartition(".")[2]
        for option, names in {
            "exe": ("become_exe", f"{short}_exe"),
            "flags": ("become_flags", f"{short}_flags"),
            "pass": ("become_password", "become_pass", f"{short}_pass", f"{short}_password"),
        }.items():
            for name in (f"ansible_{name}" for name in names):
                if name in self.variables:
                    variables[f"{ours}_{option}"] = self._handed_on(name)
        return variables

    def _handed_on(self, name: str) -> t.Any:
        """A variable of the host for its machines; a secret is looked up only when it is needed."""
        value = self.variables[name]
        if not name.endswith(_SECRET):
            return self._value(name)
        if not self._templar.is_template(value):
            return value
        return trust_as_template("{{ hostvars[nspawn_host][" + repr(name) + "] }}")
