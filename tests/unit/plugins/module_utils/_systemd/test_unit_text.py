# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core import ini
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import units, units_table

WEB = "systemd-nspawn@web.service"


def check(raw: dict[str, t.Any], unit: str = WEB, version: int = 257) -> None:
    units.check(units.normalise(raw), unit, version)


# --- drop-ins -------------------------------------------------------------------------------


def test_a_drop_in_lies_in_the_directory_of_its_unit() -> None:
    path = "/etc/systemd/system/systemd-nspawn@web.service.d/50-nspawn-machined.conf"
    assert units.drop_in_path(WEB) == path


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "-a", "a\n", "a b", "x.conf", "a" * 201])
def test_a_name_that_is_none_for_a_drop_in_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="drop_in"):
        units.check_drop_in(name)


@pytest.mark.parametrize("name", ["50-limits", "a", "90_x.y", units.DROP_IN])
def test_a_name_for_a_drop_in_is_accepted(name: str) -> None:
    units.check_drop_in(name)


@pytest.mark.parametrize("unit", [WEB, units.TEMPLATE, "machine.slice", "machines.target"])
def test_the_name_of_a_unit_is_accepted(unit: str) -> None:
    units.check_unit(unit)


@pytest.mark.parametrize(
    "unit", ["", "web", "../x.service", "a/b.service", "a b.service", "x.conf", "x.service\n"]
)
def test_what_is_no_name_of_a_unit_is_refused(unit: str) -> None:
    with pytest.raises(Failure, match="no name of a unit"):
        units.check_unit(unit)


def test_the_one_command_of_a_service_is_reset_first() -> None:
    text = units.render({"Service": {"ExecStart": "/bin/a", "ExecStartPost": "/bin/b"}})
    assert text == "[Service]\nExecStart=\nExecStart=/bin/a\nExecStartPost=/bin/b\n"


@pytest.mark.parametrize("value", [["", "/bin/a"], ("", "/bin/a")])
def test_a_command_that_is_reset_already_is_not_reset_twice(value: t.Any) -> None:
    text = units.render({"Service": {"ExecStart": value}})
    assert text == "[Service]\nExecStart=\nExecStart=/bin/a\n"


def test_a_mapping_of_the_environment_is_quoted_for_units() -> None:
    text = units.render({"Service": {"Environment": {"A": 'say "hi"', "B": "c\\d", "E": 1}}})
    assert text == (
        '[Service]\nEnvironment="A=say \\"hi\\""\nEnvironment="B=c\\\\d"\nEnvironment=E=1\n'
    )


def test_settings_of_other_daemons_may_be_rendered_too() -> None:
    text = units.render({"DHCPServer": {"DNS": ["192.0.2.1", "192.0.2.2"]}})
    assert text == "[DHCPServer]\nDNS=192.0.2.1\nDNS=192.0.2.2\n"


def test_secrets_are_not_shown() -> None:
    text = "[Service]\nSetCredential=token:secret\nMemoryMax=1G\n"
    assert units.shown(text) == "[Service]\nSetCredential=token:********\nMemoryMax=1G\n"


