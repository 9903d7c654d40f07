# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory import variables
from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory.answer import Found
from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory.variables import (
    Way,
    connection_of,
    declared_of,
    facts_of,
    groups_of,
)

SSH = Way(False, {"ansible_host": "10.0.0.1", "ansible_ssh_user": "admin"})


def one(state: str = "running", **more: t.Any) -> Found:
    declared = more.pop("declared", {})
    return Found("a.example", "web", state, more, declared)


def test_a_machine_that_runs_is_reached_over_its_host() -> None:
    assert connection_of(one(), SSH) == {
        "ansible_connection": "nspawn.machined.nspawn_ssh",
        "ansible_host": "10.0.0.1",
        "ansible_nspawn_machine": "web",
        "ansible_ssh_user": "admin",
    }


def test_a_machine_of_this_host_is_reached_without_ssh() -> None:
    assert connection_of(one("paused"), Way(True)) == {
        "ansible_connection": "nspawn.machined.nspawn",
        "ansible_nspawn_machine": "web",
    }


@pytest.mark.parametrize("state", ["stopped", "failed", "image"])
def test_what_does_not_run_is_reached_as_an_image(state: str) -> None:
    found = connection_of(one(state), SSH)
    assert found["ansible_connection"] == "nspawn.machined.nspawn_image"
    assert found["ansible_nspawn_image"] == "web" and found["ansible_nspawn_ssh"] is True
    assert connection_of(one(state), Way(True))["ansible_nspawn_ssh"] is False


def test_what_is_not_known_is_not_set() -> None:
    assert facts_of(one(os="debian", zone=None, image_changed=5)) == {
        "nspawn_host": "a.example",
        "nspawn_image_changed": 5,
        "nspawn_name": "web",
        "nspawn_os": "debian",
        "nspawn_state": "running",
    }


def test_a_declaration_sets_no_variables_that_lead_elsewhere() -> None:
    declared = {
        "role": "{{ lookup('pipe', 'id') }}",
        "ansible_user": "app",
        "ansible_become_method": "su",
        "ansible_connection": "local",
        "ansible_ssh_executable": "/tmp/x",
        "nspawn_host": "b",
        "no name": 1,
        "class": 1,
        "x" * 200: 1,
    }
    taken, left = declared_of(one(declared=declared), ["ansible_user", "ansible_become_*"])
    assert sorted(taken) == ["ansible_become_method", "ansible_user", "role"]
    assert sorted([*taken, *left]) == sorted(declared)


def test_a_declaration_holds_nothing_without_end_or_of_ansibles_own() -> None:
    deep: t.Any = "x"
    for _level in range(33):
        deep = [deep]
    declared = {
        "deep": deep,
        "deep_too": {"a": deep},
        "fine": deep[0],
        "trusted": [{"__ansible_type": "_AnsibleTaggedStr", "value": "{{ 7*7 }}"}],
        "vaulted": {"__ansible_vault": "x"},
    }
    taken, left = declared_of(one(declared=declared), [])
    assert sorted(taken) == ["fine"] and len(left) == 4


def test_groups_are_of_the_host_the_system_and_the_zone() -> None:
    assert groups_of(one(os="debian", zone="dmz")) == [
        variables.MACHINES,
        "host_a.example",
        "os_debian",
        "zone_dmz",
    ]


def test_an_image_is_no_machine() -> None:
    assert groups_of(one("image")) == [variables.IMAGES, "host_a.example"]
