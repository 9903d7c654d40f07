# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One run at a time works on a thing, from the look at it to the last step.

Private to the collection. The kernel lets go of a lock when the last process ends that has it
open: whoever was killed locks nobody out, and the programs it has started still do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import stat
import threading
import time
import typing as t
import urllib.parse

from . import descriptors, memory
from .plan import Failure
from .printable import printable

SUBJECT = "locks"
PATIENCE = 600.0
SILENCE = 2.0
"""So long nobody is told that one waits."""

_INTERVAL = 0.05
_NAME_LIMIT = 200
_TEXT_LIMIT = 4096

Teller = t.Callable[[str], object]


@dataclasses.dataclass(frozen=True, order=True)
class Thing:
    """Something that only one run at a time may work on."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {printable(self.name)}"

    @property
    def path(self) -> str:
        """The file that stands for it."""
        name = urllib.parse.quote(self.name.encode("utf-8", "surrogateescape"), safe="")
        if len(name) > _NAME_LIMIT:
            encoded = self.name.encode("utf-8", "surrogateescape")
            name = f"~{hashlib.sha256(encoded).hexdigest()}"
        return os.path.join(memory.runtime(SUBJECT), f"{self.kind}-{name}")


def machine(name: str) -> Thing:
    return Thing("machine", name)


def image(key: str) -> Thing:
    return Thing("image", key)


def build(identity: str) -> Thing:
    return Thing("build", identity)


def file(path: str) -> Thing:
    """A file of the host; ways to the same directory are the same."""
    return Thing("file", _real(path))


def export(path: str) -> Thing:
    return Thing("export", _real(path))


def _real(path: str) -> str:
    parent, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(parent), name)


# --- holding --------------------------------------------------------------------------------


class Hold:
    """Things that nobody else works on meanwhile."""

    def __init__(self, things: t.Sequence[Thing], descriptors_held: t.Sequence[int]) -> None:
        self.things = tuple(things)
        self.descriptors = tuple(descriptors_held)
        """For programs that are to keep the locks when we are killed (O(keep) of C(run))."""


@contextlib.contextmanager
def held(
    things: t.Iterable[Thing],
    doing: str,
    *,
    beside: t.Iterable[Thing] = (),
    waiting: t.Optional[Teller] = None,
    patience: float = PATIENCE,
) -> t.Iterator[Hold]:
    """Keep all other runs away from some things; what one has already is no hindrance.

    Threads of one process hold them together. O(beside) are things that are only looked at: others
    may look at them as well, and nobody changes them. O(doing) is what others are told who wait;
    O(waiting) is told for whom one waits oneself.
    """
    wait = _Wait(doing, waiting, patience)
    changed = set(things)
    with contextlib.ExitStack() as stack:
        # Always in the same order: two who want the same never wait for each other.
        wanted = sorted(changed.union(beside))
        ways = (fcntl.LOCK_EX if thing in changed else fcntl.LOCK_SH for thing in wanted)
        found = [stack.enter_context(_one(*both, wait)) for both in zip(wanted, ways)]
        yield Hold(wanted, found)


@contextlib.contextmanager
def alone(
    things: t.Iterable[Thing],
    doing: str,
    *,
    waiting: t.Optional[Teller] = None,
    patience: float = PATIENCE,
) -> t.Iterator[Hold]:
    """The same, and keep the other threads of this process away as well that ask for it so."""
    wanted = sorted(set(things))
    wait = _Wait(doing, waiting, patience)
    with contextlib.ExitStack() as stack:
        for thing in wanted:
            stack.enter_context(_table.thread(thing, wait))
        yield stack.enter_context(held(wanted, doing, waiting=waiting, patience=wait.left()))


def holder(thing: Thing) -> t.Optional[str]:
    """Who works on a thing at this moment, in words; nothing when nobody does."""
    if _table.has(thing):
        return f"this run (process {os.getpid()})"
    try:
        descriptor = _open(thing.path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if _try(descriptor, fcntl.LOCK_SH) else _holder(descriptor)
    finally:
        os.close(descriptor)


def is_free(thing: Thing) -> bool:
    """Whether no other run works on a thing at this moment."""
    return _table.has(thing) or holder(thing) is None


@contextlib.contextmanager
def _one(thing: Thing, way: int, wait: _Wait) -> t.Iterator[int]:
    descriptor = _table.enter(thing, way, wait)
    try:
        yield descriptor
    finally:
        _table.leave(thing)


class _Wait:
    """How long one waits, and who is told."""

    def __init__(self, doing: str, tell: t.Optional[Teller], patience: float) -> None:
        self.doing = doing
        self._tell = tell
        self._patience = patience
        self._began = time.monotonic()
        self._told: set[Thing] = set()

    def left(self) -> float:
        return max(0.0, self._began + self._patience - time.monotonic())

    def pause(self, thing: Thing, whom: t.Callable[[], str]) -> None:
        """Wait a little; a Failure when it was enough."""
        passed = time.monotonic() - self._began
        if passed >= self._patience:
            raise Failure(
                f"{thing}: {self.doing} has waited {self._patience:g} s for {whom()}, which works"
                " on it. Wait for it to end, or end it, and run this again"
            )
        if passed >= SILENCE and thing not in self._told and self._tell is not None:
            self._told.add(thing)
            self._tell(f"{thing}: {self.doing} waits for {whom()}, which works on it")
        time.sleep(min(_INTERVAL, max(0.0, self._patience - passed)))


# --- what this process has ------------------------------------------------------------------


@dataclasses.dataclass
class _Lock:
    descriptor: int
    way: int
    """Alone, C(LOCK_EX), or beside others who look at it, C(LOCK_SH)."""
    count: int = 0


class _Table:
    """The locks of this process: a second file of the same thing would wait for the first."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A child has its parent's descriptors, and must not take the locks for its own."""
        self._gate = threading.Lock()
        self._locks: dict[str, _Lock] = {}
        self._threads: dict[str, threading.RLock] = {}

    def has(self, thing: Thing) -> bool:
        with self._gate:
            return thing.path in self._locks

    def enter(self, thing: Thing, way: int, wait: _Wait) -> int:
        path = thing.path
        while True:
            with self._gate:
                lock = self._locks.get(path)
                if lock is None:
                    descriptor = _taken(path, way, wait.doing)
                    if descriptor is not None:
                        lock = self._locks[path] = _Lock(descriptor, way)
                # The kernel lets go of a lock before it makes another one of it: so we do not.
                if lock is not None and lock.way in (fcntl.LOCK_EX, way):
                    lock.count += 1
                    return lock.descriptor
            # Others may take what they need meanwhile.
            wait.pause(thing, lambda: _who_has(path))

    def leave(self, thing: Thing) -> None:
        path = thing.path
        with self._gate:
            lock = self._locks[path]
            lock.count -= 1
            if not lock.count:
                del self._locks[path]
                # A program that was given it and lives on keeps the lock.
                os.close(lock.descriptor)

    @contextlib.contextmanager
    def thread(self, thing: Thing, wait: _Wait) -> t.Iterator[None]:
        with self._gate:
            mine = self._threads.setdefault(thing.path, threading.RLock())
        while not mine.acquire(blocking=False):
            wait.pause(thing, lambda: "another part of the same run")
        try:
            yield
        finally:
            mine.release()


