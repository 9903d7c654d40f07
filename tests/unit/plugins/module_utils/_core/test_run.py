# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from pathlib import Path

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


def test_output_over_the_limit_is_an_error_where_the_output_is_the_result() -> None:
    with pytest.raises(CommandFailed, match="said 1001 bytes; expected at most 1000"):
        run(["head", "-c", "1001", "/dev/zero"], limit=1000)
    assert run(["head", "-c", "1000", "/dev/zero"], limit=1000).lost == {}


def test_output_over_the_limit_is_cut_for_who_asks_and_told_by_stream_and_amount() -> None:
    script = "head -c 70000 /dev/zero; head -c 1200 /dev/zero >&2"
    result = run(["sh", "-c", script], limit=1000, cut=True)
    assert (len(result.stdout), len(result.stderr)) == (1000, 1000)
    assert result.lost == {"stdout": 69000, "stderr": 200}


def test_the_last_of_what_is_lost_is_told() -> None:
    result = run(["sh", "-c", "head -c 70000 /dev/zero; printf end"], limit=1000, cut=True)
    assert result.ends["stdout"].endswith(b"\0end")
    assert len(result.ends["stdout"]) < 1000


def test_what_a_program_says_of_itself_may_be_cut_but_that_is_told() -> None:
    result = run(["sh", "-c", "echo done; head -c 1200 /dev/zero >&2"], limit=1000)
    assert (result.stdout, result.lost) == ("done\n", {"stderr": 200})


def test_a_failure_counts_for_more_than_too_much_output() -> None:
    with pytest.raises(CommandFailed, match="exited with 3 and said: why"):
        run(["sh", "-c", "head -c 1001 /dev/zero; echo why >&2; exit 3"], limit=1000)


def test_bytes_that_are_not_utf_8_are_kept_in_both_streams_when_asked_for() -> None:
    script = r"printf '\377' ; printf '\376' >&2"
    result = run(["sh", "-c", script], raw=True)
    assert (result.stdout, result.stderr) == ("\udcff", "\udcfe")
    assert run(["sh", "-c", script]).stderr == "\ufffd"


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    lines: list[str] = []
    script = "head -c 3000000 /dev/zero >&2; echo >&2; echo after >&2"
    run(["sh", "-c", script], on_line=lines.append)
    assert lines[-1] == "after"
    assert max(map(len, lines)) <= 1 << 20


def test_a_program_may_take_away_what_it_made_before_it_is_killed(tmp_path: Path) -> None:
    made = tmp_path / "made"
    script = f"trap 'rm {made}; exit' TERM; touch {made}; sleep 60 & wait"
    with pytest.raises(CommandFailed, match="did not end"):
        run(["sh", "-c", script], timeout=0.5, grace=5)
    assert not made.exists()


def test_a_program_that_does_not_care_is_killed_after_its_grace() -> None:
    started = time.monotonic()
    with pytest.raises(CommandFailed, match="did not end"):
        run(["sh", "-c", "trap '' TERM; sleep 60"], timeout=0.3, grace=0.3)
    assert time.monotonic() - started < 5
