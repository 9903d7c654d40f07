# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core import lines
from ansible_collections.nspawn.machined.plugins.module_utils._core.lines import (
    LIKE_ENDS,
    lines_of,
    said_lines,
)

PLUGINS = Path(lines.__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\nb", ["a", "", "b"]),
        ("\n", [""]),
        ("Id=a\u2028Result=b\x85\x0c\x1c\r\n", ["Id=a\u2028Result=b\x85\x0c\x1c\r"]),
    ],
)
def test_a_newline_alone_ends_a_line(text: str, found: list[str]) -> None:
    assert lines_of(text) == found


@given(st.lists(st.text(st.characters(exclude_characters="\n"))))
def test_what_was_joined_by_newlines_comes_back(given_lines: list[str]) -> None:
    assert lines_of("".join(f"{line}\n" for line in given_lines)) == given_lines


def test_a_meter_that_returns_to_its_line_begins_a_new_one_each_time() -> None:
    assert said_lines("1 %\r2 %\n\nfull\n") == ["1 %", "2 %", "full"]


def test_all_is_known_that_python_takes_for_the_end_of_a_line() -> None:
    ends = [one for one in map(chr, range(0x11000)) if len(f"a{one}b".splitlines()) > 1]
    assert [one for one in ends if one != "\n" and not LIKE_ENDS.fullmatch(one)] == []


def test_nothing_of_the_collection_parts_lines_in_another_way() -> None:
    others = [
        f"{path.relative_to(PLUGINS)}:{node.lineno}"
        for path in sorted(PLUGINS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "splitlines"
    ]
    assert others == []
