# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What was written and has not been read yet by whoever must read it. Private to the collection.

A daemon cannot be asked which files it has read. So a run leaves a mark before it changes one, and
takes it away after the reload; a run that is cut off in between leaves it to the next. After a boot
everything has been read, and /run is empty.

Each run has a mark of its own, with a lock on it for as long as it lives: what another run is just
about to write has not been read by our reload.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import threading
import typing as t

from . import memory

SUBJECT = "unread"

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Mine:
    """The marks of this process, each open and with its lock."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A child has its parent's descriptors, and must not take the marks for its own."""
        self.gate = threading.Lock()
        self.marks: dict[str, tuple[str, int]] = {}


_mine = _Mine()
os.register_at_fork(after_in_child=_mine.forget)


def leave(reader: str) -> None:
    """Note that something changes which O(reader) has to read, before it does."""
    with _mine.gate:
        if reader not in _mine.marks:
            _mine.marks[reader] = _made(reader)


def is_left(reader: str) -> bool:
    """Whether a run that is gone has left something unread."""
    return bool(_abandoned(reader))


@contextlib.contextmanager
def reading(reader: str) -> t.Iterator[None]:
    """Around the reload: afterwards what we and cut-off runs had written before it has been read.

    What another run writes meanwhile is its own to have read.
    """
    with _mine.gate:
        mine = _mine.marks.get(reader)
    abandoned = _abandoned(reader)
    yield
    for path in abandoned:
        _take_away(path)
    if mine:
        with _mine.gate:
            path, descriptor = mine
            memory.forget(path)
            if _mine.marks.get(reader) == mine:
                del _mine.marks[reader]
                os.close(descriptor)


def _made(reader: str) -> tuple[str, int]:
    directory = memory.runtime(SUBJECT)
    while True:
        memory.ensure(directory)
        path = os.path.join(directory, f"{reader}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # another run has just taken away the last mark that was there
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Another run may have taken it for abandoned before it was locked.
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)


def _abandoned(reader: str) -> list[str]:
    """The marks of a reader that no living run has; also one without a run's number."""
    known = re.compile(rf"{re.escape(reader)}(\.[0-9a-f]{{16}})?")
    directory = memory.runtime(SUBJECT)
    try:
        names = sorted(filter(known.fullmatch, os.listdir(directory)))
    except FileNotFoundError:
        return []
    paths = (os.path.join(directory, name) for name in names)
    return [path for path in paths if _with_lock(path, lambda: True)]


def _take_away(path: str) -> None:
    _with_lock(path, lambda: memory.forget(path))


def _with_lock(path: str, work: t.Callable[[], object]) -> bool:
    """Do something with a mark, unless the run that left it lives or it has gone."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        work()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
