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
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import unit_text

WEB = "systemd-nspawn@web.service"


def check(raw: dict[str, t.Any], unit: str = WEB, version: int = 257) -> None:
    unit_text.check(unit_text.normalise(raw), unit, version)


# --- text -----------------------------------------------------------------------------------


def test_the_one_command_of_a_service_is_reset_first() -> None:
    text = unit_text.render({"Service": {"ExecStart": "/bin/a", "ExecStartPost": "/bin/b"}})
    assert text == "[Service]\nExecStart=\nExecStart=/bin/a\nExecStartPost=/bin/b\n"


@pytest.mark.parametrize("value", [["", "/bin/a"], ("", "/bin/a")])
def test_a_command_that_is_reset_already_is_not_reset_twice(value: t.Any) -> None:
    text = unit_text.render({"Service": {"ExecStart": value}})
    assert text == "[Service]\nExecStart=\nExecStart=/bin/a\n"


def test_a_mapping_of_the_environment_is_quoted_for_units() -> None:
    text = unit_text.render({"Service": {"Environment": {"A": 'say "hi"', "B": "c\\d", "E": 1}}})
    assert text == (
        '[Service]\nEnvironment="A=say \\"hi\\""\nEnvironment="B=c\\\\d"\nEnvironment=E=1\n'
    )


def test_settings_of_other_daemons_may_be_rendered_too() -> None:
    text = unit_text.render({"DHCPServer": {"DNS": ["192.0.2.1", "192.0.2.2"]}})
    assert text == "[DHCPServer]\nDNS=192.0.2.1\nDNS=192.0.2.2\n"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Environment", "planted"),
        ("Environment", "A=b planted"),
        ("Environment", '"A=planted'),
        ("Environment", r"A=planted\q"),
        ("Environment", "1A=planted"),
        ("SetCredential", "planted"),
        ("SetCredential", r"id:planted\q"),
        ("SetCredentialEncrypted", "id:planted!"),
    ],
)
def test_a_secret_that_systemd_would_write_to_the_journal_is_refused_and_not_told(
    key: str, value: str
) -> None:
    with pytest.raises(Failure, match=rf"{key}= cannot be read") as caught:
        unit_text.render({"Service": {key: value}})
    assert "planted" not in caught.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Environment", ""),
        ("Environment", r"""A=b "C=d e" F='g "h"' I=j\x20k L="m n" """.strip()),
        ("Environment", "A="),
        ("Environment", {"A": 'back\\slash, "quotes" and blanks'}),
        ("SetCredential", r"id:two:words and \n a line"),
        ("SetCredential", ""),
        ("SetCredentialEncrypted", "id:a+/b="),
    ],
)
def test_a_secret_that_systemd_can_read_is_taken(key: str, value: t.Any) -> None:
    assert f"{key}=" in unit_text.render({"Service": {key: value}})


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
        text = unit_text.render(raw)
    except Failure:
        return
    wish = unit_text.normalise(raw)
    written = {
        section: {key: values for key, values in keys.items() if values}
        for section, keys in wish.items()
    }
    assert ini.parse(text) == ini.Settings(written)


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