_table = _Table()
os.register_at_fork(after_in_child=_table.forget)


# --- the files ------------------------------------------------------------------------------


def _taken(path: str, way: int, doing: str) -> t.Optional[int]:
    """The file of a thing with the lock on it; nothing when somebody else has that."""
    memory.ensure(os.path.dirname(path))
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        if _try(descriptor, way) and _is_named(path, descriptor):
            # Of several who look at it, the first that is still there is named.
            if way == fcntl.LOCK_EX or not _is_alive(_said(descriptor)):
                _say(descriptor, doing)
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _open(path: str, flags: int) -> int:
    ways = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | ways, 0o600)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            return descriptor
        os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError:
        status = os.lstat(path)
    raise Failure(
        f"{printable(path)} is {descriptors.kind(status.st_mode)} of user {status.st_uid};"
        f" expected a file of user {os.geteuid()}. Find out who made it, and remove it"
    )


def _is_named(path: str, descriptor: int) -> bool:
    """Somebody may have cleared the directory away: then it is the lock of nothing any more."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _try(descriptor: int, way: int) -> bool:
    try:
        fcntl.flock(descriptor, way | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say(descriptor: int, doing: str) -> None:
    now = time.strftime("%H:%M:%S")
    text = json.dumps({"doing": doing, "process": os.getpid(), "since": now}).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text[:_TEXT_LIMIT], 0)


def _who_has(path: str) -> str:
    """The same of what is known to be locked, be it by several."""
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return "another run"
    try:
        return _holder(descriptor)
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    said = _said(descriptor)
    if said is None:
        return "another run"
    doing, process, since = said
    what = f"{printable(doing)} (process {process}, since {printable(since)})"
    return what if _is_alive(said) else f"what {what} has started and left behind"


def _said(descriptor: int) -> t.Optional[tuple[str, int, str]]:
    """What the last one who took it was about, its process, and since when."""
    try:
        said = json.loads(os.pread(descriptor, _TEXT_LIMIT, 0))
        return str(said["doing"]), int(said["process"]), str(said["since"])
    except (ValueError, KeyError, TypeError):
        return None


def _is_alive(said: t.Optional[tuple[str, int, str]]) -> bool:
    return said is not None and os.path.exists(f"/proc/{said[1]}")
