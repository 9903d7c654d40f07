# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    POLICY,
    ZONE,
    Key,
    defaults_of,
    forward_text,
    freeze,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.seen import Entry, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.wanted import Wanted


def entry(kind: str, vendor: bool = False, **values: t.Any) -> Entry:
    settings = freeze({**defaults_of(kind), **values})
    return Entry(settings, settings if vendor else None)


SEEN = Snapshot(
    version=(2, 3, 1),
    running=True,
    default_zone="public",
    entries={
        Key(ZONE, "public"): entry(ZONE, vendor=True),
        Key(ZONE, "home"): entry(ZONE, vendor=True),
        Key(ZONE, "office"): entry(ZONE, interfaces=("eth1",)),
        Key(POLICY, "office-out"): entry(
            POLICY, ingress_zones=("office",), egress_zones=("public",)
        ),
    },
    live={Key(ZONE, name): freeze(defaults_of(ZONE)) for name in ("public", "home", "office")},
    services=frozenset(["ssh", "dhcp", "dhcpv6", "dns"]),
    live_services=frozenset(["ssh", "dhcp", "dhcpv6", "dns"]),
    icmp_types=frozenset(["echo-request"]),
)


def zone(name: str = "machined", *, present: bool = True, **values: t.Any) -> Wanted:
    return Wanted(Key(ZONE, name), present, settings=freeze(values))


def policy(name: str = "out", *, present: bool = True, **values: t.Any) -> Wanted:
    sides = {"ingress_zones": ("home",), "egress_zones": ("public",)}
    return Wanted(Key(POLICY, name), present, settings=freeze({**sides, **values}))


def forward(*fields: str) -> tuple[str, ...]:
    return (forward_text(*fields),)


WRONG: list[tuple[list[Wanted], list[str]]] = [
    ([zone("a" * 18)], ["zone aaa", "18 characters", "takes 17", "2.4"]),
    ([policy("a" * 19)], ["policy aaa", "19 characters", "takes 18", "2.4"]),
    ([zone("")], ["empty"]),
    ([zone("a b")], ["letters"]),
    ([zone("../x")], ["/"]),
    ([zone("a/b")], ["combined"]),
    ([zone("HOST")], ["firewalld's own words"]),
    ([zone("x"), zone("x")], ["zone x", "twice"]),
    ([zone("x"), policy("x")], ["share a name", "x-policy"]),
    ([policy("home")], ["a zone of that name exists"]),
    ([zone("office-out")], ["a policy of that name exists"]),
    ([zone(services=("dhpc",))], ["dhpc", "no such service", "near it are dhcp"]),
    ([zone(icmp_blocks=("echo",))], ["no such ICMP type", "echo-request"]),
    ([zone(interfaces=("ve-*",))], ["ve-*", "say ve-+"]),
    ([zone(interfaces=("v+e",))], ["end"]),
    ([zone(interfaces=("ve-a-very-long-name",))], ["15 characters", "ve-+"]),
    ([zone(interfaces=("a b",))], ["no space"]),
    ([zone(interfaces=("eth9",)), zone("work", interfaces=("eth9",))], ["eth9", "one only"]),
    (
        [zone(sources=("192.0.2.1",)), zone("work", sources=("192.0.2.1/32",))],
        ["192.0.2.1/32", "one only"],
    ),
    ([zone(sources=("192.0.2.300",))], ["192.0.2.300", "expected an address"]),
    ([zone(ports=("80",))], ["80", "PORT/PROTOCOL"]),
    ([zone(source_ports=("99999/udp",))], ["65535"]),
    ([zone(protocols=("a b",))], ["/etc/protocols"]),
    ([zone(forward_ports=forward("80", "tcp", "", ""))], ["to_port or to_addr"]),
    ([zone(forward_ports=forward("80", "tcp", "", "host"))], ["not an address"]),
    ([zone(forward_ports=forward("80", "tcp", "0-x", ""))], ["PORT/PROTOCOL"]),
    ([zone(rich_rules=("rule service name=shh accept",))], ["shh", "near it are ssh"]),
    ([zone(rich_rules=("rule port port=8x protocol=tcp accept",))], ["8x/tcp"]),
    ([zone(rich_rules=("allow",))], ["begins with the word rule"]),
    ([zone(description="a\0b")], ["description", "control character"]),
    ([zone(rich_rules=("rule service name=a\0b accept",))], ["control character"]),
    ([zone(target="REJECTED")], ["not one of", "REJECT"]),
    ([zone(ingress_priority=40000)], ["32767"]),
    ([policy(priority=0)], ["reserved"]),
    ([policy(disable=True)], ["disable needs firewalld 2.4", "this host has 2.3.1"]),
    ([policy(egress_zones=("publik",))], ["no zone publik", "near it are public"]),
    ([policy(egress_zones=())], ["egress_zones is empty"]),
    ([policy(ingress_zones=())], ["ingress_zones is empty"]),
    ([policy(egress_zones=("HOST", "public"))], ["must stand alone"]),
    ([policy(ingress_zones=("HOST",), egress_zones=("HOST",))], ["not in both"]),
    ([policy(egress_zones=("HOST",), masquerade=True)], ["masquerade", "HOST"]),
    ([policy(forward_ports=forward("80", "tcp", "81", ""))], ["to_addr"]),
    ([zone("public", present=False)], ["comes with firewalld"]),
    ([zone("office", present=False)], ["used by policy office-out"]),
    (
        [
            Wanted(
                Key(ZONE, "home"), settings={"services": ("ssh",)}, without={"services": ("ssh",)}
            )
        ],
        ["both given and removed"],
    ),
]


