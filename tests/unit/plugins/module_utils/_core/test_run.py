# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.run import CommandFailed, run


def test_both_outputs_and_the_exit_code_are_kept() -> None:
    result = run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (result.stdout, result.stderr, result.rc) == ("out\n", "err\n", 3)


def test_a_word_is_never_read_as_shell() -> None:
    assert run(["echo", "$(id); `id`; *"]).stdout == "$(id); `id`; *\n"


def test_a_failing_program_is_named_with_what_it_said() -> None:
    with pytest.raises(CommandFailed, match="exited with 1 and said: broken") as caught:
        run(["sh", "-c", "echo broken >&2; exit 1"])
    assert caught.value.details["rc"] == 1


def test_a_missing_program_is_named() -> None:
    with pytest.raises(CommandFailed, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_a_program_that_hangs_is_ended_with_all_its_children() -> None:
    started = time.monotonic()
    with pytest.raises(CommandFailed, match=r"did not end within 0\.3 s"):
        run(["sh", "-c", "sleep 60 & sleep 60; echo never"], timeout=0.3)
    assert time.monotonic() - started < 5


def test_more_input_and_output_than_a_pipe_holds_does_not_block() -> None:
    data = b"x" * 1_000_000
    assert run(["cat"], input=data).stdout == data.decode()


def test_progress_lines_come_one_by_one_whichever_way_they_end() -> None:
    lines: list[str] = []
    run(["sh", "-c", r"printf '10%%\r20%%\r30%%\n' >&2"], on_line=lines.append)
    assert lines == ["10%", "20%", "30%"]


def test_the_language_of_messages_does_not_depend_on_the_host() -> None:
    assert run(["sh", "-c", "echo $LC_ALL"]).stdout == "C\n"


def test_a_stream_goes_through_the_descriptors_that_were_given() -> None:
    read_in, write_in = os.pipe()
    read_out, write_out = os.pipe()
    os.write(write_in, b"through")
    os.close(write_in)
    result = run(["cat"], stdin=read_in, stdout=write_out, timeout=10)
    with open(read_out, "rb") as stream:
        assert stream.read() == b"through"  # ends only because write_out was closed for us
    assert result.stdout == ""


def test_a_kept_descriptor_is_open_in_the_program() -> None:
    with open(os.devnull) as stream:
        number = stream.fileno()
        assert run(["test", "-e", f"/proc/self/fd/{number}"], check=False).rc == 1
        assert run(["test", "-e", f"/proc/self/fd/{number}"], keep=[number]).rc == 0
