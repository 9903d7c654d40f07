# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._core.run import Result
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
        (Command(("a",), timeout=float("nan")), "no time to wait"),
        (Command(("a",), timeout=float("inf")), "no time to wait"),
        (Command(("a",), environment={"A": "b\0c"}), "null character"),
        (Command(("a",), limit=-1), "max_output: -1"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(
    command: Command, message: str
) -> None:
    with pytest.raises(Failure, match=message):
        commands.check(command)


def test_a_plain_command_is_accepted() -> None:
    commands.check(Command(("true",), user="_apt", environment={"A_1": ""}, chdir="/tmp"))


def ran(command: Command, shell: t.Sequence[str] = ("/bin/sh",)) -> t.Optional[Result]:
    """What comes of a command with the shell around it, here on this machine."""
    wrapped = commands.Wrapped(command)
    done = subprocess.run(
        [*shell, *wrapped.argv[1:]], input=wrapped.stdin, capture_output=True, check=False
    )
    out, err = (one.decode("utf-8", "surrogateescape") for one in (done.stdout, done.stderr))
    return wrapped.result(Result(wrapped.argv, done.returncode, out, err))


SHOW = "import os, sys; sys.stdout.buffer.write(os.environb[b'A'] + b'|' + sys.stdin.buffer.read())"


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=300).filter(lambda value: b"\0" not in value), st.binary(max_size=50))
def test_a_command_gets_its_variables_and_what_it_reads_as_they_are(
    value: bytes, stdin: bytes
) -> None:
    environment = {"A": value.decode("utf-8", "surrogateescape"), "IFS": "x"}
    command = Command((sys.executable, "-c", SHOW), environment=environment, stdin=stdin)
    result = ran(command)
    assert result is not None
    assert result.stdout.encode("utf-8", "surrogateescape") == value + b"|" + stdin


def test_every_byte_comes_through_both_shells() -> None:
    value = bytes(range(1, 256)).decode("utf-8", "surrogateescape")
    command = Command((sys.executable, "-c", SHOW), environment={"A": value})
    for shell in (["dash"], ["bash"], ["bash", "--posix"]):
        result = ran(command, shell)
        assert result is not None
        assert result.stdout == value + "|"


def test_no_variable_and_nothing_that_is_read_is_an_argument() -> None:
    command = Command(("a", "b"), environment={"WORD": "planted"}, stdin=b"planted")
    assert "planted" not in "".join(commands.Wrapped(command).argv)
    assert b"planted" in commands.Wrapped(command).stdin


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("exit 255", 255)],
)
def test_how_a_command_ended_is_told_by_the_shell_around_it(script: str, code: int) -> None:
    result = ran(Command(("sh", "-c", script + "; true" if "kill" in script else script)))
    assert result is not None
    assert result.rc == code


def test_what_a_command_says_of_itself_is_kept_whole() -> None:
    result = ran(Command(("sh", "-c", "printf 'no newline' >&2")))
    assert result is not None
    assert (result.stderr, result.lost) == ("no newline", {})


def test_a_command_that_did_not_end_itself_has_no_exit_code() -> None:
    wrapped = commands.Wrapped(Command(("a",)))
    for said in ("", "Failed to query unit state", "<0123:0."):
        assert wrapped.result(Result(("a",), 0, "", said)) is None


@pytest.mark.parametrize("size", [0, 90, 99, 100, 101, 140, 150, 300, 356, 357, 400, 5000])
def test_the_end_is_found_however_much_was_said_before_it(size: int) -> None:
    wrapped = commands.Wrapped(Command(("a",), limit=100))
    said = b"x" * size + wrapped.argv[5].encode() + b"3."
    kept, lost = said[:100], said[100:]
    losses = {"stderr": len(lost)} if lost else {}
    ends = {"stderr": lost[-256:]} if lost else {}
    result = wrapped.result(Result(("a",), 3, "", kept.decode(), losses, ends))
    assert result is not None
    assert (result.rc, len(result.stderr)) == (3, min(size, 100))
    assert result.lost == ({"stderr": size - 100} if size > 100 else {})


def test_too_long_is_told_without_arguments_and_variables() -> None:
    command = Command(("a", "argument"), environment={"WORD": "planted"}, timeout=3)
    failure = commands.overdue("web", command, Result(("a",), -1, "", ""))
    assert failure.message == "web: a did not end within 3 s and was stopped"
