# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tells ssh and Ansible how to reach a host."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping

from . import places
from .network import Link

# Words that YAML 1.1 reads as something else; a host may have such a name.
NOT_STRINGS = {"false", "no", "null", "off", "on", "true", "yes"}


def ssh_options(host: places.Host) -> dict[str, str]:
    """Only the host's own key is believed, and only the project's key is offered."""
    return {
        "User": "root",
        "IdentityFile": str(places.SSH_KEY),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(host.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "PasswordAuthentication": "no",
        "ConnectTimeout": "10",
    }


def ssh_config(host: places.Host, link: Link) -> str:
    """A configuration for: ssh -F build/hosts/NAME/ssh_config NAME."""
    options = {"HostName": link.address, **ssh_options(host)}
    return f"Host {host.name}\n" + "".join(
        f'    {key} "{value}"\n' for key, value in options.items()
    )


def inventory(host: places.Host, link: Link, extra: Mapping[str, t.Any]) -> str:
    """An Ansible inventory of one host."""
    options = {key: value for key, value in ssh_options(host).items() if key != "User"}
    variables = {
        "ansible_host": link.address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(places.SSH_KEY),
        "ansible_ssh_common_args": " ".join(
            f'-o {key}="{value}"' for key, value in options.items()
        ),
        # Multiplexed, through sockets that end with the host and not a minute later.
        "ansible_ssh_args": "-o ControlMaster=auto -o ControlPersist=60s",
        "ansible_control_path_dir": str(host.control),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_pipelining": True,
        **extra,
    }
    return yaml({"testhosts": {"hosts": {host.name: variables}}})


def _key(name: str) -> str:
    plain = re.fullmatch(r"[a-z_][a-z0-9_-]*", name) and name not in NOT_STRINGS
    return name if plain else json.dumps(name)


def yaml(value: Mapping[str, t.Any], indent: int = 0) -> str:
    """Nested mappings as YAML; everything else as JSON, which YAML contains."""
    text = ""
    for key, inner in value.items():
        start = f"{' ' * indent}{_key(key)}:"
        if isinstance(inner, Mapping) and inner:
            text += f"{start}\n{yaml(inner, indent + 2)}"
        elif isinstance(inner, str) and "\n" in inner:
            lines = "".join(
                f"{' ' * (indent + 2)}{line}\n" if line else "\n" for line in inner.splitlines()
            )
            text += f"{start} |\n{lines}"
        else:
            text += f"{start} {json.dumps(inner)}\n"
    return text
