# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, describe
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import daemons
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.daemon_drop_ins import (
    Snapshot,
    Wanted,
    plan,
    service_of,
)

FILES = ("network/80-container-ve.network", "network/80-container-vz.network")
VE, VZ = (f"/etc/systemd/{name}.d/dns.conf" for name in FILES)
WANTED = Wanted(FILES, "dns", "[DHCPServer]\nDNS=192.0.2.53\n")
NETWORKD = "systemd-networkd.service"
RELOAD = f"reload {NETWORKD}"


def seen(
    ve: str | None,
    vz: str | None,
    running: bool = True,
    unread: bool = False,
    enabled: bool = True,
    ours: bool = False,
) -> Snapshot:
    return Snapshot({VE: ve, VZ: vz}, daemons.Seen(NETWORKD, running, enabled, ours), unread)


def test_only_what_differs_is_written_and_then_read() -> None:
    assert describe(plan(seen(WANTED.text, "old"), WANTED)) == [f"write {VZ}", RELOAD]


def test_what_is_as_wanted_and_read_needs_nothing() -> None:
    assert plan(seen(WANTED.text, WANTED.text), WANTED) == ()


def test_a_run_cut_off_before_the_reload_is_made_good() -> None:
    assert describe(plan(seen(WANTED.text, WANTED.text, unread=True), WANTED)) == [RELOAD]


def test_a_daemon_that_does_not_run_will_read_it_when_it_starts() -> None:
    assert describe(plan(seen(None, None, running=False, unread=True), WANTED)) == [
        f"write {VE}",
        f"write {VZ}",
    ]


def test_a_daemon_that_shall_run_starts_with_the_drop_ins_and_reads_them_once() -> None:
    wanted = dataclasses.replace(WANTED, enabled=True)
    there = seen(None, WANTED.text, running=False, enabled=False, unread=True)
    assert describe(plan(there, wanted)) == [
        f"write {VE}",
        f"remember {NETWORKD}",
        f"enable {NETWORKD}",
        "disable systemd-networkd-wait-online.service",
        f"settle {NETWORKD}",
        f"start {NETWORKD}",
    ]


def test_a_daemon_that_goes_with_the_drop_ins_is_not_told_to_read_them() -> None:
    wanted = Wanted(FILES, "dns", None, enabled=True)
    assert describe(plan(seen("text", None, ours=True), wanted)) == [
        f"remove {VE}",
        f"disable {NETWORKD}",
        f"stop {NETWORKD}",
        f"forget {NETWORKD}",
    ]


def test_a_daemon_that_others_enabled_stays() -> None:
    wanted = Wanted(FILES, "dns", None, enabled=True)
    assert describe(plan(seen("text", None), wanted)) == [f"remove {VE}", RELOAD]


def test_absent_removes_only_what_is_there() -> None:
    assert describe(plan(seen("text", None), Wanted(FILES, "dns", None))) == [
        f"remove {VE}",
        RELOAD,
    ]


@pytest.mark.parametrize(
    "name",
    [
        "network/../../passwd",
        "../resolved.conf",
        "network/.network",
        "logind.conf",
        "/etc/x",
        "",
        "network/a\n.network",
        "network/a.network\n",
        "network/a\0.network",
        "network/\x1b[2J.network",
        f"network/{'a' * 240}.network",
    ],
)
def test_any_other_file_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="not a file whose drop-ins"):
        service_of([name])


def test_files_of_two_daemons_in_one_call_are_refused() -> None:
    with pytest.raises(Failure, match="one daemon only"):
        service_of(["resolved.conf", FILES[0]])
