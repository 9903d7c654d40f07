# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.daemon import (
    from_bus,
    to_bus,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    POLICY,
    ZONE,
    changed,
    defaults_of,
    forward_text,
)


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
