# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import arguments

SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "list", "elements": "str", "aliases": ["names"], "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"]},
    "timeout": {"type": "float"},
    "settings": {"type": "dict"},
    "stdin": {"type": "str", "no_log": True},
    "forgotten": {"type": "str"},
    "machines": {
        "type": "list",
        "elements": "dict",
        "options": {"name": {"type": "str", "no_log": False}, "vars": {"type": "dict"}},
    },
}


def test_what_cannot_be_secret_is_told_and_of_the_rest_only_keys() -> None:
    given = {
        "names": ["web"],
        "state": "present",
        "timeout": 5.0,
        "settings": {"Exec": {"Environment": ["A=planted"], "Boot": True}},
        "stdin": "planted",
        "forgotten": "planted",
        "unknown": ["planted"],
        "machines": [{"name": "db", "vars": {"word": "planted"}}, "planted"],
        "_ansible_verbosity": 3,
    }
    mask = "********"
    assert arguments.told(SPEC, given) == {
        "names": ["web"],
        "state": "present",
        "timeout": 5.0,
        "settings": {"Exec": {"Environment": [mask], "Boot": mask}},
        "stdin": mask,
        "forgotten": mask,
        "unknown": [mask],
        "machines": [{"name": "db", "vars": {"word": mask}}, mask],
    }


@pytest.mark.parametrize("name", ["state", "timeout"])
def test_what_was_refused_may_be_anything(name: str) -> None:
    assert arguments.told(SPEC, {name: "planted"}) == {name: "********"}
    assert arguments.secrets(SPEC, {name: "planted"}) == {"planted"}


def test_words_are_secret_by_their_argument_or_by_their_key() -> None:
    given = {
        "stdin": "planted-1\nplanted-2",
        "settings": {"Exec": {"Environment": {"A": "planted-3"}, "Hostname": "a-hostname"}},
        "forgotten": "a-word",
    }
    assert arguments.secrets(SPEC, given) == {
        "planted-1\nplanted-2",
        "planted-1",
        "planted-2",
        "planted-3",
    }


def test_a_word_that_is_told_anyway_is_no_secret() -> None:
    assert arguments.secrets(SPEC, {"name": ["frontend"], "stdin": "frontend"}) == set()