@pytest.mark.parametrize(
    ("wanted", "words"), WRONG, ids=[" ".join(words) for _wanted, words in WRONG]
)
def test_what_is_wrong_is_refused_with_the_reason(wanted: list[Wanted], words: list[str]) -> None:
    with pytest.raises(Failure) as raised:
        plan(SEEN, wanted)
    for word in words:
        assert word in raised.value.message


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Failure, match="3 things are wrong") as raised:
        plan(SEEN, [zone(services=("a", "b")), policy(priority=0)])
    assert len(raised.value.message.splitlines()) == 4


def test_a_zone_with_an_interface_of_somebody_elses_is_not_removed() -> None:
    live = {**SEEN.live, Key(ZONE, "spare"): freeze({**defaults_of(ZONE), "interfaces": ("wl0",)})}
    entries = {**SEEN.entries, Key(ZONE, "spare"): entry(ZONE)}
    seen = dataclasses.replace(SEEN, live=live, entries=entries)
    with pytest.raises(Failure, match=r"wl0.*somebody else"):
        plan(seen, [zone("spare", present=False)])
    assert plan(seen, [zone("spare", present=False), zone("home", interfaces=("wl0",))])


def test_a_zone_in_use_goes_when_its_policy_goes_too() -> None:
    assert plan(SEEN, [zone("office", present=False), policy("office-out", present=False)])


def test_names_may_be_long_from_2_4_on() -> None:
    assert plan(dataclasses.replace(SEEN, version=(2, 4, 0)), [zone("a" * 18)])


def test_priorities_of_zones_are_refused_before_2_0() -> None:
    with pytest.raises(Failure, match=r"ingress_priority needs firewalld 2\.0.*has 1\.3\.3"):
        plan(dataclasses.replace(SEEN, version=(1, 3, 3)), [zone(ingress_priority=5)])


def test_masquerading_out_of_bound_zones_needs_the_nftables_backend() -> None:
    seen = dataclasses.replace(SEEN, backend="iptables")
    with pytest.raises(Failure, match=r"FirewallBackend=nftables.*office.*iptables"):
        plan(seen, [policy(ingress_zones=("office",), masquerade=True)])


def test_an_old_firewalld_does_not_know_bursts() -> None:
    rule = "rule service name=ssh accept limit value=3/m burst=5"
    with pytest.raises(Failure, match=r"burst needs firewalld 2\.2"):
        plan(dataclasses.replace(SEEN, version=(1, 3, 3)), [zone(rich_rules=(rule,))])


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_name_and_values_are_planned_or_refused_and_never_a_traceback(
    name: str, service: str, item: str
) -> None:
    values: dict[str, t.Any] = {
        "services": (service,),
        "interfaces": (item,),
        "sources": (item,),
        "ports": (item,),
    }
    try:
        steps = plan(SEEN, [zone(name, **values)])
    except Failure as failure:
        assert failure.message  # noqa: PT017
    else:
        assert steps
