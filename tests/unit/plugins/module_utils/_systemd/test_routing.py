# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import describe
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.routing import (
    Routing,
    Seen,
    asked,
    is_begun,
    is_filled,
    plan,
    surprises,
)

QUIET = Routing(
    {"ipv4": {"all": False, "lo": True}, "ipv6": {"all": False}}, frozenset({"lo", "eth0"})
)
ROUTER = dataclasses.replace(
    QUIET,
    switches={"ipv4": {"all": True, "lo": True}, "ipv6": {"all": True}},
    tables={"ipv4": False, "ipv6": True},
)
REMEMBERED = "remember routing of the host"
FORGOTTEN = "forget routing of the host"


def back(seen: Seen, *, going_on: bool = False) -> list[str]:
    return describe(plan(seen, present=False, going_on=going_on))


def test_what_is_there_is_remembered_once() -> None:
    assert describe(plan(Seen(QUIET), present=True)) == [REMEMBERED]
    assert plan(Seen(ROUTER, QUIET), present=True) == ()


def test_a_host_that_was_no_router_is_none_again() -> None:
    assert back(Seen(ROUTER, QUIET)) == [
        "stop forwarding IPv4",
        "stop forwarding IPv6",
        "remove table ip io.systemd.nat",
        FORGOTTEN,
    ]
    assert back(Seen(QUIET, QUIET)) == [FORGOTTEN]
    assert back(Seen(ROUTER)) == []


def test_a_router_stays_one() -> None:
    before = dataclasses.replace(ROUTER, tables={})
    assert back(Seen(ROUTER, before)) == ["remove table ip io.systemd.nat", FORGOTTEN]
    assert back(Seen(ROUTER, ROUTER)) == [FORGOTTEN]


@pytest.mark.parametrize(("version", "again"), [("252.39", False), ("257.9", True), ("", True)])
def test_networkd_is_told_where_it_would_not_route_a_second_time(version: str, again: bool) -> None:
    restarted = "restart systemd-networkd.service"
    assert (restarted in back(Seen(ROUTER, QUIET, version=version), going_on=True)) is again
    assert restarted not in back(Seen(ROUTER, QUIET, version=version))
    assert restarted not in back(Seen(ROUTER, ROUTER, version=version), going_on=True)


def test_a_run_that_was_cut_off_is_carried_on_with_a_restart() -> None:
    cut_off = Seen(QUIET, QUIET, version="257.9", begun=True)
    assert back(cut_off, going_on=True) == ["restart systemd-networkd.service", FORGOTTEN]
    assert is_begun('{"begun": true}')
    assert not any(map(is_begun, ("", "[]", "{}", '{"begun": false}')))


def test_who_may_need_it_keeps_it_and_is_named() -> None:
    with_docker = dataclasses.replace(ROUTER, links=QUIET.links | {"docker0"})
    seen = Seen(with_docker, QUIET)
    assert back(seen) == ["remove table ip io.systemd.nat", FORGOTTEN]
    assert [text.split(":")[0][:44] for text in surprises(seen, present=False)] == [
        "the host goes on forwarding IPv4, which it d",
        "the host goes on forwarding IPv6, which it d",
    ]
    assert all("docker0" in text for text in surprises(seen, present=False))


def test_who_may_need_it_is_named_also_where_a_file_says_otherwise() -> None:
    docker = dataclasses.replace(ROUTER, links=QUIET.links | {"docker0"})
    seen = Seen(docker, QUIET, {"ipv4": (False, "/etc/sysctl.conf")})
    assert len(list(surprises(seen, present=False))) == 2


def test_who_says_so_in_a_file_keeps_it_and_knows() -> None:
    seen = Seen(ROUTER, QUIET, {"ipv4": (True, "/etc/sysctl.d/router.conf")})
    assert back(seen)[0] == "stop forwarding IPv6"
    assert list(surprises(seen, present=False)) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            Seen(QUIET, asked={"ipv6": (False, "/etc/sysctl.conf")}),
            "/etc/sysctl.conf sets net.ipv6",
        ),
        (Seen(QUIET, version="256.4"), "systemd 256.4 does not let the host route"),
        (
            Seen(dataclasses.replace(QUIET, links=frozenset({"ve-web"})), version="256.4"),
            "does not forward IPv4 although machines have links .ve-web.",
        ),
    ],
)
def test_what_keeps_machines_from_the_world_is_told(seen: Seen, words: str) -> None:
    (told,) = surprises(seen, present=True)
    assert re.search(words, told)


def test_nothing_is_told_of_a_host_as_hosts_are() -> None:
    for seen in (Seen(QUIET, version="257.9"), Seen(ROUTER, QUIET, version="256.4")):
        assert list(surprises(seen, present=True)) == []


def test_the_last_word_for_sysctl_counts() -> None:
    texts = [
        ("/usr/lib/sysctl.d/1.conf", "net.ipv4.ip_forward=1\nnet.ipv6.conf.all.forwarding = 1\n"),
        ("/etc/sysctl.d/2.conf", "# net.ipv4.ip_forward = 1\n-net/ipv4/ip_forward = 0\nbroken\n"),
        ("/etc/sysctl.conf", "net.ipv6.conf.all.forwarding = $X\n"),
    ]
    assert asked(texts) == {
        "ipv4": (False, "/etc/sysctl.d/2.conf"),
        "ipv6": (True, "/usr/lib/sysctl.d/1.conf"),
    }


def test_a_table_with_an_element_is_in_use() -> None:
    table = {"table": {"name": "io.systemd.nat"}}
    empty = {"set": {"name": "masq_saddr", "type": "ipv4_addr"}}
    used = {"map": {"name": "map_port_ipport", "elem": [[1, 2]]}}
    assert not is_filled(json.dumps({"nftables": [table, empty]}))
    assert is_filled(json.dumps({"nftables": [table, empty, used]}))
