# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Work that is given up when it takes too long.

Private to the collection. A file system may be served by somebody who never answers: there is no
call with a deadline for that. So another thread does the work, and who waits for it need not.
"""

from __future__ import annotations

import threading
import time
import typing as t

from .plan import Failure
from .printable import printable

T = t.TypeVar("T")

# For what is left to clear away when it is given up.
GRACE = 5.0


class GivenUp(Failure):
    """It took too long, or nobody waits for it any more."""


class Stop:
    """Says to what works that nobody waits for it any more."""

    def __init__(self, message: str = "it was given up") -> None:
        self._event = threading.Event()
        self._message = message

    def set(self) -> None:
        self._event.set()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """To be called now and then by what works."""
        if self._event.is_set():
            raise GivenUp(self._message)


class Deadline:
    """A moment up to which all of something has to be done."""

    def __init__(self, seconds: float, what: str) -> None:
        self._seconds = seconds
        self._what = what
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, and none at the least."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        if not self.left():
            raise GivenUp(_late(self._what, self._seconds))


def _late(what: str, seconds: float) -> str:
    return f"{printable(what)}: not done within {seconds:g} s, and given up"


def patiently(
    work: t.Callable[[Stop], T],
    deadline: float,
    what: str,
    *,
    grace: float = GRACE,
    late: t.Optional[t.Callable[[T], None]] = None,
) -> T:
    """What work returns, or its error; a Failure when it is not done in so many seconds.

    Work that is given up is told so, and has O(grace) seconds to clear away what it has made. It
    may go on beyond them where the kernel does not let it go; O(late) then gets what it returns.
    """
    job = _Job(work, Stop(_late(what, deadline)), late)
    thread = threading.Thread(target=job.run, daemon=True)
    thread.start()
    try:
        done = job.done.wait(deadline)
    except BaseException:
        # We are to end ourselves.
        job.give_up(grace)
        job.drop()
        raise
    if not done and not job.give_up(grace):
        raise GivenUp(_late(what, deadline))
    if job.error is not None:
        try:
            raise job.error
        finally:
            job.error = None  # which knows this very frame
    return job.results[0]


class _Job(t.Generic[T]):
    """One piece of work, and what became of it."""

    def __init__(
        self,
        work: t.Callable[[Stop], T],
        stop: Stop,
        late: t.Optional[t.Callable[[T], None]],
    ) -> None:
        self._work = work
        self._stop = stop
        self._late = late
        self._lock = threading.Lock()
        self._abandoned = False
        self.done = threading.Event()
        self.results: list[T] = []
        self.error: t.Optional[BaseException] = None

    def run(self) -> None:
        try:
            result = self._work(self._stop)
        except BaseException as error:
            self.error = error
        else:
            self._keep(result)
        self.done.set()

    def _keep(self, result: T) -> None:
        with self._lock:
            if not self._abandoned:
                self.results.append(result)
                return
        if self._late is not None:
            self._late(result)

    def drop(self) -> None:
        """What nobody takes any more."""
        while self._late is not None and self.results:
            self._late(self.results.pop())

    def give_up(self, grace: float) -> bool:
        """Whether it has come to an end after all."""
        self._stop.set()
        if self.done.wait(grace):
            return True
        with self._lock:
            self._abandoned = True
            return bool(self.results)
