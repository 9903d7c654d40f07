# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.plugin_utils._inventory import question

Act = t.Callable[[], t.Any]


def asked(seconds: float = 20, **acts: Act) -> dict[str, bytes]:
    questions = {name: (act, 100) for name, act in acts.items()}
    return dict(question.ask(questions, time.monotonic() + seconds))


def never() -> None:
    time.sleep(60)


def test_programs_and_functions_answer() -> None:
    assert asked(a=question.program("echo", "hello"), b=lambda: b"there") == {
        "a": b"hello\n",
        "b": b"there",
    }


def test_who_fails_or_is_not_there_or_says_too_much_does_not_answer() -> None:
    assert asked(
        fails=question.program("/bin/sh", "-c", "echo half; exit 1"),
        raises=lambda: 1 / 0,
        missing=question.program("/no/such/program"),
        much=lambda: b"x" * 101,
        endless=question.program("yes"),
        fine=lambda: b"fine",
    ) == {"fine": b"fine"}


def test_who_hangs_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question, "PATIENCE", 0.3)
    monkeypatch.setattr(question, "AT_ONCE", 2)
    begin = time.monotonic()
    assert asked(a=never, b=lambda: b"b", c=never, d=lambda: b"d") == {"b": b"b", "d": b"d"}
    assert time.monotonic() - begin < 5


def test_nobody_is_asked_when_the_time_is_over() -> None:
    begin = time.monotonic()
    assert asked(0.2, **{str(one): never for one in range(50)}) == {}
    assert time.monotonic() - begin < 5


def is_gone(process: int) -> bool:
    """Whether it has ended, and whoever inherits it has seen that."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_nothing_is_left_of_who_hangs(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    line = f"echo $$ > {mark}; sleep 60; :"
    assert asked(0.5, a=question.program("/bin/sh", "-c", line)) == {}
    assert is_gone(int(mark.read_text()))


def text_of(root: Path, path: str) -> bytes | None:
    descriptor = os.open(root, os.O_PATH)
    try:
        return question.text_beneath(descriptor, path)
    finally:
        os.close(descriptor)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/os-release").write_text("ID=debian\n")
    return root


@pytest.mark.parametrize(
    "target", ["../usr/lib/os-release", "/usr/lib/os-release", "../../../../usr/lib/os-release"]
)
def test_a_link_is_followed_as_the_machine_would(tree: Path, target: str) -> None:
    (tree / "etc/os-release").symlink_to(target)
    assert text_of(tree, "etc/os-release") == b"ID=debian\n"


def test_no_link_leads_out(tree: Path) -> None:
    (tree / "etc/a").symlink_to("../../secret")
    (tree / "etc/b").symlink_to(tree.parent / "secret")
    (tree / "c").symlink_to("..")
    for path in ("etc/a", "etc/b", "c/secret", "../secret", "etc/../../secret"):
        assert text_of(tree, path) is None


def test_what_is_no_file_is_not_opened(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    (tree / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tree / "socket"))
        for name in ("fifo", "loop", "socket", "etc", "nothing"):
            assert text_of(tree, name) is None


def test_of_a_file_without_end_the_beginning_is_read(tree: Path) -> None:
    (tree / "large").write_bytes(b"x" * 10**6)
    assert len(text_of(tree, "large") or b"") == question.LITTLE - 1


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('ID=debian\nVERSION_ID="13"\nHOME_URL=x\n', {"ID": "debian", "VERSION_ID": "13"}),
        ("ID='{{ 7*7 }}'\n# ID=no\nPRETTY_NAME=\"half\n", {"ID": "{{ 7*7 }}"}),
        ("ID=" + "x" * 999, {"ID": "x" * 256}),
        ("\x00\x01=\n=\n===", {}),
    ],
)
def test_a_release_is_what_the_file_says(text: str, fields: dict[str, str]) -> None:
    assert question.fields_of(text.encode()) == fields


def test_a_zone_is_that_of_the_first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [tmp_path / "etc", tmp_path / "run"]
    for place in places:
        place.mkdir()
    monkeypatch.setattr(question, "SETTINGS", tuple(map(str, places)))
    assert question.zone("web") is None
    (places[1] / "web.nspawn").write_text("[Exec]\nZone=no\n[Network]\n#Zone=no\nZone = dmz\n")
    assert question.zone("web") == "dmz"
    (places[0] / "web.nspawn").write_text("[Network]\nZone=dmz\nZone=\n")
    assert question.zone("web") is None


def test_its_text_runs_through_a_pipe_where_there_is_no_systemd(tmp_path: Path) -> None:
    words = ["hello", json.dumps({"seconds": 5, "stopped": True, "images": True})]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-", *words],
        input=Path(question.__file__).read_bytes(),
        capture_output=True,
        check=True,
        env={"PATH": str(tmp_path), "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nothing"},
    )
    begin, _space, answer = done.stdout.decode().strip().partition(" ")
    assert begin == "hello" and "does not answer" in json.loads(answer)["error"]
