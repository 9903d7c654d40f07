# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins import loader
from ansible.template import is_trusted_as_template, trust_as_template

from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory import reach
from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory.reach import Reach

# None of it is typed.
CONFIG: t.Any = C.config
CONNECTIONS: t.Any = loader.connection_loader
FILES: t.Any = DataLoader


def host(**variables: t.Any) -> Reach:
    return Reach("a.example", variables, FILES())


def handed_on(**variables: t.Any) -> dict[str, t.Any]:
    return dict(host(**variables).way.variables)


def test_all_that_leads_through_ssh_is_handed_on() -> None:
    CONNECTIONS.get("ssh", class_only=True)
    names = set(CONFIG.get_plugin_vars("connection", "ssh"))
    left = {name for name in names if not name.startswith(reach._ITS)}
    assert {name for name in left if "[" not in name} == {
        "ansible_pipelining",
        "ansible_user",
        "inventory_hostname",
    }


def test_a_host_of_which_nothing_is_said_is_reached_by_ssh_under_its_name() -> None:
    one = host()
    assert not one.is_local and one.way.variables == {"ansible_host": "a.example"}


def test_the_user_of_a_host_is_not_the_one_in_its_machines() -> None:
    assert handed_on(ansible_user="admin")["ansible_ssh_user"] == "admin"
    found = handed_on(ansible_user="other", ansible_ssh_user="admin")
    assert found["ansible_ssh_user"] in ("other", "admin") and "ansible_user" not in found


def test_a_local_host_is_on_no_way() -> None:
    one = host(ansible_connection="local", ansible_host="10.0.0.1", ansible_port=22)
    assert one.is_local and one.way.variables == {}


def test_templates_are_resolved_where_they_belong() -> None:
    template = trust_as_template("{{ inventory_hostname_short }}.internal")
    assert handed_on(ansible_host=template)["ansible_host"] == "a.internal"
    with pytest.raises(AnsibleError):
        host(ansible_host=trust_as_template("{{ nowhere }}"))


def test_a_secret_that_is_looked_up_is_looked_up_later() -> None:
    template = trust_as_template("{{ secret }}")
    found = handed_on(ansible_become=True, ansible_become_password=template, secret="hidden")
    handed = found["ansible_nspawn_host_become_pass"]
    assert handed == "{{ hostvars[nspawn_host]['ansible_become_password'] }}"
    assert is_trusted_as_template(handed)


@pytest.mark.parametrize("value", ["yes", True, "true", 1])
def test_who_becomes_root_does_so_for_machines(value: t.Any) -> None:
    found = handed_on(
        ansible_become=value, ansible_become_method="su", ansible_su_pass="x", ansible_su_exe="/su"
    )
    assert found == {
        "ansible_host": "a.example",
        "ansible_nspawn_host_become": True,
        "ansible_nspawn_host_become_exe": "/su",
        "ansible_nspawn_host_become_method": "su",
        "ansible_nspawn_host_become_pass": "x",
    }


def test_pythons_that_are_to_be_found_are_none() -> None:
    assert host(ansible_python_interpreter="auto_silent").python is None
    assert host(ansible_python_interpreter="/usr/bin/python3.11").python == "/usr/bin/python3.11"
