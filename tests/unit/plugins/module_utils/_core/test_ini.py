# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core import ini
from ansible_collections.nspawn.machined.plugins.module_utils._core.ini import Settings
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure

# Few characters, all of which mean something: a short text then hits many rules at once.
TEXTS = st.text(alphabet="[]=\\#; \n\r\0\tabEx\ufeff", max_size=60)
VALUES = st.lists(st.text(alphabet="ab \\=[#;%", max_size=5), max_size=3)
WISHES = st.dictionaries(
    st.sampled_from(["a", "E", "x"]),
    st.dictionaries(st.sampled_from(["a", "b", "x"]), VALUES, max_size=3),
    max_size=3,
).map(Settings)


# Anything at all, by everybody who writes a file: what ends a line, a name or a section above all.
ANYTHING = st.text(max_size=6) | st.text(
    alphabet="aB]=[\n\r\0\\\t #;\x85\u2028\x0b\udce9", max_size=6
)
WILD = st.dictionaries(
    ANYTHING,
    st.dictionaries(ANYTHING, st.lists(ANYTHING, min_size=1, max_size=3), min_size=1, max_size=2),
    max_size=2,
).map(Settings)


def is_safe(settings: Settings) -> bool:
    try:
        for (section, key), values in settings.places():
            for value in values:
                ini.check_safe(section, key, value)
    except Failure:
        return False
    return True


def is_broken(text: str) -> bool:
    return any(piece.kind == ini.BROKEN for piece in ini.pieces(text))


def understood(text: str) -> Settings:
    return ini.gathered([one for one in ini.pieces(text) if one.kind != ini.BROKEN])


# --- read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Exec]\nBoot=yes\n", {"Exec": {"Boot": ("yes",)}}),
        ("[Exec]\n  Boot = yes \n", {"Exec": {"Boot": ("yes",)}}),
        ("[Exec]\nBoot=yes", {"Exec": {"Boot": ("yes",)}}),
        ("[Exec]\r\nBoot=yes\r\n", {"Exec": {"Boot": ("yes",)}}),
        ("\ufeff[Exec]\nBoot=yes\n", {"Exec": {"Boot": ("yes",)}}),
        ("[Exec]\n# Boot=yes\n; Boot=yes\n", {}),
        ("[Exec]\nA=1 # no comment\n", {"Exec": {"A": ("1 # no comment",)}}),
        ("[Exec]\nA=1\nA=2\n[Files]\n[Exec]\nA=3\n", {"Exec": {"A": ("1", "2", "3")}}),
        ("[Exec]\nA=1\nA=\n", {"Exec": {"A": ("1", "")}}),
        ("[Exec]\nA=1=2\n", {"Exec": {"A": ("1=2",)}}),
        ("[Exec]\nA=1 \\\n 2\n", {"Exec": {"A": ("1   2",)}}),
        ("[Exec]\nA=1\\\n# in between\n2\n", {"Exec": {"A": ("1 2",)}}),
        ("[Exec]\nA=1\\\n\nB=2\n", {"Exec": {"A": ("1",), "B": ("2",)}}),
        ("[Exec]\nA=1\\\\\nB=2\n", {"Exec": {"A": ("1\\\\",), "B": ("2",)}}),
        ("[Exec]\nA=1\\", {"Exec": {"A": ("1",)}}),
        ("A=1\n[Exec]\nB\n=2\n", {}),
        ("[exec]\nboot=yes\n", {"exec": {"boot": ("yes",)}}),
    ],
)
def test_a_text_is_read_as_systemd_reads_it(text: str, expected: object) -> None:
    assert ini.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("[Exec\n", "[Exec] # no\n", "[", '[Ex"ec]\n', "[a\\\nb\tc]\n"),
        # Only systemd 262 refuses these.
        *("[Exec] [Files]\n", "[Exec]\\\n[Files]\n", "[]\n", "[Ex*c]\n", "[Exec?]\n"),
    ],
)
def test_a_header_for_which_systemd_refuses_the_file_is_a_failure(text: str) -> None:
    with pytest.raises(Failure, match=r"web, line 1.*no section header"):
        ini.parse(text, "web")


