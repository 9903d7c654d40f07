# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lane with a real helper at its other end, a process here: no host is needed for that."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import signal
import subprocess
import sys
import time
import typing as t
from collections import abc
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.plugin_utils._connection import (
    helper,
)
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection import (
    lane as lanes,
)
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.entry import _READ
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.lane import (
    Broken,
    Ended,
    Lane,
    Refused,
)
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.making import started

HELLO = "0123456789abcdef"
ME = pwd.getpwuid(os.getuid()).pw_name
EVERY_BYTE = bytes(range(256))


class Helped:
    """A helper, and the lane to it."""

    def __init__(
        self,
        program: abc.Sequence[bytes],
        text: bytes,
        patience: float = 10,
        *,
        veiled: bool = False,
    ) -> None:
        self.process, descriptors = started(program)
        self.lane = Lane(descriptors, patience, veiled=veiled)
        self.text = text

    def begin(self) -> Helped:
        self.lane.begin(self.text, HELLO, lambda _seen: None)
        return self

    def sh(self, command: str, stdin: bytes = b"", *, terminal: bool = False) -> Ended:
        request = {"argv": ["/bin/sh", "-c", command], "user": ME, "terminal": terminal}
        return self.lane.run(request, stdin)

    def close(self) -> None:
        self.lane.close()
        self.process.wait(10)


def helped(*, veiled: bool = False) -> Helped:
    text = Path(helper.__file__).read_bytes() + f"\nmain({HELLO!r}, veiled={veiled})\n".encode()
    argv = [sys.executable, "-I", "-S", "-c", _READ, str(len(text))]
    return Helped([os.fsencode(word) for word in argv], text, veiled=veiled)


@pytest.fixture
def there() -> t.Iterator[Helped]:
    one = helped().begin()
    yield one
    one.close()


def test_both_ends_speak_alike() -> None:
    for name in ("CHUNK", "WINDOW", "LONGEST", "VEIL"):
        assert getattr(helper, name) == getattr(lanes, name)
    assert helper.HEAD.format == lanes.HEAD.format
    assert helper.OFFSET.format == lanes.OFFSET.format


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 128, 137, 254, 255])
def test_exit_codes_are_kept(there: Helped, code: int) -> None:
    assert there.sh(f"exit {code}") == Ended(code, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_command_that_is_killed_says_so(there: Helped, number: int) -> None:
    assert there.sh(f"kill -{number} $$").rc == 128 + number


def test_streams_are_kept_apart_and_byte_by_byte(there: Helped) -> None:
    ended = there.sh("cat; cat /proc/self/comm >&2; printf 'a\\r\\n\\0' >&2", EVERY_BYTE)
    assert ended == Ended(0, EVERY_BYTE, b"cat\na\r\n\0")


def test_much_goes_both_ways_at_once(there: Helped) -> None:
    data = os.urandom(1024 * 1024) * 24
    assert there.sh("cat", data).stdout == data


def test_what_is_not_read_keeps_nobody(there: Helped) -> None:
    data = b"x" * (8 * 1024 * 1024)
    assert there.sh("head -c 3", data) == Ended(0, b"xxx", b"")
    assert there.sh("exec <&-; sleep 0.2; echo ok", data).stdout == b"ok\n"
    assert there.sh("echo next").stdout == b"next\n"


def test_a_reader_that_comes_late_gets_all(there: Helped) -> None:
    data = b"y" * (4 * 1024 * 1024)
    assert there.sh("sleep 0.3; wc -c", data).stdout.strip() == b"4194304"


def test_no_input_is_an_empty_one(there: Helped) -> None:
    assert there.sh("cat; echo end").stdout == b"end\n"


def test_there_is_no_terminal_unless_it_is_asked_for(there: Helped) -> None:
    assert there.sh("tty").stdout == b"not a tty\n"
    ended = there.sh("tty; echo err >&2; stty -a | head -1", terminal=True)
    assert b"/dev/pts/" in ended.stdout
    assert b"err\r\n" in ended.stdout
    assert ended.stderr == b""
    assert there.sh("exit 7", terminal=True).rc == 7


def test_a_command_is_its_own_session_and_finds_no_descriptor_of_the_helper(there: Helped) -> None:
    ended = there.sh('ls /proc/self/fd; [ "$(ps -o sid= -p $$ | tr -d " ")" = $$ ] && echo leads')
    assert ended.stdout.split() == [b"0", b"1", b"2", b"3", b"leads"]  # 3 is the folder of ls


def test_signals_are_as_they_are_at_first(there: Helped) -> None:
    words = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]
    # What this process was started with goes to all that it starts.
    usual = subprocess.run(words, capture_output=True, check=True).stdout
    assert there.sh("grep -E 'Sig(Blk|Ign)' /proc/self/status").stdout == usual
    assert there.sh("yes | head -1").stdout == b"y\n"


