# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core import ini
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.text import (
    normalise,
    parse,
    render,
    render_definition,
)

names = st.from_regex(r"[A-Z][A-Za-z0-9]{0,12}", fullmatch=True)
lines = st.from_regex(r"[A-Za-z0-9/][A-Za-z0-9 =.,+:/-]{0,20}[A-Za-z0-9]", fullmatch=True)
values = st.lists(lines, min_size=1, max_size=4).map(tuple)
configurations = st.dictionaries(names, st.dictionaries(names, values, min_size=1), max_size=4)


def test_yaml_becomes_what_mkosi_writes() -> None:
    said = normalise(
        {
            "Content": {"Packages": ["a", "b"], "Bootable": True, "Hostname": None},
            "Build": {"Environment": {"A": 1}, "Incremental": False},
            "Output": None,
        }
    )
    assert said == {
        "Content": {"Packages": ("a", "b"), "Bootable": ("yes",)},
        "Build": {"Environment": ("A=1",), "Incremental": ("no",)},
    }


def test_remarks_and_lines_that_go_on_are_read_as_mkosi_reads_them() -> None:
    text = "# first\n[Content]\n; second\nPackages=a # third\n  b\n\n\tc\nBootable = no\n"
    assert parse(text) == {"Content": {"Packages": ["a", "b", "c"], "Bootable": ["no"]}}


def test_a_definition_repeats_a_setting_for_each_value() -> None:
    text = render_definition({"Partition": {"Type": ("root",), "CopyFiles": ("/", "/a:/b")}})
    assert text == "[Partition]\nType=root\nCopyFiles=/\nCopyFiles=/a:/b\n"


@pytest.mark.parametrize("value", ["a\x00b", "a\x1b[2Jb", ["x", "\x07"]])
def test_control_characters_are_refused(value: object) -> None:
    with pytest.raises(Failure, match="control character"):
        normalise({"Content": {"Packages": value}})


@pytest.mark.parametrize("end", list("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r\0"))
def test_what_ends_a_line_for_mkosi_alone_is_refused_where_it_is_given_and_read(end: str) -> None:
    for value in (f"a{end}Bootable=no", ["x", f"a{end}b"], {"A": f"a{end}b"}, {f"A{end}B": "c"}):
        with pytest.raises(Failure, match="control character"):
            normalise({"Content": {"Environment": value}})
    with pytest.raises(Failure, match=r"line 2: it contains the control character"):
        parse(f"[Content]\nHostname=a{end}Bootable=no\n")


@pytest.mark.parametrize("value", ["a\nb", ["x", "a\nb"], {"A": "b\nc"}, {"A\nB": "c"}])
def test_a_value_of_several_lines_is_refused(value: object) -> None:
    with pytest.raises(Failure, match="several lines; expected one, or several as a list"):
        normalise({"Content": {"Environment": value}})


def test_a_block_of_yaml_is_one_line() -> None:
    assert normalise({"Content": {"Hostname": "web\n"}}) == {"Content": {"Hostname": ("web",)}}


def test_a_list_for_a_value_of_a_dictionary_is_refused() -> None:
    with pytest.raises(Failure, match=r"is list; expected a string"):
        normalise({"Build": {"Environment": {"A": ["b", "c"]}}})


def test_a_list_that_begins_on_the_next_line_has_no_empty_value() -> None:
    text = "[Build]\r\nEnvironment=\r\n    A=b\r\n    C=d\r\nPackages=\r\n"
    assert parse(text) == {"Build": {"Environment": ["A=b", "C=d"], "Packages": [""]}}


def test_a_list_with_nothing_in_it_empties_what_mkosi_has() -> None:
    said = normalise({"Content": {"Packages": []}})
    assert said == {"Content": {"Packages": ("",)}}
    assert render(said) == "[Content]\nPackages=\n"


@pytest.mark.parametrize("value", [{1, 2}, object(), b"x"])
def test_a_value_of_a_strange_kind_is_refused(value: object) -> None:
    with pytest.raises(Failure, match=r"expected a string, number"):
        normalise({"Content": {"Packages": value}})


def test_a_section_that_is_no_dictionary_is_refused() -> None:
    with pytest.raises(Failure, match="expected its settings"):
        normalise({"Content": ["Packages"]})


@pytest.mark.parametrize(
    "text", ["Key=value", "[]\n", "[Output\nFormat=tar", "[Output]\nFormat", "[Output]\n=x"]
)
def test_a_text_that_is_no_configuration_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(Failure, match=r"line \d+"):
        parse(text)


def test_a_line_that_is_refused_is_not_told() -> None:
    with pytest.raises(Failure) as raised:
        parse("[Content]\nEnvironment=A=x\npl4nted\n")
    assert "pl4nted" not in raised.value.message


@pytest.mark.parametrize("name", ["a\nb", "a\0", "", "a]", "[a", "a=b", " a", "#a"])
def test_a_name_that_would_be_something_else_in_a_file_is_refused(name: str) -> None:
    for config in ({name: {"Key": ("x",)}}, {"Section": {name: ("x",)}}):
        with pytest.raises(Failure, match="cannot be the name"):
            normalise(config)
        with pytest.raises(Failure, match="cannot be the name"):
            render(config)
        with pytest.raises(Failure, match="cannot be the name"):
            render_definition(config)


# --- properties ---


@given(configurations)
def test_a_rendered_configuration_reads_back_the_same(
    config: dict[str, dict[str, tuple[str, ...]]],
) -> None:
    parsed = parse(render(config))
    assert {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()} == config


texts = st.text(max_size=8) | st.sampled_from(
    ["a\nb", "a\0", "#", ";a", "[a]", "a\\", " a", "", "=", "a\n[b]\nC=d"]
    + [f"a{end}[b]" for end in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\xa0"]
)
anything = st.dictionaries(
    names | texts,
    st.dictionaries(
        names | texts, st.lists(lines | texts, min_size=1, max_size=3).map(tuple), min_size=1
    ),
    max_size=3,
)


of_yaml = st.dictionaries(
    names | texts,
    st.dictionaries(names | texts, lines | texts | st.lists(lines | texts, min_size=1)),
    max_size=3,
)


def listed(value: str | list[str]) -> list[str]:
    return [one.strip(" \t\r\n") for one in ([value] if isinstance(value, str) else value)]


@given(of_yaml)
def test_whatever_is_taken_from_yaml_reaches_mkosi_as_it_was_given(
    config: dict[str, dict[str, str | list[str]]],
) -> None:
    with contextlib.suppress(Failure):
        text = render(normalise(config))
        # As mkosi itself parts lines.
        assert text.split("\n")[:-1] == text.splitlines()
        assert parse(text) == {
            section: {key: listed(value) for key, value in keys.items()}
            for section, keys in config.items()
            if keys
        }


@given(anything)
def test_whatever_is_written_reads_back_the_same(
    config: dict[str, dict[str, tuple[str, ...]]],
) -> None:
    with contextlib.suppress(Failure):
        parsed = parse(render(config))
        assert {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()} == config
    with contextlib.suppress(Failure):
        assert dict(ini.parse(render_definition(config))) == dict(ini.Settings(config))
