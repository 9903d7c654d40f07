# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._systemd import journal


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("\x1b[0;1;32mOK\x1b[0m", "OK"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\rb\x08c", "a\\x0db\\x08c"),
        ("a line of a terminal\r", "a line of a terminal"),
        ("\u202egnirts", "\\u202egnirts"),
        ("plain ünïcode", "plain ünïcode"),
        ("\x9b31mred", "red"),
    ],
)
def test_what_a_machine_prints_cannot_steer_a_terminal(line: str, bare: str) -> None:
    assert journal.shown(line) == bare


@given(st.text())
def test_no_control_character_is_printed(line: str) -> None:
    printed = journal.shown(line)
    assert not any(ord(char) < 32 and char not in "\t\n" for char in printed)
    assert "\x1b" not in printed and "\x9b" not in printed
