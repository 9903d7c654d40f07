# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory import answer
from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory.answer import (
    NoAnswer,
    answer_of,
    line_of,
)

SOMETHING: st.SearchStrategy[t.Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = ("name", "state", "os", "zone", "addresses", "created", "vars", "owner", "read_only")


def machine(**more: t.Any) -> dict[str, t.Any]:
    return {"name": "web", "state": "running", **more}


def found(*told: t.Any) -> tuple[answer.Found, ...]:
    return answer_of("a", {"asked": 1, "found": list(told)}).found


def test_what_a_host_says_around_its_answer_is_passed_over() -> None:
    said = b"Welcome!\nhello {}\n\nhello " + json.dumps({"found": []}).encode() + b"\nlogout\n"
    assert line_of(said, "hello") == {"found": []}


@pytest.mark.parametrize("said", [b"", b"Welcome", b"hello ", b'hello {"found": [', b"[" * 9999])
def test_an_answer_that_is_none_says_so(said: bytes) -> None:
    with pytest.raises(NoAnswer):
        line_of(said, "hello")


def test_a_host_that_could_not_tell_says_why() -> None:
    with pytest.raises(NoAnswer, match="machined does not answer"):
        answer_of("a", {"error": "machined does not answer"})


@given(SOMETHING)
def test_whatever_is_told_is_an_answer_or_none(told: t.Any) -> None:
    try:
        answer_of("a", told)
    except NoAnswer:
        pass


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, SOMETHING)))
def test_whatever_is_told_of_a_machine_has_the_right_kind(told: dict[str, t.Any]) -> None:
    (one,) = found(machine(**{**told, "name": "web", "state": "running"}))
    for key, value in one.facts.items():
        if key == "addresses":
            assert value is None or all(isinstance(address, str) for address in value)
        else:
            assert value is None or isinstance(value, (str, int))
        assert not isinstance(value, str) or (len(value) <= 512 and value.isprintable())
    assert isinstance(one.variables, dict)


def test_a_name_that_no_machine_can_have_is_left_out_and_said() -> None:
    told = answer_of("a", {"found": [machine(name="../x"), machine(name="web"), {}, 7]})
    assert [one.name for one in told.found] == ["web"]
    assert len(told.doubts) == 3


def test_an_image_may_be_called_what_no_machine_can_be() -> None:
    (one,) = found({"name": "{{ 7 * 7 }}", "state": "image"})
    assert one.name == "{{ 7 * 7 }}" and one.is_image and not one.is_running


def test_what_moves_the_cursor_is_only_shown() -> None:
    (one,) = found(machine(os="\x1b[2J", os_name="a\nb"))
    assert one.facts["os"] == "\\x1b[2J" and one.facts["os_name"] == "a\\x0ab"


def test_a_machine_is_told_once() -> None:
    assert [one.state for one in found(machine(), machine(state="paused"))] == ["running"]
