# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import caller, run


def test_who_reads_is_there(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    assert not caller.is_gone(writing)
    os.close(reading)
    assert caller.is_gone(writing)
    os.close(writing)


def test_who_holds_the_other_end_of_a_socket_is_there() -> None:
    ours, theirs = socket.socketpair()
    assert not caller.is_gone(ours.fileno())
    theirs.close()
    assert caller.is_gone(ours.fileno())
    ours.close()


def test_a_file_is_always_there(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        assert not caller.is_gone(file.fileno())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_who_is_asked_to_end_cleans_up(number: int) -> None:
    before = signal.getsignal(number)
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            cleaned.append(number)

    with pytest.raises(caller.Gone), caller.awaited():
        work()
    assert cleaned == [number]
    assert signal.getsignal(number) is before


def test_nothing_is_changed_where_nobody_is_awaited() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with caller.awaited(False):
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_ends_with_its_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = iter([False, True])
    monkeypatch.setattr(caller, "is_gone", lambda: next(answers))
    mark = tmp_path / "mark"
    begun = time.monotonic()
    with pytest.raises(caller.Gone):
        run.run(["sh", "-c", f"sleep 30; touch {mark}"], for_caller=True)
    assert time.monotonic() - begun < 10


def test_a_program_that_nobody_has_left_comes_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "is_gone", lambda: False)
    assert run.run(["sh", "-c", "sleep 1.2; echo done"], for_caller=True).stdout == "done\n"
    with pytest.raises(run.CommandFailed, match=r"did not end within 1\.3 s"):
        run.run(["sleep", "30"], for_caller=True, timeout=1.3)
