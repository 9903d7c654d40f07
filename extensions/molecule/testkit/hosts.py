# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts that Molecule has booted, the machines on them, and what is declared for both."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t
from dataclasses import dataclass

import testinfra

Variables = t.Mapping[str, t.Any]
# A testinfra host finds its modules (host.service, host.file) at run time: no type knows them.
Host = t.Any


@dataclass(frozen=True)
class Machine:
    """A machine from both sides, with the variables of its host."""

    name: str
    inside: Host
    outside: Host
    variables: Variables

    @property
    def unit(self) -> str:
        return f"systemd-nspawn@{self.name}.service"


class Inventory:
    """An inventory as Ansible reads it; variables with templates stay as they are written."""

    def __init__(self, sources: t.Sequence[str]) -> None:
        self.sources = sources
        command = ["ansible-inventory", "--list"]
        command += [f"--inventory={source}" for source in sources]
        listed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        self.variables: t.Mapping[str, Variables] = json.loads(listed)["_meta"]["hostvars"]
        self._hosts: dict[str, Host] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self.variables)

    def machines(self, host: str) -> list[str]:
        """The machines that are declared for a host."""
        return [machine["name"] for machine in self.variables[host].get("machines_wanted", [])]

    def host(self, name: str) -> Host:
        """A host, over a connection that stays open."""
        if name not in self._hosts:
            variables = self.variables[name]
            arguments = (variables["ansible_ssh_common_args"], variables["ansible_ssh_args"])
            self._hosts[name] = testinfra.get_host(
                f"ssh://{variables['ansible_user']}@{variables['ansible_host']}",
                ssh_extra_args=" ".join(arguments),
                # Beside Ansible's own: taking the host down ends what is open in there.
                controlpath=f"{variables['ansible_control_path_dir']}/testinfra",
            )
        return self._hosts[name]

    def machine(self, name: str, host: str) -> Machine:
        outside = self.host(host)
        inside = testinfra.get_host(f"nspawn://{name}@{host}", outside=outside)
        return Machine(name, inside, outside, self.variables[host])


def eventually(true: t.Callable[[], bool], seconds: float = 10) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
