# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._core.run import Result
from ansible_collections.nspawn.machined.plugins.module_utils._inside import execution


def wanted(**given: t.Any) -> execution.Wanted:
    nothing = dict.fromkeys(("image", "argv", "cmd", "stdin", "chdir", "creates", "removes"))
    usual = {"machine": "web", "ephemeral": False, "stdin_add_newline": True, "user": "root"}
    limits = {"timeout": 60, "max_output": 1000}
    return execution.wanted_of({**nothing, **usual, **limits, "environment": {}, **given})


def test_a_command_in_one_line_is_taken_apart_but_nothing_in_it_is_expanded() -> None:
    assert wanted(cmd="echo '$HOME *' |").command.argv == ("echo", "$HOME *", "|")


def test_a_quote_that_is_not_closed_is_refused() -> None:
    with pytest.raises(Failure, match="cannot be taken apart"):
        wanted(cmd="echo 'a")


@pytest.mark.parametrize(("newline", "stdin"), [(True, b"a\n"), (False, b"a")])
def test_what_the_command_reads_ends_in_a_newline_unless_told_otherwise(
    newline: bool, stdin: bytes
) -> None:
    assert wanted(argv=["cat"], stdin="a", stdin_add_newline=newline).command.stdin == stdin


def test_the_place_is_the_machine_or_the_image() -> None:
    inside = wanted(argv=["true"])
    offline = wanted(argv=["true"], machine=None, image="trixie", ephemeral=True)
    assert (inside.place, inside.in_image) == ("web", False)
    assert (offline.place, offline.in_image) == ("trixie", True)


def test_a_machine_that_runs_has_no_snapshot_to_throw_away() -> None:
    with pytest.raises(Failure, match="is for an image"):
        wanted(argv=["true"], ephemeral=True)


def test_text_is_told_as_text_alone() -> None:
    said = execution.said(Result(("a",), 0, "ünï\n", ""))
    assert said == {"stdout": "ünï\n", "stderr": "", "truncated": False}


def test_bytes_that_are_no_text_are_told_as_bytes_as_well() -> None:
    said = execution.said(Result(("a",), 0, "\udcff\udcfeok", "plain"))
    assert said["stdout"] == "\ufffd\ufffdok"
    assert said["stdout_base64"] == "//5vaw=="
    assert "stderr_base64" not in said


def test_what_is_missing_is_told_of_each_stream() -> None:
    said = execution.said(Result(("a",), 0, "x", "", lost={"stdout": 5}))
    assert (said["truncated"], said["stdout_lost"]) == (True, 5)
    assert "stderr_lost" not in said
