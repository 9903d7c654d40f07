# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import locks, memory, run
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure

WEB = locks.machine("web")
OTHER = """
import sys, time
from ansible_collections.nspawn.machined.plugins.module_utils._core import locks, memory
memory.RUNTIME = sys.argv[1]
web = [locks.machine("web")]
shared = "shared" in sys.argv
with locks.held([] if shared else web, "the other one", beside=web):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(name="runtime", autouse=True)
def a_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "RUNTIME", str(tmp_path / "run"))
    return tmp_path / "run"


@contextmanager
def another_run(runtime: Path, *how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the machine web until it is told to let go."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(runtime), *how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_thing_that_another_run_works_on_is_waited_for_and_named(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "SILENCE", 0.1)
    told: list[str] = []
    with another_run(runtime) as process:
        expected = rf"the other one \(process {process.pid}, since "
        with (
            pytest.raises(Failure, match=f"web: me has waited 0.4 s for {expected}"),
            locks.held([WEB], "me", waiting=told.append, patience=0.4),
        ):
            pass
        assert len(told) == 1
        assert told[0].startswith(f"machine web: me waits for the other one (process {process.pid}")
        assert (locks.holder(WEB) or "").startswith("the other one (process")
        with locks.held([locks.machine("we"), locks.image("web")], "me", patience=0):
            pass


def test_it_goes_on_as_soon_as_the_other_lets_go(runtime: Path) -> None:
    with another_run(runtime) as process:
        assert process.stdin is not None
        threading.Timer(0.3, process.stdin.close).start()
        began = time.monotonic()
        with locks.held([WEB], "me", patience=20):
            assert 0.2 < time.monotonic() - began < 15
    assert locks.holder(WEB) is None


def test_several_may_look_at_a_thing_and_who_changes_it_waits_for_them(runtime: Path) -> None:
    with another_run(runtime, "shared"):
        with locks.held([], "me", beside=[WEB], patience=0):
            assert locks.is_free(WEB)
        assert locks.holder(WEB) is None
        with (
            pytest.raises(Failure, match=r"web: me has waited 0 s for the other one \(process"),
            locks.held([WEB], "me", patience=0),
        ):
            pass
    with another_run(runtime):
        assert not locks.is_free(WEB)
        with (
            pytest.raises(Failure, match="web: me has waited 0 s for the other one"),
            locks.held([], "me", beside=[WEB], patience=0),
        ):
            pass


def test_who_changes_a_thing_may_look_at_it_but_who_looks_at_it_must_not_change_it() -> None:
    with locks.held([WEB], "me"), locks.held([], "a step", beside=[WEB], patience=0):
        pass
    with (
        locks.held([], "me", beside=[WEB]),
        pytest.raises(Failure, match="web: a step has waited 0 s for me"),
        locks.held([WEB], "a step", patience=0),
    ):
        pass
    assert locks.holder(WEB) is None


def test_a_run_that_was_killed_locks_nobody_out(runtime: Path) -> None:
    with another_run(runtime) as process:
        process.kill()
        process.wait()
        with locks.held([WEB], "me", patience=0):
            pass


def test_what_a_program_was_given_to_keep_stays_locked(runtime: Path) -> None:
    read, write = os.pipe()
    with locks.held([WEB], "me") as hold:
        keeper = subprocess.Popen(["sleep", "60"], pass_fds=hold.descriptors, stdin=read)
    try:
        assert "me (process" in (locks.holder(WEB) or "")
        with pytest.raises(Failure, match="has waited 0 s"), locks.held([WEB], "x", patience=0):
            pass
    finally:
        keeper.kill()
        keeper.wait()
        os.close(read)
        os.close(write)
    assert locks.holder(WEB) is None
    assert run.run(["true"], keep=[]).rc == 0


def test_it_may_be_taken_again_by_who_has_it() -> None:
    with locks.held([WEB, locks.image("base")], "me"):
        with locks.held([WEB], "a step", patience=0):
            assert "this run" in (locks.holder(WEB) or "")
        assert locks.holder(WEB) is not None
    assert locks.holder(WEB) is None


def test_threads_of_one_run_hold_a_thing_together() -> None:
    inside = threading.Barrier(3, timeout=10)

    def work() -> None:
        with locks.held([WEB], "a step", patience=0):
            inside.wait()

    threads = [threading.Thread(target=work) for _number in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    for thread in threads:
        thread.join()
    assert locks.holder(WEB) is None


def test_who_wants_it_alone_waits_for_the_other_threads() -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with locks.alone([WEB], "a step", patience=20), locks.alone([WEB], "again", patience=0):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_the_files_are_for_their_owner_alone(runtime: Path) -> None:
    old = os.umask(0)
    try:
        with locks.held([WEB], "me"):
            paths = [runtime, runtime / "locks", Path(WEB.path)]
    finally:
        os.umask(old)
    modes = [stat.S_IMODE(path.lstat().st_mode) for path in paths]
    assert modes == [0o711, 0o700, 0o600]


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_somebody_laid_in_the_place_of_a_lock_is_refused(
    runtime: Path, tmp_path: Path, kind: str
) -> None:
    memory.ensure(str(runtime / "locks"))
    if kind == "link":
        (tmp_path / "victim").write_text("precious")
        Path(WEB.path).symlink_to(tmp_path / "victim")
    else:
        os.mkfifo(WEB.path)
    found = {"link": "a symbolic link", "fifo": "a FIFO"}[kind]
    with pytest.raises(Failure, match=f"is {found} of user"), locks.held([WEB], "me", patience=0):
        pass
    if kind == "link":
        assert (tmp_path / "victim").read_text() == "precious"


def test_no_name_leads_out_of_the_folder_or_meets_another(runtime: Path) -> None:
    names = ["a/b", "a-b", "../x", "..", "n" * 300, "n" * 301, "a\n", "\udcff", "a%2Fb"]
    things = [locks.image(name) for name in names]
    with locks.held(things, "me"):
        paths = {thing.path for thing in things}
        assert sorted(os.listdir(runtime / "locks")) == sorted(map(os.path.basename, paths))
    assert len(paths) == len(names)
    assert str(locks.image("a\x1b")) == "image a\\x1b"


def test_a_file_is_the_same_by_each_way_that_leads_to_its_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    ways = ["real/file", "link/file", "real/../link/./file"]
    assert len({locks.file(f"{tmp_path}/{way}") for way in ways}) == 1
    assert locks.file("/a") != locks.export("/a")


def test_a_child_that_was_forked_does_not_take_its_parents_locks_for_its_own() -> None:
    read, write = os.pipe()
    with locks.held([WEB], "me"):
        child = os.fork()
        if not child:
            try:
                with locks.held([WEB], "the child", patience=0):
                    os.write(write, b"got it")
            except Failure:
                os.write(write, b"refused")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    assert os.read(read, 100) == b"refused"
    os.close(read)
    os.close(write)