def test_the_user_is_at_home(there: Helped) -> None:
    home = pwd.getpwnam(ME).pw_dir
    ended = there.sh('echo "$HOME $USER $LOGNAME"; pwd')
    assert ended.stdout.decode().split() == [home, ME, ME, os.path.realpath(home)]


def test_what_systemd_tells_the_helper_of_its_unit_is_not_its_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in helper._NOT_THEIRS:
        monkeypatch.setenv(name, "of the unit")
    monkeypatch.setenv("LANG_OF_THE_MACHINE", "stays")
    there = helped().begin()
    said = there.sh("env").stdout.decode()
    assert "LANG_OF_THE_MACHINE=stays" in said
    assert "of the unit" not in said
    there.close()


def test_who_is_not_there_is_refused(there: Helped) -> None:
    request = {"argv": ["/bin/true"], "user": "no-such-user", "terminal": False}
    with pytest.raises(Refused, match="there is no user no-such-user"):
        there.lane.run(request, b"")
    with pytest.raises(Refused, match="cannot run /no/such/program: No such file"):
        there.lane.run({**request, "argv": ["/no/such/program"], "user": ME}, b"")
    assert there.sh("echo fine").stdout == b"fine\n"


def test_a_file_goes_there_and_back(there: Helped, tmp_path: Path) -> None:
    source, far, back = (tmp_path / name for name in ("a ä'\n", "b\\ $x", "c"))
    source.write_bytes(os.urandom(3_000_001))
    there.lane.put(source, {"path": str(far), "user": ME, "mode": 0o640})
    assert far.read_bytes() == source.read_bytes()
    assert far.stat().st_mode & 0o777 == 0o640
    there.lane.get(back, {"path": str(far), "user": ME})
    assert back.read_bytes() == source.read_bytes()
    assert sorted(tmp_path.iterdir()) == sorted([source, far, back])


def test_what_was_longer_does_not_stay(there: Helped, tmp_path: Path) -> None:
    source, far = tmp_path / "source", tmp_path / "far"
    source.write_bytes(b"short")
    far.write_bytes(b"much longer than that")
    there.lane.put(source, {"path": str(far), "user": ME, "mode": 0o600})
    assert far.read_bytes() == b"short"


def test_holes_stay_holes(there: Helped, tmp_path: Path) -> None:
    source, far, back = (tmp_path / name for name in ("source", "far", "back"))
    with source.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 29)
        file.write(b"in the middle")
    there.lane.put(source, {"path": str(far), "user": ME, "mode": 0o600})
    there.lane.get(back, {"path": str(far), "user": ME})
    for path in (far, back):
        assert path.stat().st_size == 1 << 30
        assert path.stat().st_blocks * 512 < 1 << 20
    with back.open("rb") as copy:
        copy.seek(1 << 29)
        assert copy.read(13) == b"in the middle"


def test_a_file_without_a_length_is_read_to_its_end(there: Helped, tmp_path: Path) -> None:
    there.lane.get(tmp_path / "status", {"path": "/proc/self/status", "user": ME})
    assert b"python" in (tmp_path / "status").read_bytes()


def test_a_file_that_grows_has_an_end(there: Helped, tmp_path: Path) -> None:
    far, back = tmp_path / "far", tmp_path / "back"
    far.write_bytes(b"x" * 64 * 1024 * 1024)
    with subprocess.Popen(
        ["/bin/sh", "-c", f"while sleep 0.001; do echo more >>{far}; done"]
    ) as one:
        time.sleep(0.2)
        begin = far.stat().st_size
        there.lane.get(back, {"path": str(far), "user": ME})
        time.sleep(0.1)
        one.kill()
    assert begin <= back.stat().st_size < far.stat().st_size


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "nothing"])
def test_what_is_no_file_is_refused_both_ways(there: Helped, tmp_path: Path, kind: str) -> None:
    source, far, back = (tmp_path / name for name in ("source", "far", "back"))
    source.write_bytes(b"x" * 3_000_000)
    if kind == "fifo":
        os.mkfifo(far)
    elif kind == "folder":
        far.mkdir()
    elif kind == "device":
        far = Path("/dev/zero")
    else:
        far = tmp_path / "no" / "folder"
    with pytest.raises(Refused, match=r"far|zero|folder"):
        there.lane.put(source, {"path": str(far), "user": ME, "mode": 0o600})
    with pytest.raises(Refused, match=r"far|zero|folder"):
        there.lane.get(back, {"path": str(far), "user": ME})
    assert not back.exists()
    assert not list(tmp_path.glob(".*"))
    assert there.sh("echo fine").stdout == b"fine\n"


