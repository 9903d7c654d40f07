# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._inside import commands
from ansible_collections.nspawn.machined.plugins.module_utils._inside.commands import Command


@given(st.lists(st.text()))
def test_no_dollar_is_left_alone_for_systemd_to_expand(argv: list[str]) -> None:
    escaped = commands.escaped(argv)
    assert [word.replace("$$", "$") for word in escaped] == argv
    assert all(word.replace("$$", "").count("$") == 0 for word in escaped)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Command(()), "found nothing"),
        (Command(("",)), "found nothing"),
        (Command(("a\0b",)), "null character"),
        (Command(("a",), environment={"A B": "c"}), "no name of a variable"),
        (Command(("a",), environment={"A=": "c"}), "no name of a variable"),
        (Command(("a",), chdir="tmp"), "absolute path"),
        (Command(("a",), user="-x"), "cannot be the name of a user"),
        (Command(("a",), user="a b"), "cannot be the name of a user"),
        (Command(("a",), timeout=0), "too short"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(
    command: Command, message: str
) -> None:
    with pytest.raises(Failure, match=message):
        commands.check(command)


def test_a_plain_command_is_accepted() -> None:
    commands.check(Command(("true",), user="_apt", environment={"A_1": ""}, chdir="/tmp"))