# --- check ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        {"Service": {"MemoryMax": "1.5G", "MemoryHigh": "50%", "MemorySwapMax": "infinity"}},
        {"Service": {"CPUQuota": "150%", "TasksMax": 100, "CPUWeight": "idle", "IOWeight": 50}},
        {"Service": {"LoadCredential": "a:/etc/credstore/a", "ExecStart": "/bin/true"}},
        {"Unit": {"After": "a.service", "Description": "x"}, "Install": {"WantedBy": "b.target"}},
        {"X-Mine": {"Anything": 1}, "Service": {"X-Mine": 1}},
    ],
)
def test_what_a_unit_may_say_is_accepted(raw: dict[str, t.Any]) -> None:
    check(raw)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"Service": {"MemoryMxa": "1G"}}, "the nearest is MemoryMax="),
        ({"Service": {"memorymax": "1G"}}, "the nearest is MemoryMax="),
        ({"Service": {"After": "x"}}, "it belongs into [Unit]"),
        ({"Unit": {"MemoryMax": "1G"}}, "it belongs into [Service]"),
        ({"Service": {"Quux": 1}}, "systemd.directives(7)"),
        ({"Servcie": {"MemoryMax": "1G"}}, "expected [Service]"),
        ({"Exec": {"Boot": True}}, "expected [Unit], [Service], [Install]"),
        ({"Service": {"MemoryMax": "lots"}}, "expected a size"),
        ({"Service": {"MemoryMax": "1GB"}}, "expected a size"),
        ({"Service": {"CPUQuota": "2"}}, "expected a percentage"),
        ({"Service": {"TasksMax": "-1"}}, "expected a number"),
        ({"Service": {"ExecReloadPost": "/bin/a"}}, "needs systemd 259 or later"),
    ],
)
def test_what_systemd_would_ignore_in_a_unit_is_refused(raw: dict[str, t.Any], says: str) -> None:
    with pytest.raises(Failure) as caught:
        check(raw)
    assert says in caught.value.message


def test_a_slice_has_resources_but_no_commands() -> None:
    check({"Slice": {"MemoryMax": "4G"}}, "machine.slice")
    with pytest.raises(Failure, match="has no section"):
        check({"Service": {"ExecStart": "/bin/a"}}, "machine.slice")


def test_kinds_of_units_without_a_table_keep_their_section() -> None:
    check({"Timer": {"OnCalendar": "daily"}}, "a.timer")


def test_the_table_names_no_key_twice_with_two_versions() -> None:
    for keys in units_table.TABLE.values():
        assert set(keys.values()) <= set(range(252, units_table.NEWEST + 1))
    assert units_table.TABLE["Service"]["ImportCredential"] == 254


@hypothesis_settings(max_examples=1000, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["Service", "Unit", "X"]) | st.text(max_size=5),
        st.dictionaries(
            st.sampled_from(["ExecStart", "Environment", "A"]) | st.text(max_size=5),
            st.text(max_size=9) | st.lists(st.text(max_size=9), max_size=3) | st.booleans(),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_any_drop_in_is_refused_clearly_or_written_faithfully(raw: dict[str, t.Any]) -> None:
    try:
        text = units.render(raw)
    except Failure:
        return
    wish = units.normalise(raw)
    written = {
        section: {key: values for key, values in keys.items() if values}
        for section, keys in wish.items()
    }
    assert ini.parse(text) == ini.Settings(written)


# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("\x1b[0;1;32mOK\x1b[0m", "OK"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\rb\x08c", "abc"),
        ("plain ünïcode", "plain ünïcode"),
        ("\x9b31mred", "31mred"),
    ],
)
def test_what_a_machine_prints_cannot_steer_a_terminal(line: str, bare: str) -> None:
    assert units._printable(line) == bare


@given(st.text())
def test_no_control_character_is_printed(line: str) -> None:
    printed = units._printable(line)
    assert not any(ord(char) < 32 and char not in "\t\n" for char in printed)
    assert "\x1b" not in printed and "\x9b" not in printed


def test_only_a_unit_that_is_not_inactive_or_failed_runs() -> None:
    for active in ("active", "activating", "deactivating", "reloading"):
        assert units.UnitState(WEB, active=active).running
    for active in ("inactive", "failed"):
        assert not units.UnitState(WEB, active=active).running


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGKILL", 9),
        ("hup", 1),
        ("9", 9),
        ("SIGRTMIN+4", 38),
        ("RTMAX-1", 63),
        (" sigterm ", 15),
    ],
)
def test_a_signal_is_known_by_each_of_its_names(name: str, number: int) -> None:
    assert units.signal_number(name) == number
    assert units.signal_number(units.signal_name(number)) == number


@pytest.mark.parametrize(
    "name",
    ["", "SIG", "SIGNONE", "0", "65", "-9", "RTMIN-1", "SIGRTMIN+99", "RTMAX-99", "9 9", "SIG_IGN"],
)
def test_what_is_no_signal_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="is no signal"):
        units.signal_number(name)
