# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.act import (
    from_bus,
    lost_bindings,
    lost_settings,
    to_bus,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    POLICY,
    ZONE,
    Key,
    changed,
    defaults_of,
    forward_text,
    freeze,
)

A, B = Key(ZONE, "a"), Key(ZONE, "b")


def test_settings_become_arguments_of_busctl() -> None:
    settings: dict[str, t.Any] = {
        "target": "REJECT",
        "ports": ("80/tcp", "5-6/udp"),
        "services": (),
        "forward": False,
        "ingress_priority": -5,
        "forward_ports": (forward_text("80", "tcp", "", "192.0.2.1"),),
        "rich_rules": ("rule masquerade",),
    }
    assert to_bus(ZONE, settings) == [
        "7",
        *["target", "s", "%%REJECT%%"],
        *["ports", "a(ss)", "2", "80", "tcp", "5-6", "udp"],
        *["services", "as", "0"],
        *["forward", "b", "false"],
        *["ingress_priority", "i", "-5"],
        *["forward_ports", "a(ssss)", "1", "80", "tcp", "", "192.0.2.1"],
        *["rules_str", "as", "1", "rule masquerade"],
    ]


def test_a_policy_spells_its_target_and_rules_otherwise_than_a_zone() -> None:
    settings: dict[str, t.Any] = {"target": "REJECT", "rich_rules": ("rule masquerade",)}
    assert to_bus(POLICY, settings) == [
        "2",
        *["target", "s", "REJECT"],
        *["rich_rules", "as", "1", "rule masquerade"],
    ]


def test_what_the_bus_leaves_out_is_empty() -> None:
    raw: dict[str, t.Any] = {
        "target": {"type": "s", "data": "%%REJECT%%"},
        "ports": {"type": "a(ss)", "data": [["80", "tcp"], ["79-81", "tcp"]]},
        "rules_str": {"type": "as", "data": ["rule masquerade"]},
    }
    assert changed(ZONE, defaults_of(ZONE), from_bus(ZONE, raw)) == {
        "target": "REJECT",
        "ports": ("79-81/tcp",),
        "rich_rules": ("rule masquerade",),
    }


def test_interfaces_leave_their_zones_before_others_get_them_back() -> None:
    now = {
        A: freeze({**defaults_of(ZONE), "interfaces": ("eth0", "eth1")}),
        B: freeze(defaults_of(ZONE)),
    }
    goals = {
        A: freeze({**defaults_of(ZONE), "interfaces": ("eth1",)}),
        B: freeze({**defaults_of(ZONE), "interfaces": ("eth0",)}),
    }
    assert lost_bindings(now, goals) == [(A, {"interfaces": ("eth1",)})]
    assert (B, {"interfaces": ("eth0",)}) in lost_settings(now, goals)


def test_only_what_can_be_set_without_a_reload_is_put_back() -> None:
    now = {A: freeze(defaults_of(ZONE))}
    goals = {A: freeze({**defaults_of(ZONE), "target": "DROP", "masquerade": True})}
    assert lost_settings(now, goals) == [(A, {"masquerade": True})]


def test_a_zone_that_is_gone_after_a_reload_is_let_go() -> None:
    assert lost_settings({}, {A: freeze(defaults_of(ZONE))}) == []
