# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    POLICY,
    ZONE,
    Key,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.wanted import (
    Wanted,
    wanted,
)


def given(name: str = "web", **values: t.Any) -> dict[str, t.Any]:
    """One zone or policy, as Ansible hands its arguments over."""
    return {"name": name, "state": "present", "exclusive": None, "remove": None, **values}


def zone(*, every: bool = False, **values: t.Any) -> Wanted:
    (one,) = wanted({"zones": [given(**values)], "policies": [], "exclusive": every})
    return one


def test_zones_come_before_policies_and_what_is_not_given_is_not_wanted() -> None:
    params = {
        "zones": [given(services=["ssh"], masquerade=None)],
        "policies": [given("out", state="absent")],
        "exclusive": False,
    }
    assert wanted(params) == [
        Wanted(Key(ZONE, "web"), settings={"services": ("ssh",)}),
        Wanted(Key(POLICY, "out"), present=False),
    ]


def test_a_list_keeps_its_order_and_names_each_element_once() -> None:
    assert zone(services=["ssh", "dns", "ssh"]).settings == {"services": ("ssh", "dns")}


def test_a_forwarded_port_is_written_as_firewall_cmd_does() -> None:
    port = {"port": "80", "protocol": "tcp", "to_port": "8080", "to_addr": ""}
    text = "port=80:proto=tcp:toport=8080:toaddr="
    assert zone(forward_ports=[port]).settings == {"forward_ports": (text,)}
    assert zone(remove={"forward_ports": [port]}).without == {"forward_ports": (text,)}


def test_a_text_of_several_lines_is_one_as_firewalld_reads_it() -> None:
    assert zone(description="for\nall\n").settings == {"description": "for all"}


def test_a_zone_can_say_of_itself_whether_its_lists_are_exclusive() -> None:
    assert zone(every=True).exclusive
    assert not zone(every=True, exclusive=False).exclusive
    assert zone(exclusive=True).exclusive
