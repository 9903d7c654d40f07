# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import marks, memory

OTHER = """
import sys
from ansible_collections.nspawn.machined.plugins.module_utils._core import marks, memory
memory.RUNTIME = sys.argv[1]
marks.leave("units")
print("left", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(name="runtime", autouse=True)
def a_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(memory, "RUNTIME", str(tmp_path / "run"))
    yield tmp_path / "run"
    with marks.reading("units"):
        pass


@contextmanager
def another_run(runtime: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is about to write, until it is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(runtime)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "left\n"
        try:
            yield process
        finally:
            process.kill()


def all_in(runtime: Path) -> list[str]:
    folder = runtime / "unread"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_a_mark_is_there_until_what_it_is_about_was_read(runtime: Path) -> None:
    marks.leave("units")
    marks.leave("units")
    assert len(all_in(runtime)) == 1
    with marks.reading("units"):
        assert len(all_in(runtime)) == 1
    assert not runtime.exists()


def test_a_reload_that_fails_takes_nothing_away(runtime: Path) -> None:
    marks.leave("units")
    with pytest.raises(OSError, match="refused"), marks.reading("units"):
        raise OSError("refused")
    assert len(all_in(runtime)) == 1


def test_the_mark_of_another_run_stays_as_long_as_that_lives(runtime: Path) -> None:
    with another_run(runtime):
        theirs = all_in(runtime)
        assert not marks.is_left("units")
        marks.leave("units")
        with marks.reading("units"):
            pass
        assert all_in(runtime) == theirs


def test_a_killed_run_leaves_its_mark_to_the_next(runtime: Path) -> None:
    with another_run(runtime) as other:
        other.kill()
        other.wait()
        assert marks.is_left("units") and not marks.is_left("unit") and not marks.is_left("units.x")
        with marks.reading("units"):
            assert marks.is_left("units")
        assert not marks.is_left("units")


def test_what_a_run_writes_during_a_reload_is_not_taken_for_read(runtime: Path) -> None:
    with marks.reading("units"), another_run(runtime) as other:
        other.kill()
        other.wait()
    assert marks.is_left("units")


def test_a_mark_by_hand_counts_as_one_that_was_left(runtime: Path) -> None:
    (runtime / "unread").mkdir(mode=0o700, parents=True)
    runtime.chmod(0o755)
    (runtime / "unread/units").touch()
    assert marks.is_left("units")
    with marks.reading("units"):
        pass
    assert not marks.is_left("units")
