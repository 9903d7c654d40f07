# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How long things may take: all in all, and while hardly anything comes.

Private to the collection. A server that sends one byte now and then never is silent for long, so
it is the rate that tells.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import threading
import time
import typing as t

from .._core.plan import Failure

LEAST_RATE = 1024
"""Bytes a second."""
WINDOW = 60.0

Clock = t.Callable[[], float]


class Deadline:
    """A moment that nothing may outlast."""

    def __init__(self, seconds: float, what: str) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._what = what

    def left(self) -> float:
        """Seconds that remain; an error when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Failure(
                f"{self._what} was not done within {self._seconds:g} s. Nothing of it is left; "
                "give it more time with timeout"
            )
        return left


@dataclasses.dataclass(frozen=True)
class Patience:
    """What one may expect of a server."""

    deadline: Deadline
    least_rate: int = LEAST_RATE
    """Bytes a second, over O(window) seconds; 0 takes any."""
    window: float = WINDOW


class Pace:
    """Counts what comes, and the time that was spent on waiting for it.

    Only that time: when we are slower than the server, it is not the server's fault. One thread
    waits and counts, others may ask meanwhile.
    """

    def __init__(self, least_rate: int, window: float, clock: Clock = time.monotonic) -> None:
        self._least_rate = least_rate
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._waited = 0.0
        self._since: t.Optional[float] = None
        self._count = 0
        self._marks: collections.deque[tuple[float, int]] = collections.deque([(0.0, 0)])

    @property
    def count(self) -> int:
        return self._count

    @contextlib.contextmanager
    def waiting(self) -> t.Iterator[None]:
        """The body waits for the server."""
        with self._lock:
            self._since = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._waited = self._waited_now()
                self._since = None

    def came(self, count: int) -> None:
        with self._lock:
            self._count += count

    def _waited_now(self) -> float:
        return self._waited + (0 if self._since is None else self._clock() - self._since)

    def is_too_slow(self) -> bool:
        """Whether less came in the last window than should have; to be asked now and then."""
        with self._lock:
            now = (self._waited_now(), self._count)
        self._marks.append(now)
        while len(self._marks) > 1 and now[0] - self._marks[1][0] >= self._window:
            self._marks.popleft()
        since, before = self._marks[0]
        whole = now[0] - since >= self._window
        return whole and now[1] - before < self._least_rate * self._window
