# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    ZONE,
    Key,
    defaults_of,
    freeze,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.reload import (
    lost_bindings,
    lost_settings,
)

A, B = Key(ZONE, "a"), Key(ZONE, "b")


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