def test_a_transfer_that_is_cut_leaves_no_file(tmp_path: Path) -> None:
    there = helped().begin()
    far = tmp_path / "far"
    there.lane._ask(b"W", {"path": str(far), "user": ME, "mode": 0o600})
    there.lane._frame(b"D", lanes.OFFSET.pack(0) + b"a part of it")
    there.lane._next(True)
    assert far.exists()
    there.close()
    assert not far.exists()


def test_what_it_was_doing_ends_with_the_lane(tmp_path: Path) -> None:
    there = helped().begin()
    mark = tmp_path / "pid"
    command = f"setsid sleep 600 & echo $! >{mark}.new; mv {mark}.new {mark}; wait"
    there.lane._ask(b"C", {"argv": ["/bin/sh", "-c", command], "user": ME, "terminal": False})
    assert there.lane._next(False)[0] == b"B"
    end = time.monotonic() + 10
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.01)
    there.close()
    pid = int(mark.read_text())
    end = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_task_whose_run_is_killed_ends_what_it_was_doing(tmp_path: Path) -> None:
    said = tmp_path / "said"
    begun = tmp_path / "begun"
    fork = multiprocessing.get_context("fork")

    def task() -> None:
        there = helped().begin()
        try:
            there.sh(f"touch {begun}; sleep 600")
        except Broken as error:
            there.close()
            said.with_suffix(".new").write_text(f"{error}, {there.process.returncode}")
            said.with_suffix(".new").rename(said)

    def run() -> None:
        fork.Process(target=task).start()
        time.sleep(600)

    process = fork.Process(target=run)
    process.start()
    _wait_for(begun)
    process.kill()
    process.join()
    _wait_for(said)
    assert said.read_text() == "the run of Ansible has ended, 0"


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 10
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def test_a_helper_that_is_killed_is_told(there: Helped) -> None:
    there.process.kill()
    with pytest.raises(Broken, match="it has ended"):
        there.sh("sleep 5")
    assert not there.lane.is_quiet()


def test_a_helper_that_stands_still_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "QUIET", 0.3)
    there = helped().begin()
    there.lane._patience = 0.3
    # It answers while it does what takes long, and does not when it is stopped.
    assert there.sh("sleep 1.5; echo slow").stdout == b"slow\n"
    there.process.send_signal(signal.SIGSTOP)
    with pytest.raises(Broken, match="nothing has come from it"):
        there.sh("echo x")
    there.process.send_signal(signal.SIGCONT)
    there.close()


def test_what_does_not_end_is_killed_by_whoever_has_the_lane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "SETTLE", 0.2)
    there = helped().begin()
    there.process.send_signal(signal.SIGSTOP)
    there.lane.end()
    assert there.process.wait(5) == -signal.SIGKILL


def test_a_lane_can_be_used_a_thousand_times(there: Helped) -> None:
    def grown() -> tuple[int, int]:
        number = there.process.pid
        descriptors = len(list(Path(f"/proc/{number}/fd").iterdir()))
        pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
        return descriptors, pages

    for _number in range(50):
        there.sh("true")
    before = grown()
    for _number in range(950):
        assert there.sh("true").rc == 0
    after = grown()
    assert after[0] == before[0]
    assert after[1] <= before[1] + 64


@pytest.mark.parametrize("data", [b"\x1c\x1d" * 5, b"\x1d" * 300_001, b"\x1c" * 300_001, b"\x1c"])
def test_what_a_terminal_would_take_for_its_own_arrives(data: bytes, tmp_path: Path) -> None:
    there = helped(veiled=True).begin()
    assert there.sh("cat", data + EVERY_BYTE).stdout == data + EVERY_BYTE
    (tmp_path / "file").write_bytes(EVERY_BYTE + data)
    there.lane.put(tmp_path / "file", {"path": str(tmp_path / "far"), "user": ME, "mode": 0o600})
    assert (tmp_path / "far").read_bytes() == EVERY_BYTE + data
    there.close()


def test_nothing_of_it_is_on_the_way() -> None:
    source, target = os.pipe()
    lane = Lane([os.dup(source), target, os.dup(source)], 1, veiled=True)
    lane._frame(b"I", EVERY_BYTE * 3 + b"\x1d" * 9)
    lane._flush()
    sent = os.read(source, 65536)
    assert b"\x1d" not in sent
    assert len(sent) > 3 * 256
    lane.close()
    os.close(source)


# --- who answers need not be a helper ---------------------------------------------------------


