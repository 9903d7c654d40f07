# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keeper is a process of its own here too."""

from __future__ import annotations

import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.plugin_utils._connection import keeper
from ansible_collections.nspawn.machined.plugins.plugin_utils._connection.keeping import Keeping


@pytest.fixture
def run() -> t.Iterator[subprocess.Popen[bytes]]:
    """A process in the place of a run of Ansible."""
    with subprocess.Popen(["/bin/sleep", "300"]) as process:
        yield process
        process.kill()


@pytest.fixture
def keeping(tmp_path: Path, run: subprocess.Popen[bytes]) -> Keeping:
    return Keeping(tmp_path, run.pid)


def lane() -> tuple[list[int], list[int]]:
    """Three descriptors, and the other ends of the first two."""
    source, far_source = os.pipe()
    far_target, target = os.pipe()
    return [source, target, os.dup(source)], [far_source, far_target]


def close(descriptors: t.Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def ended(descriptor: int) -> bool:
    """Whether nobody holds the other end of what is read any more."""
    os.set_blocking(descriptor, False)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            return os.read(descriptor, 1) == b""
        except BlockingIOError:
            time.sleep(0.02)
    return False


def test_without_a_keeper_there_is_nothing(keeping: Keeping) -> None:
    kept = keeping.take("web")
    assert (kept.descriptors, kept.note) == ((), {})
    assert list(keeping.drop("web")) == []


def test_what_is_given_can_be_taken_once(keeping: Keeping) -> None:
    ours, theirs = lane()
    keeping.give("web", ours)
    close(ours)
    kept = keeping.take("web")
    os.write(theirs[0], b"there")
    assert os.read(kept.descriptors[0], 10) == b"there"
    os.write(kept.descriptors[1], b"back")
    assert os.read(theirs[1], 10) == b"back"
    assert keeping.take("web").descriptors == ()
    close([*kept.descriptors, *theirs])


def test_each_leads_where_it_leads(keeping: Keeping) -> None:
    far = []
    for name in ("web", "db", "a name\n with 'everything' \u2028"):
        ours, theirs = lane()
        keeping.give(name, ours)
        close(ours)
        far.append(theirs[0])
        os.write(theirs[0], name.encode())
        os.close(theirs[1])
    for name in ("db", "a name\n with 'everything' \u2028", "web"):
        kept = keeping.take(name)
        assert os.read(kept.descriptors[0], 100) == name.encode()
        close(kept.descriptors)
    close(far)


def test_notes_stay_until_they_are_dropped(keeping: Keeping) -> None:
    keeping.note("web", {"direct": True})
    assert keeping.take("web").note == {"direct": True}
    assert keeping.take("web").note == {"direct": True}
    assert keeping.take("db").note == {}
    assert list(keeping.drop("web")) == []
    assert keeping.take("web").note == {}


def test_what_is_dropped_is_all_that_leads_there(keeping: Keeping) -> None:
    for key in ("web\nas one", "web\nas another", "web\nas another", "web-2\nas one"):
        ours, theirs = lane()
        keeping.give(key, ours)
        close([*ours, *theirs])
    dropped = list(keeping.drop("web\n"))
    assert [len(kept.descriptors) for kept in dropped] == [3, 3, 3]
    for kept in [*dropped, keeping.take("web-2\nas one")]:
        assert kept.descriptors
        close(kept.descriptors)


def test_all_ends_with_the_run(keeping: Keeping, run: subprocess.Popen[bytes]) -> None:
    ours, theirs = lane()
    keeping.give("web", ours)
    close(ours)
    run.kill()
    run.wait()
    assert ended(theirs[1])
    close(theirs)


def test_all_ends_with_the_directory(keeping: Keeping, tmp_path: Path) -> None:
    ours, theirs = lane()
    keeping.give("web", ours)
    close(ours)
    (tmp_path / keeper.SOCKET).unlink()
    assert ended(theirs[1])
    close(theirs)


def test_who_takes_a_lane_and_dies_ends_it(keeping: Keeping) -> None:
    ours, theirs = lane()
    keeping.give("web", ours)
    close(ours)
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if keeping.take("web").descriptors else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert ended(theirs[1])
    close(theirs)


def test_many_tasks_at_once_start_one_keeper(keeping: Keeping, tmp_path: Path) -> None:
    children = []
    for number in range(12):
        pid = os.fork()
        if not pid:
            try:
                ours, _theirs = lane()
                keeping.give(f"machine-{number}", ours)
                os._exit(0)
            finally:
                os._exit(2)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 12
    for number in range(12):
        kept = keeping.take(f"machine-{number}")
        assert len(kept.descriptors) == 3
        close(kept.descriptors)
    listing = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, check=True).stdout
    assert listing.count(f"keeper.py {tmp_path}".encode()) == 1


def test_a_long_path_is_no_obstacle(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    directory = tmp_path / ("x" * 100) / ("y" * 100)
    directory.mkdir(parents=True)
    keeping = Keeping(directory, run.pid)
    keeping.note("web", {"direct": True})
    assert keeping.take("web").note == {"direct": True}


def test_nonsense_does_not_end_it(keeping: Keeping) -> None:
    keeping.note("web", {"direct": True})
    for data in (b"nonsense\n", b"{}\n", b'{"verb": "take"}\n', b""):
        with keeping._connected() as connection:
            connection.sendall(data)
    assert keeping.take("web").note == {"direct": True}


def test_once_is_once(keeping: Keeping) -> None:
    assert keeping.once("told")
    assert not keeping.once("told")
    assert keeping.once("else")
