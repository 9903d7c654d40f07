# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How far something long has come, in a small file that the controller looks at meanwhile.

Private to the collection. Anybody may read the files: they hold a name and numbers, nothing else.
Only we write them, under names that nobody foresees until they are whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import typing as t

from . import files, memory
from .plan import Failure

DIRECTORY = memory.runtime("progress")
INTERVAL = 0.5


class Meter:
    """Counts what is done of one subject, and says so at most twice a second.

    Saying it must never make the work fail: a full /run only means that nobody sees how far
    it is.
    """

    def __init__(self, doing: str, subject: str, total: t.Optional[int] = None) -> None:
        # The subject may be a directory.
        self._path = os.path.join(DIRECTORY, f"{subject.strip('/').replace('/', '-')}.json")
        self._fields: dict[str, t.Any] = {"doing": doing, "subject": subject}
        self._started = self._said = time.monotonic()
        self.total = total
        self.done = 0

    def advance(self, amount: int) -> None:
        self.done += amount
        if time.monotonic() - self._said >= INTERVAL:
            self._say()

    def at(self, fraction: float) -> None:
        """For a total that is not counted in bytes: how much of it is done, from 0 to 1."""
        self.total, amount = 1000, int(fraction * 1000) - self.done
        self._fields["unit"] = "part"
        self.advance(amount)

    def _say(self) -> None:
        now = self._said = time.monotonic()
        fields = dict(self._fields, done=self.done, total=self.total, seconds=now - self._started)
        with contextlib.suppress(OSError, Failure):
            memory.ensure(os.path.dirname(DIRECTORY))
            memory.private(DIRECTORY, 0o755)
            files.write(self._path, json.dumps(fields), mode=0o644, durable=False)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            files.remove(self._path)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class Phases(Meter):
    """For work whose end cannot be foreseen: what is being done now, and for how long already.

    A thread says so, because the work itself may be silent for minutes.
    """

    def __init__(self, doing: str, subject: str) -> None:
        super().__init__(doing, subject)
        self._fields["phase"] = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def enter(self, phase: str) -> None:
        self._fields["phase"] = phase

    def _beat(self) -> None:
        while not self._end.wait(INTERVAL):
            self._say()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        super().close()

    def __enter__(self) -> Phases:
        self._thread.start()
        return self
