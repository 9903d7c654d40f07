# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who ends a command without a helper when nobody is there for it. Private to the collection.

A guard is a shell on the host that has been told the command's unit and reads on: when whoever has
told it lets go, however that ends, it ends the unit. It is a lane like others, kept from one
command to the next, and is with one command at a time.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import typing as t

from .keeping import Keeping
from .lane import Lane, run_of_this_task

if t.TYPE_CHECKING:
    import subprocess

Make = t.Callable[[Keeping], "tuple[Lane, subprocess.Popen[bytes]]"]


class Guards:
    """Guards for the commands in one machine or image."""

    def __init__(self, make: Make, patience: float, keeping: Keeping, key: str) -> None:
        self._make, self._patience, self._keeping = make, patience, keeping
        self._key = f"{key}\nguard"

    @contextlib.contextmanager
    def over(self, unit: str) -> t.Iterator[None]:
        """While a command is under way as a unit."""
        guard = self._free()
        try:
            guard.line(unit)
            with _let_go_with_the_run(guard):
                yield
            guard.line("")
            self._keeping.give(self._key, guard.descriptors)
        finally:
            guard.close()

    def _free(self) -> Lane:
        while kept := self._keeping.take(self._key).descriptors:
            guard = Lane(kept, self._patience)
            if guard.is_quiet():
                return guard
            guard.end()
        guard, process = self._make(self._keeping)
        process.returncode = 0  # nobody waits for it: it outlives its task
        return guard


@contextlib.contextmanager
def _let_go_with_the_run(guard: Lane) -> t.Iterator[None]:
    """A task whose run has been killed goes on; its command must not."""
    run = run_of_this_task()
    if run < 0:
        yield
        return
    done, doing = os.pipe()

    def watch() -> None:
        poll = select.poll()
        poll.register(run, select.POLLIN)
        poll.register(done, select.POLLIN)
        if run in dict(poll.poll()):
            guard.let_go()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        os.close(doing)
        watcher.join()
        os.close(done)
        os.close(run)
