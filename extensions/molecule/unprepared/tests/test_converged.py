# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole job on a host that had nothing: what it needs is there, and a machine lives on it."""

from __future__ import annotations

from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import (
    Host,
    Machine,
    eventually,
)


def test_what_machines_need_is_installed_and_runs(host: Host) -> None:
    for package in ("firewalld", "libnss-mymachines", "systemd-container"):
        assert host.package(package).is_installed
    assert host.service("firewalld").is_running
    assert host.service("firewalld").is_enabled


def test_images_are_made_of_each_other(host: Host) -> None:
    assert host.file("/var/lib/machines/guest").is_directory
    assert host.file("/var/lib/machines/copy").is_directory


def test_a_machine_has_booted_and_gets_through_the_firewall(machine: Machine) -> None:
    assert machine.inside.check_output("systemctl is-system-running") == "running"
    leases = machine.inside.file("/run/systemd/netif/leases")
    assert eventually(lambda: bool(leases.listdir()), 70)
