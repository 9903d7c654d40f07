# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.printable import (
    printable,
    printable_data,
    without_colours,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a word, Äpfel, 東京", "a word, Äpfel, 東京"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J", "\\x9b2J"),
        ("a\nb\tc\rd\0e\x7f", "a\\x0ab\\x09c\\x0dd\\x00e\\x7f"),
        ("safe\u202etxt.exe", "safe\\u202etxt.exe"),
        ("\u2066a\u2069\u200b\ufeff\u2028", "\\u2066a\\u2069\\u200b\\ufeff\\u2028"),
        ("caf\udce9", "caf\\xe9"),
        (b"caf\xe9\x1b", "caf\\xe9\\x1b"),
        ("\U000e0041\ud800", "\\U000e0041\\ud800"),
        ("a\u00a0b\u3000c", "a\\xa0b\\u3000c"),
    ],
)
def test_what_is_not_seen_is_shown_escaped(text: str | bytes, shown: str) -> None:
    assert printable(text) == shown


def test_lines_and_tabs_stay_where_there_may_be_several() -> None:
    assert printable("a\n\tb\r\x1b", lines=True) == "a\n\tb\\x0d\\x1b"


@given(st.text() | st.binary())
def test_nothing_that_a_screen_obeys_comes_through(text: str | bytes) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("\x1b[1;31mfailed\x1b[0m\n", "failed\n"),
        ("\x9b1mbold", "bold"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://a/\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Bascii\x1b7", "ascii"),
        ("\x1bPq#0\x1b\\picture", "picture"),
        ("nothing", "nothing"),
    ],
)
def test_colours_are_taken_away_whole(said: str, text: str) -> None:
    assert without_colours(said) == text


def test_all_texts_of_data_are_shown_and_the_rest_stays() -> None:
    data = {"a\x1b": ["b\x9b", 1, None, True, {"c": "d\ne\u202e"}], "f": ("g\0",)}
    assert printable_data(data) == {
        "a\\x1b": ["b\\x9b", 1, None, True, {"c": "d\ne\\u202e"}],
        "f": ["g\\x00"],
    }
