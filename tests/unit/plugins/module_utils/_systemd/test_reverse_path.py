# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._systemd.reverse_path import (
    Seen,
    surprises,
    ways_of,
)

# As iproute2 6.15 tells of a main table, a table of a VPN's, and a route with two links.
ROUTES = json.dumps(
    [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "protocol": "dhcp", "flags": []},
        {"dst": "192.0.2.0/24", "dev": "eth0", "protocol": "kernel", "scope": "link", "flags": []},
        {"dst": "default", "dev": "wg0", "table": "51820", "scope": "link", "flags": []},
        {
            "dst": "default",
            "nexthops": [{"dev": "eth1", "weight": 1}, {"dev": "eth2", "weight": 1}],
            "flags": [],
        },
        {"type": "unreachable", "dst": "default", "metric": 4294967295, "flags": []},
        {"type": "local", "dst": "127.0.0.0/8", "dev": "lo", "table": "local", "flags": []},
    ]
)


def test_ways_out_are_the_links_of_default_routes_of_all_tables() -> None:
    assert ways_of(ROUTES) == {"eth0", "wg0", "eth1", "eth2"}
    assert ways_of("") == frozenset()


def test_links_that_are_strict_beside_other_ways_are_named_with_what_helps() -> None:
    seen = Seen(frozenset({"eth0", "wan.5"}), {"eth0": 2, "wan.5": 1})
    (told,) = surprises(seen)
    assert "several ways out (eth0, wan.5), and rp_filter is 1 for wan.5:" in told
    assert "sysctl --write net.ipv4.conf.wan/5.rp_filter=2," in told


@pytest.mark.parametrize(
    "seen",
    [
        Seen(),
        Seen(frozenset({"eth0"}), {"eth0": 1}),
        Seen(frozenset({"eth0", "eth1"}), {"eth0": 2, "eth1": 0}),
    ],
)
def test_one_way_out_or_loose_ones_are_nothing_to_tell(seen: Seen) -> None:
    assert list(surprises(seen)) == []
