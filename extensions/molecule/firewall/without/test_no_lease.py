# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A firewall that has not been told about machines drops their DHCP requests."""

from __future__ import annotations

import time

from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import Machine

# networkd asks at once, and again after about 2, 4 and 8 s.
PATIENCE = 10


def test_a_machine_asks_and_gets_no_lease(machine: Machine) -> None:
    inside = machine.inside
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert not inside.file("/run/systemd/netif/leases").listdir()
        time.sleep(1)
    assert inside.service("systemd-networkd").is_running
    # networkd's word for a link that has no address but the one it gave itself.
    assert "degraded" in inside.check_output("networkctl --no-legend list host0")