@given(TEXTS)
def test_the_pieces_of_a_text_are_the_text(text: str) -> None:
    assert "".join(piece.text for piece in ini.pieces(text)) == text


# --- write ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("Exec", "A", "1\n[Files]"),
        ("Exec", "A", "1\r2"),
        ("Exec", "A", "1\x002"),
        ("Exec", "A", "\x1b[31m"),
        ("Exec", "A", "1\\"),
        ("Exec", "A", "1\\\\\\"),
        ("Exec", "A", " 1"),
        ("Exec", "A", "1" * 1024 * 1024),
        ("Exec", "A", "\udc80"),
        ("Exec", "A=B", "1"),
        ("Exec", "A\nB", "1"),
        ("Exec", "#A", "1"),
        ("Exec]\n[Files", "A", "1"),
        ("Exec", "", "1"),
        ("", "A", "1"),
    ],
)
def test_what_would_not_come_back_from_a_file_is_refused(
    section: str, key: str, value: str
) -> None:
    with pytest.raises(Failure):
        ini.check_safe(section, key, value)


@given(WISHES.filter(is_safe))
def test_what_was_written_is_read_again(wish: Settings) -> None:
    expected = {
        section: {key: values for key, values in keys.items() if values}
        for section, keys in wish.items()
    }
    assert ini.parse(ini.render(wish)) == {name: keys for name, keys in expected.items() if keys}


@hypothesis_settings(max_examples=1000, deadline=None)
@given(WILD, st.sampled_from(["", "[Exec]\nBoot=yes\n", "[a]\nB=1\\"]))
def test_every_writer_refuses_or_is_read_again_as_it_was_given(wild: Settings, text: str) -> None:
    for write in (ini.render, lambda wish: ini.merge(text, wish, exclusive=True)):
        try:
            written = write(wild)
        except Failure:
            assert not is_safe(wild)
        else:
            assert ini.parse(written) == wild


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("Exec]\n[Service", "A", "1"),
        ("Exec", "A=1\nExecStart", "2"),
        ("Exec", "A", "1\nExecStart=/bin/evil"),
        ("Exec", "A", "1\0"),
        ("Exec", "#A", "1"),
        ("Exec", "A", "1\\"),
        ("Exec", "A", " 1"),
    ],
)
def test_nothing_is_written_that_would_become_something_else(
    section: str, key: str, value: str
) -> None:
    wish = Settings({section: {key: [value]}})
    with pytest.raises(Failure, match="the file:"):
        ini.render(wish, "the file")
    with pytest.raises(Failure, match="the file:"):
        ini.merge("[Exec]\nA=0\n", wish, what="the file")


@given(TEXTS, WISHES.filter(is_safe), st.booleans())
def test_a_merged_text_says_what_is_wanted_and_the_rest_as_before(
    text: str, wish: Settings, exclusive: bool
) -> None:
    if is_broken(text) and not exclusive:
        with pytest.raises(Failure):
            ini.merge(text, wish)
        return
    merged = ini.merge(text, wish, exclusive=exclusive)
    now, before = ini.parse(merged), understood(text)
    named = {place for place, _values in wish.places()}
    assert all(now.values_of(*place) == values for place, values in wish.places())
    others = {place: values for place, values in now.places() if place not in named}
    kept = {place: values for place, values in before.places() if place not in named}
    assert others == ({} if exclusive else kept)
    assert ini.merge(merged, wish, exclusive=exclusive) == merged


@given(TEXTS.filter(lambda text: not is_broken(text)))
def test_a_text_that_says_all_that_is_wanted_stays_as_it_is(text: str) -> None:
    assert ini.merge(text, ini.parse(text)) == text
    assert ini.merge(text, Settings({})) == text