def fake(script: str) -> Helped:
    greeting = (lanes.HEAD.pack(b"H", len(HELLO)) + HELLO.encode()).hex()
    program = f"import os, sys, time; os.write(1, bytes.fromhex({greeting!r})); {script}"
    argv = [sys.executable, "-I", "-S", "-c", program]
    return Helped([os.fsencode(word) for word in argv], b"", patience=2)


def frame(kind: bytes, payload: bytes) -> str:
    return f"os.write(1, {lanes.HEAD.pack(kind, len(payload)) + payload!r})"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("os.write(1, b'O\\xff\\xff\\xff\\xff')", "no answer"),
        (frame(b"Z", b""), "no answer"),
        (frame(b"D", b"12345678x"), "no answer"),
        (frame(b"X", b"{"), "cannot be read"),
        (frame(b"X", b"[]"), "cannot be read"),
        (frame(b"X", b'{"rc": 256}'), "no exit code"),
        (frame(b"X", b'{"rc": -1}'), "no exit code"),
        (frame(b"X", b'{"rc": true}'), "no exit code"),
        (frame(b"X", b'{"rc": "0"}'), "no exit code"),
        (frame(b"A", b"1"), "no number"),
        ("sys.exit(0)", "it has ended"),
    ],
)
def test_what_is_no_answer_ends_the_lane(script: str, words: str) -> None:
    there = fake(script).begin()
    with pytest.raises(Broken, match=words):
        there.sh("true")
    there.close()


def test_output_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "OUTPUT_LIMIT", 1_000_000)
    there = fake(f"[{frame(b'O', b'x' * 1000)} for _n in range(10**6)]").begin()
    with pytest.raises(Broken, match="said more than"):
        there.sh("true")
    there.close()


def test_what_never_says_hello_is_no_helper() -> None:
    there = Helped([b"/usr/bin/yes"], b"", patience=30)
    with pytest.raises(Broken, match="no helper") as caught:
        there.begin()
    assert not caught.value.begun
    there.close()


def test_errors_without_end_are_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Helped([b"/bin/sh", b"-c", b"yes >&2; :"], b"", patience=1)
    with pytest.raises(TimeoutError):
        there.begin()
    assert there.lane.said.startswith("y")
    there.close()
    monkeypatch.setattr(lanes, "QUIET", 0.3)
    there = fake("[os.write(2, b'x' * 1000) for _n in iter(int, 1)]").begin()
    with pytest.raises(Broken, match="nothing has come from it"):
        there.sh("true")
    there.close()


def test_a_greeting_that_comes_slowly_does_not_come() -> None:
    drips = b"while echo x; do sleep 0.1; done"
    there = Helped([b"/bin/sh", b"-c", drips], b"", patience=1)
    with pytest.raises(TimeoutError):
        there.begin()
    there.close()


def test_a_size_that_is_a_lie_is_no_success(tmp_path: Path) -> None:
    data = frame(b"D", lanes.OFFSET.pack(0) + b"x" * 100)
    size = frame(b"X", b'{"size": 50}')
    there = fake(f"{data}; {size}").begin()
    with pytest.raises(Broken, match="told to be 50 bytes long"):
        there.lane.get(tmp_path / "file", {"path": "/x", "user": ME})
    assert list(tmp_path.iterdir()) == []
    there.close()


def test_an_error_is_a_sentence_and_no_more() -> None:
    there = fake(frame(b"X", b'{"error": "' + b"x" * 100_000 + b'"}')).begin()
    with pytest.raises(Refused) as caught:
        there.sh("true")
    assert len(str(caught.value)) <= 1000
    there.close()


def test_prompts_before_its_greeting_are_answered() -> None:
    greeting = (lanes.HEAD.pack(b"H", len(HELLO)) + HELLO.encode()).hex()
    program = (
        "import os, sys; os.write(2, b'Password: ')\n"
        "given = sys.stdin.buffer.readline()\n"
        "if given == b'secret\\n':\n"
        "    os.write(1, b'noise\\n')\n"
        "if os.read(0, 100) == b'the helper':\n"
        f"    os.write(1, bytes.fromhex({greeting!r}))\n"
    )
    argv = [os.fsencode(word) for word in (sys.executable, "-I", "-S", "-c", program)]
    there = Helped(argv, b"the helper")

    def answer(seen: bytes) -> bytes | None:
        if b"noise" in seen:
            return None
        return b"secret\n" if seen.endswith(b"Password: ") else b""

    there.lane.begin(b"the helper", HELLO, answer)
    there.close()


def test_no_process_is_left(there: Helped) -> None:
    there.sh("true")
    found = subprocess.run(
        ["ps", "--ppid", str(there.process.pid), "-o", "pid="], capture_output=True, check=False
    )
    assert found.stdout.split() == []
