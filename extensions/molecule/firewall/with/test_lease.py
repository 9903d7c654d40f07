# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same machines, a moment after the role firewall has run."""

from __future__ import annotations

from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import (
    Machine,
    eventually,
)


def test_a_machine_gets_its_lease(machine: Machine) -> None:
    leases = machine.inside.file("/run/systemd/netif/leases")
    # networkd asks again after at most 64 s.
    assert eventually(lambda: bool(leases.listdir()), 70)


def test_a_machine_has_not_been_restarted_for_it(machine: Machine) -> None:
    """So it was the firewall that made the difference."""
    up = (
        float(
            machine.inside.check_output(
                "systemctl show --property=UserspaceTimestampMonotonic --value"
            )
        )
        / 1e6
    )
    now = float(machine.inside.file("/proc/uptime").content_string.split()[0])
    assert now - up > 10
