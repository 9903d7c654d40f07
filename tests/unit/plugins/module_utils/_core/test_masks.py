# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core import masks
from ansible_collections.nspawn.machined.plugins.module_utils._core.printable import printable

KEYS = [*sorted(masks.KEYS), "X-Mine"]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("Environment", "TOKEN=planted", "TOKEN=********"),
        ("Environment", '"TOKEN=planted NAME=planted"', "TOKEN=********"),
        ("Environment", "planted", "********"),
        ("SetCredential", "token:planted:planted", "token:********"),
        ("SetCredential", "planted", "********"),
        ("LoadCredential", "token:/planted", "token:********"),
        ("ExecStart", "/bin/login --word planted", "/bin/login ********"),
        ("ExecStart", "/bin/true", "/bin/true"),
        ("ExecStart", "", ""),
        ("Parameters", "planted", "********"),
        ("X-Mine", "planted", "********"),
        ("Zone", "web", "web"),
    ],
)
def test_of_a_key_that_may_be_secret_only_names_are_shown(key: str, value: str, shown: str) -> None:
    assert masks.masked(key, [value]) == [shown]


@pytest.mark.parametrize("key", KEYS)
def test_a_change_of_a_secret_is_seen_and_the_secret_is_not(key: str) -> None:
    old, new = (f"[S]\n{key}=A:a=1 planted-{word}\n" for word in ("old", "new"))
    before, after = masks.texts(old, new)
    assert before != after
    assert "planted" not in f"{before}{after}"
    assert masks.texts(old, old)[0] == masks.texts(old, old)[1] == before


def test_only_the_secrets_of_a_text_are_masked() -> None:
    text = (
        "# A=remark\n[Exec]\nBoot=yes\n#Environment=PASSWORD=planted\nEnvironment=A=planted \\\n"
        "  planted\n planted\n[Network]\nZone=web\n"
    )
    (_before, shown) = masks.texts(None, text)
    assert shown == (
        "# A=remark\n[Exec]\nBoot=yes\n#Environment=********\nEnvironment=A=********\n"
        "********\n[Network]\nZone=web\n"
    )


def test_a_file_with_secrets_is_closed_to_others_and_no_other_file() -> None:
    assert masks.mode_of("[Exec]\nEnvironment=A=b\n", 0o644) == 0o600
    assert masks.mode_of("[Exec]\nEnvironment=A=b\n", 0o400) == 0o400
    assert masks.mode_of("[Exec]\nBoot=yes\n", 0o644) == 0o644


def test_a_file_with_secrets_that_others_can_read_is_not_as_it_is_wanted() -> None:
    text = "[Exec]\nEnvironment=A=planted\n"
    assert masks.change(text, 0o600, text) is None
    change = masks.change(text, 0o644, text)
    assert change is not None
    mode, before, after = change
    assert mode == 0o600
    assert before == "(mode 0644)\n[Exec]\nEnvironment=A=********\n"
    assert after == "(mode 0600)\n[Exec]\nEnvironment=A=********\n"


def test_data_is_shown_by_its_keys_and_tells_what_is_another_one() -> None:
    old = {"a": "1", "b": ["x", "y"], "c": {"d": "same"}}
    new = {"a": "2", "b": ["x", "z"], "c": {"d": "same"}, "e": 7, "f": None}
    assert masks.leaves(new, old) == {
        "a": masks.ANOTHER,
        "b": [masks.MASK, masks.ANOTHER],
        "c": {"d": masks.MASK},
        "e": masks.MASK,
        "f": None,
    }


def test_secrets_are_found_wherever_an_argument_has_them() -> None:
    config = {
        "Content": {"RootPassword": "planted-1", "Packages": ["systemd"]},
        "Service": {"Environment": {"A": "planted-2"}, "SetCredential": ["id:planted-3"]},
        "text": "[Content]\nPackages=systemd\nRootPassword=planted-4\n",
        "url": "https://user:planted-5@example.org/",
    }
    words = set(masks.words_in(config))
    assert {f"planted-{number}" for number in range(1, 6)} <= words
    assert "systemd" not in words


def test_short_words_are_left_in_a_sentence() -> None:
    assert masks.without(["1", "planted"], "1 planted word") == "1 ******** word"


@pytest.mark.parametrize(
    ("secret", "part"),
    [
        ("two\nlines", "lines"),
        ("back\\slash", "slash"),
        ("it's secret", "secret"),
        ("bell\a and tab\t", "tab"),
        ("\x85gr\u00fc\u00dfe", "gr"),
    ],
)
@pytest.mark.parametrize(
    "said",
    [str, repr, json.dumps, printable, lambda one: json.dumps(one, ensure_ascii=False)],
)
def test_a_word_is_found_however_a_sentence_quotes_it(
    secret: str, part: str, said: t.Callable[[str], str]
) -> None:
    sentence = masks.without([secret], f"{said(secret)} was refused")
    assert masks.MASK in sentence and part not in sentence


@given(st.text(), st.text())
def test_whatever_a_text_is_it_can_be_shown(before: str, after: str) -> None:
    shown = masks.texts(before, after)
    assert all(isinstance(text, str) for text in shown)


@given(st.sampled_from(KEYS), st.from_regex(r"[a-z]{8}", fullmatch=True))
def test_no_secret_of_any_key_comes_through(key: str, word: str) -> None:
    _before, shown = masks.texts(None, f"[S]\n{key}=A:b C={word}{word}\n")
    assert word * 2 not in str(shown)
