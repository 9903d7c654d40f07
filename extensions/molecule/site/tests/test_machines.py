# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What site.yml has made of a bare host: four machines that run, and reach what they should."""

from __future__ import annotations

import ipaddress
import re
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import (
    Host,
    Machine,
    eventually,
)

LEASES = "/run/systemd/netif/leases"


def test_a_machine_has_booted_without_a_failed_unit(machine: Machine) -> None:
    failed = machine.inside.check_output("systemctl list-units --failed --plain --no-legend")
    state = machine.inside.run("systemctl is-system-running").stdout.strip()
    assert (state, failed) == ("running", "")


def test_a_machine_runs_the_release_that_was_asked_for(machine: Machine) -> None:
    system = machine.inside.system_info
    assert (system.distribution, system.codename) == ("debian", "trixie")


def test_a_machine_starts_with_its_host(machine: Machine) -> None:
    unit = machine.outside.service(machine.unit)
    assert unit.is_running and unit.is_enabled
    assert machine.outside.service("machines.target").is_enabled


def test_a_machine_has_users_of_its_own(machine: Machine) -> None:
    """With private users root inside is nobody in particular outside."""
    inside, outside, count = machine.inside.file("/proc/self/uid_map").content_string.split()
    assert (inside, count) == ("0", "65536")
    assert int(outside) >= 65536


def test_a_machine_has_an_address_by_dhcp(machine: Machine) -> None:
    address = lease_of(machine)["ADDRESS"]
    assert ipaddress.IPv4Address(address).is_private
    assert address in machine.inside.interface("host0").addresses


def test_a_machine_asks_the_name_server_that_was_configured(machine: Machine) -> None:
    lease_of(machine)
    servers = machine.inside.check_output("resolvectl dns host0").split(":", 1)[1].split()
    assert servers == machine.variables["network_dns"]


def test_a_machine_reaches_beyond_its_host_by_the_address_of_its_host(machine: Machine) -> None:
    """The web server of the test network knows no way back to a machine's own address."""
    lease_of(machine)
    server, path = machine.variables["testhost_url"], f"/{uuid.uuid4()}"
    address, port = server.removeprefix("http://").split(":")
    machine.inside.run(
        "timeout 5 bash -c %s",
        f"exec 3<>/dev/tcp/{address}/{port}; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3",
    )
    log = Path(machine.variables["testhost_www"]).with_name("www.log").read_text()
    assert re.findall(rf"(\S+) GET {path} ", log) == [machine.variables["ansible_host"]]


@pytest.mark.parametrize(("one", "other"), [("left", "right"), ("right", "left")])
def test_machines_of_one_zone_reach_each_other_by_name(
    machines: t.Mapping[str, Machine], one: str, other: str
) -> None:
    inside = machines[one].inside
    assert eventually(lambda: inside.run("ping -c 1 -W 2 %s", other).succeeded)


def test_a_machine_outside_a_zone_does_not_find_its_names(
    machines: t.Mapping[str, Machine],
) -> None:
    assert machines["web"].inside.run("getent hosts left").rc == 2


def test_the_settings_of_a_machine_are_in_force_in_that_machine_only(
    host: Host, machines: t.Mapping[str, Machine]
) -> None:
    web, db = machines["web"].inside, machines["db"].inside
    version = host.file("/etc/debian_version").content_string
    assert web.file("/srv/debian_version_of_the_host").content_string == version
    assert not db.file("/srv/debian_version_of_the_host").exists
    assert "COLOUR=green" in db.file("/proc/1/environ").content_string.split("\0")
    assert "COLOUR=green" not in web.file("/proc/1/environ").content_string.split("\0")


def test_the_settings_of_a_machine_s_unit_are_in_force(host: Host) -> None:
    shown = host.check_output("systemctl show --property=TasksMax --value systemd-nspawn@web")
    assert shown == "1000"


def test_nothing_half_made_is_left(host: Host) -> None:
    images = {"db", "left", "right", "trixie", "web"}
    # systemd-nspawn's lock of an image that a machine runs from.
    locks = {f".#{name}.lck" for name in images}
    assert set(host.check_output("ls -A /var/lib/machines").split()) - locks == images


def lease_of(machine: Machine) -> dict[str, str]:
    """What the DHCP server has told a machine, as networkd keeps it."""
    inside = machine.inside
    assert eventually(lambda: inside.run(f"cat {LEASES}/*").succeeded), "no lease within 10 s"
    lines = inside.check_output(f"cat {LEASES}/*").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
