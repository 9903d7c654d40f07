# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t

import pytest
from ansible.utils.display import Display
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.plugin_utils._actions import progress
from ansible_collections.nspawn.machined.plugins.plugin_utils._actions.progress import (
    parse,
    sentence,
)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"done": 250_000_000, "total": 1_000_000_000, "seconds": 10},
            "pulling web: 25 %, 25 MB/s, 0:30 left",
        ),
        ({"done": 5_000_000, "total": None, "seconds": 1}, "pulling web: 5.0 MB, 5.0 MB/s"),
        ({"done": 0, "total": 100, "seconds": 5}, "pulling web: 0 %, 0 B/s"),
        (
            {"done": 500, "total": 1000, "seconds": 7200, "unit": "part"},
            "pulling web: 50 %, 2:00:00 left",
        ),
    ],
)
def test_a_line_says_percent_rate_and_time_left(fields: dict[str, t.Any], words: str) -> None:
    assert sentence({"doing": "pulling", "subject": "web", **fields}) == words


@given(
    st.integers(0, 10**15),
    st.none() | st.integers(0, 10**15),
    st.floats(0, 10**6, allow_nan=False),
)
def test_no_numbers_break_the_line(done: int, total: int | None, seconds: float) -> None:
    fields = {"doing": "pulling", "subject": "web", "done": done, "total": total}
    assert sentence({**fields, "seconds": seconds}).startswith("pulling web: ")


def test_what_is_no_progress_is_left_out() -> None:
    good = '{"doing": "pulling", "subject": "a", "done": 1, "seconds": 1}'
    assert [line["subject"] for line in parse(f'{good}\n{{"half\n[]\n{{}}\n')] == ["a"]


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("Installing Debian", "building /srv/a: Installing Debian, 1:05"),
        ("", "building /srv/a: 1:05"),
        ("\x1b[2Jgone\r", "building /srv/a: \\x1b[2Jgone\\x0d, 1:05"),
        ("x" * 500, f"building /srv/a: {'x' * 80}, 1:05"),
    ],
)
def test_a_build_says_its_phase_and_for_how_long_it_runs(phase: str, words: str) -> None:
    fields = {"doing": "building", "subject": "/srv/a", "done": 0, "seconds": 65.2}
    assert sentence({**fields, "phase": phase}) == words


@pytest.mark.parametrize(
    ("terminal", "first"),
    [(False, "[host] pulling web: 50 %, 5.0 MB/s, 0:01 left"), (True, "\r\033[K[host] pulling")],
)
def test_without_a_terminal_there_is_a_line_now_and_then_and_nothing_else(
    terminal: bool, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, text, **_options: said.append(text))
    monkeypatch.setattr(progress, "on_terminal", lambda: terminal)
    for pause in ("PATIENCE", "ON_TERMINAL", "ELSEWHERE"):
        monkeypatch.setattr(progress, pause, 0.05)
    fields = {"doing": "pulling", "subject": "web", "done": 5 * 10**6, "total": 10**7, "seconds": 1}
    with progress.Watcher("host", lambda: [fields]):
        time.sleep(0.2)
    assert said[0].startswith(first)
    if not terminal:
        assert set(said) == {first}
    else:
        assert said[-1] == "\r\033[K"


def test_what_ends_soon_is_not_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, text, **_options: said.append(text))
    assert progress.ELSEWHERE == 30
    with progress.Watcher("host", lambda: [{"doing": "pulling", "subject": "web"}]):
        pass
    assert not said
