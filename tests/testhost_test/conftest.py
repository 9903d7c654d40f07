# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test hosts of a build directory of their own, and everything that one leaves on a machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOL = (sys.executable, str(REPOSITORY / "tests/testhost"))
CACHE = os.environ.get("TESTHOST_CACHE") or str(REPOSITORY / "build/cache/testhost")
REGISTRY = Path("/run/nspawn-machined-test")


class Checkout(t.NamedTuple):
    """A build directory, and the tool that works on it."""

    build: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TESTHOST_BUILD": str(self.build), "TESTHOST_CACHE": CACHE}

    def start(self, *arguments: str, around: Sequence[str] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*around, *TOOL, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=400)
        assert process.returncode == 0, f"testhost {' '.join(arguments)}:\n{errors}"
        return output

    def refused(self, *arguments: str, around: Sequence[str] = ()) -> str:
        """The error of a command that fails, which is no traceback."""
        process = self.start(*arguments, around=around)
        _output, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors.startswith("testhost: ")
        return errors

    def ssh(self, name: str, command: str) -> str:
        return self.run("ssh", name, command)

    def slot(self, name: str) -> int:
        directory = self.build / "hosts" / name
        return next(slot for slot, owner in claims().items() if owner == directory)

    def traces(self, slots: Sequence[int] = ()) -> dict[str, list[str]]:
        """Whatever of this checkout's hosts is found on the machine, by kind."""
        mine = str(self.build)
        found = {
            "processes": [f"{pid}: {words}" for pid, words in processes() if mine in words],
            "mounts": _mounts(mine),
            "loop devices": [str(path) for path in loops(mine)],
            "cgroups": [
                str(path)
                for slot in slots
                for name in (f"nspawn-machined-test-{slot}", f"nspawn-machined-test-{slot}.service")
                for path in Path("/sys/fs/cgroup").glob(f"**/{name}")
            ],
            "links": [f"nmt{slot}" for slot in slots if Path(f"/sys/class/net/nmt{slot}").exists()],
            "addresses let out": [str(slot) for slot in slots if _is_let_out(slot)],
            "claims": [str(slot) for slot, owner in claims().items() if mine in str(owner)],
            "folders": [str(path) for path in (self.build / "hosts").glob("*") if path.is_dir()],
            "locks of systemd-nspawn": [
                str(path) for path in Path("/run/systemd/nspawn").glob("*/*") if path.is_file()
            ],
        }
        return {kind: what for kind, what in found.items() if what}


def claims() -> dict[int, Path]:
    with contextlib.suppress(FileNotFoundError):
        return {int(e.name): Path(e.read_text()) for e in (REGISTRY / "slots").iterdir()}
    return {}


def loops(word: str) -> list[Path]:
    """The loop devices whose file's name has this word in it."""
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if word in path.read_text():
                found.append(path.parents[1])
    return found


def processes() -> list[tuple[int, str]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
                found.append((int(entry.name), words))
    return found


def _mounts(mine: str) -> list[str]:
    """Mounts in whatever namespace there still is."""
    found: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            found.update(line for line in path.read_text().splitlines() if mine in line)
    return sorted(found)


def _is_let_out(slot: int) -> bool:
    address = f"198.18.{slot * 4 // 256}.{slot * 4 % 256 + 2}"
    listing = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    return address in listing.stdout.replace(",", " ").split()


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout whose hosts are all gone in the end, also when a test fails."""
    with _checkout(tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout with the host "a", for tests that leave it as it was."""
    with _checkout(tmp_path_factory) as made:
        made.run("up", "a")
        yield made


@contextlib.contextmanager
def _checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout(tmp_path_factory.mktemp("testhost").resolve())
    try:
        yield made
    finally:
        made.run("down", "--all")
        shutil.rmtree(made.build)


def wait_for(condition: Callable[[], t.Any], seconds: float = 60) -> t.Any:
    """The first truth that a condition gives."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"nothing came of it within {seconds} s"
        time.sleep(0.01)
    return value


def pid_of(checkout: Checkout, word: str) -> int:
    """The process whose command line has this word and this checkout's folder in it."""
    mine = str(checkout.build)

    def found() -> list[int]:
        return [pid for pid, words in processes() if word in words and mine in words]

    return min(int(pid) for pid in wait_for(found))


def before() -> dict[str, t.Any]:
    """What the first host remembered of the machine."""
    read: dict[str, t.Any] = json.loads((REGISTRY / "before.json").read_text())
    return read