@given(TEXTS, WISHES.filter(is_safe))
def test_a_merge_keeps_every_comment_in_its_order(text: str, wish: Settings) -> None:
    def comments(of: str) -> list[str]:
        return [one.text.strip() for one in ini.pieces(of) if one.kind == ini.COMMENT]

    assert comments(ini.merge(text, wish, exclusive=True)) == comments(text)


def test_a_new_key_stands_at_the_end_of_its_section() -> None:
    text = "[Exec]\nBoot=yes\n\n# about files\n[Files]\nBind=/a\n"
    merged = ini.merge(text, Settings({"Exec": {"User": ["a"]}}))
    assert merged == "[Exec]\nBoot=yes\nUser=a\n\n# about files\n[Files]\nBind=/a\n"


def test_items_that_stay_in_a_list_keep_their_lines_and_neighbours() -> None:
    text = "[Files]\n# one\nBind = /a\n# two\nBind=/b\n# three\nBind=/c\n"
    merged = ini.merge(text, Settings({"Files": {"Bind": ["/a", "/x", "/c", "/d"]}}))
    assert merged == "[Files]\n# one\nBind = /a\n# two\nBind=/x\n# three\nBind=/c\nBind=/d\n"


def test_a_section_that_is_emptied_goes_with_its_gap() -> None:
    text = "[Exec]\nBoot=yes\n\n[Files]\nBind=/a\n"
    assert ini.merge(text, Settings({"Files": {"Bind": []}})) == "[Exec]\nBoot=yes\n"
    kept = "[Exec]\nBoot=yes\n\n[Files]\n# mine\nBind=/a\n"
    assert "[Files]\n# mine\n" in ini.merge(kept, Settings({"Files": {"Bind": []}}))


def test_something_put_behind_an_open_continuation_does_not_become_a_part_of_it() -> None:
    merged = ini.merge("[Exec]\nUser=a\\", Settings({"Exec": {"Boot": ["yes"]}}))
    assert ini.parse(merged) == {"Exec": {"User": ("a",), "Boot": ("yes",)}}


# --- from YAML ------------------------------------------------------------------------------


def quoted(word: str, _what: str) -> str:
    return f"<{word}>"


def test_yaml_s_own_values_become_systemd_s() -> None:
    raw = {"S": {"a": True, "b": False, "c": 5, "d": ["x", 1, True], "e": None, "f": "block\n"}}
    assert ini.normalise(raw, "settings", quoted) == {
        "S": {
            "a": ("yes",),
            "b": ("no",),
            "c": ("5",),
            "d": ("x", "1", "yes"),
            "e": (),
            "f": ("block",),
        }
    }


def test_a_mapping_becomes_quoted_assignments() -> None:
    raw = {"S": {"Environment": {"A": "b c", "D": 1}}}
    found = ini.normalise(raw, "settings", quoted)
    assert found.values_of("S", "Environment") == ("<A=b c>", "<D=1>")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"S": "text"}, r"\[S\]: expected a mapping, found a text$"),
        ({"S": None}, "expected a mapping, found nothing"),
        ({"S": ["a"]}, "expected a mapping, found a list"),
        ({1: {}}, "1 is no name"),
        ({"S": {True: 1}}, "True is no name"),
        ({"S": {"a": [["b"]]}}, "a=: expected a text.*found a list"),
        ({"S": {"a": {"b": {}}}}, "a=: expected a text.*found a mapping"),
    ],
)
def test_what_has_the_wrong_shape_is_refused_with_its_place(raw: dict[str, str], says: str) -> None:
    with pytest.raises(Failure, match=says):
        ini.normalise(raw, "settings", quoted)


def test_the_nearest_name_is_found_whatever_its_case() -> None:
    assert ini.nearest("netwrok", ["Exec", "Network"]) == "Network"
    assert ini.nearest("Quux", ["Exec", "Network"]) is None
