# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible import constants as C
from ansible.playbook.play_context import PlayContext
from ansible.plugins.connection import ssh
from ansible.plugins.loader import connection_loader
from ansible.template import Templar, trust_as_template

from ansible_collections.nspawn.machined.plugins.connection import nspawn_ssh
from ansible_collections.nspawn.machined.plugins.doc_fragments.inside import ModuleDocFragment
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection import over_ssh
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.over_ssh import (
    OverSshConnection,
)

# What does not say how a host is reached.
OF_NO_MATTER = {
    "ansible_host_key_checking",
    "ansible_pipelining",
    "ansible_user",
    "delegated_vars['ansible_host']",
    "delegated_vars['ansible_ssh_host']",
}


def test_every_variable_of_ssh_counts_for_where_a_lane_leads() -> None:
    options = yaml.safe_load(ssh.DOCUMENTATION)["options"]
    names = {var["name"] for option in options.values() for var in option.get("vars", ())}
    assert {name for name in names if not name.startswith(over_ssh.ITS)} <= OF_NO_MATTER


NAME = "nspawn.machined.nspawn_ssh"


class Loader:
    """Without a run of Ansible nothing is found by a full name."""

    def get(self, name: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        loader: t.Any = connection_loader
        return loader.get(name.removeprefix("ansible.builtin."), *args, **kwargs)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., OverSshConnection]:
    monkeypatch.setattr(over_ssh, "connection_loader", Loader())
    options = {}
    for text in (nspawn_ssh.DOCUMENTATION, ModuleDocFragment.DOCUMENTATION):
        options.update(yaml.safe_load(text)["options"])
    config: t.Any = C.config
    config.initialize_plugin_configuration_definitions("connection", NAME, options)

    context: t.Any = PlayContext

    def made(**variables: t.Any) -> OverSshConnection:
        found = nspawn_ssh.Connection(context())
        found._load_name = NAME
        given = {"inventory_hostname": "web", "ansible_host": "server", **variables}
        templated = found._resolve_option_variables(given, Templar(None, given))
        found.set_options(task_keys={"remote_user": None, "port": None}, var_options=templated)
        return found

    return made


def option(connection: OverSshConnection, name: str) -> t.Any:
    """Of the plugin on the way."""
    ssh_connection: t.Any = connection._ssh()
    return ssh_connection.get_option(name)


Made = t.Callable[..., OverSshConnection]


def test_the_machine_is_the_name_in_the_inventory_unless_it_is_given(connection: Made) -> None:
    assert connection().target == "web"
    assert connection(ansible_nspawn_machine="db").target == "db"


def test_one_user_is_inside_and_another_on_the_host(connection: Made) -> None:
    one = connection(ansible_user="alan", ansible_ssh_user="admin", ansible_port=2222)
    assert one.user == "alan"
    assert option(one, "remote_user") == "admin"
    assert option(one, "port") == 2222
    assert option(one, "use_tty") is False
    assert connection().user == "root"
    assert option(connection(ansible_user="alan"), "remote_user") is None


def test_ways_are_told_apart_by_where_they_lead(connection: Made) -> None:
    keys = [
        connection(**variables)._key
        for variables in (
            {},
            {"ansible_host": "other"},
            {"ansible_port": 2222},
            {"ansible_ssh_user": "admin"},
            {"ansible_nspawn_machine": "db"},
            {"ansible_ssh_common_args": "-J jump"},
            {"ansible_nspawn_host_become": True},
        )
    ]
    assert len(set(keys)) == len(keys)
    assert connection(ansible_user="alan")._key == connection()._key
    assert connection(nothing="else")._key == connection()._key


def test_templates_are_looked_into(connection: Made) -> None:
    assert connection(ansible_host=trust_as_template("{{ x }}"), x="there").host() == "there"
    assert connection(ansible_host="{{ x }}", x="there").host() == "{{ x }}"


def test_a_reset_looks_into_templates_itself(connection: Made) -> None:
    given = {
        "inventory_hostname": "web",
        "ansible_host": trust_as_template("{{ x }}"),
        "ansible_nspawn_machine": trust_as_template("{{ item[0] }}"),
        "item": ["db"],
        "x": "there",
    }
    found = nspawn_ssh.Connection(connection()._given[0][0])
    found._load_name = NAME
    found.set_options(task_keys={"port": None}, var_options=given)
    assert (found.host(), found.target) == ("there", "db")


def test_a_reset_finds_lanes_whose_variables_had_other_names(connection: Made) -> None:
    # As "meta: reset_connection" gives them: with what else the play knows.
    aliases = {"ansible_ssh_host": "server", "ansible_ssh_timeout": 10}
    assert connection(**aliases)._place == connection()._place


@pytest.mark.parametrize("name", ["-M", "../etc", "a b", "", "x" * 65, "a\nb"])
def test_what_is_no_name_of_a_machine_is_refused(connection: Made, name: str) -> None:
    with pytest.raises(Exception, match="ansible_nspawn_machine: "):
        connection(ansible_nspawn_machine=name).way()
