# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether whoever has called a module still waits for it. Private to the collection.

When a play is interrupted its connections end, and modules on hosts go on: most of them are better
carried to their end. What a module does for its caller alone need not go on without one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import types
import typing as t

_ASKED_TO_END = (signal.SIGHUP, signal.SIGTERM)


class Gone(BaseException):
    """Nobody waits any more. Not an error of what is under way: only to be cleaned up after."""


def is_gone(descriptor: int = 1) -> bool:
    """Whether nobody reads any more what is going to be said.

    An ssh client whose reader has gone does not notice before there is something to be read. So
    an empty line is said; what Ansible looks for comes after any number of them.
    """
    kind = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    events = dict(poll.poll(0)).get(descriptor, 0)
    if events & (select.POLLERR | select.POLLHUP):
        return True
    if events & select.POLLOUT:
        try:
            os.write(descriptor, b"\n")
        except OSError:
            return True
    return False


@contextlib.contextmanager
def awaited(by_caller: bool = True) -> t.Iterator[None]:
    """Clean up when we are asked to end, too: a terminal that hangs up does so."""
    if not by_caller:
        yield
        return

    def end(_signal: int, _frame: t.Optional[types.FrameType]) -> None:
        raise Gone

    before = {number: signal.signal(number, end) for number in _ASKED_TO_END}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
