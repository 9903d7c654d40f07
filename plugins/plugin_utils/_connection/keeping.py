# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The tasks' side of the keeper. Private to the collection.

Without a keeper all works as well, with a new lane for each task: nothing here is an error.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from . import keeper

_PATIENCE = 5.0
_LONGEST_ADDRESS = 100


class Kept:
    """What a keeper had."""

    def __init__(self, descriptors: t.Sequence[int] = (), **note: t.Any) -> None:
        self.descriptors = tuple(descriptors)
        self.note = note


class Keeping:
    """Lanes of one run of Ansible, in its directory."""

    def __init__(self, directory: Path, run: int) -> None:
        self._directory = directory
        self._run = run

    def take(self, key: str) -> Kept:
        """A lane that leads there, if one waits; it is nobody else's then."""
        return self._asked("take", key)

    def drop(self, beginning: str) -> t.Iterator[Kept]:
        """Take all whose names begin so, and forget what was found out about them."""
        while (kept := self._asked("drop", beginning)).descriptors:
            yield kept

    def _asked(self, verb: str, key: str) -> Kept:
        with contextlib.suppress(OSError, ValueError), self._connected() as connection:
            keeper.send(connection, {"verb": verb, "key": key})
            words, descriptors = keeper.receive(connection)
            return Kept(descriptors, **words.get("note", {}))
        return Kept()

    def give(self, key: str, descriptors: t.Sequence[int]) -> None:
        """Keep a lane for the next task. The caller's own descriptors stay the caller's."""
        self._tell({"verb": "give", "key": key}, descriptors)

    def note(self, key: str, note: t.Mapping[str, t.Any]) -> None:
        """Keep what was found out about where a lane leads."""
        self._tell({"verb": "note", "key": key, "note": dict(note)})

    @contextlib.contextmanager
    def alone(self, name: str) -> t.Iterator[None]:
        """No two tasks at once."""
        with (self._directory / f"{name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def once(self, name: str) -> bool:
        """Whether it is the first time in this run."""
        try:
            (self._directory / f"{name}.once").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _tell(self, words: t.Mapping[str, t.Any], descriptors: t.Sequence[int] = ()) -> None:
        with contextlib.suppress(OSError):
            try:
                connection = self._connected()
            except OSError:
                self._start()
                connection = self._connected()
            with connection:
                keeper.send(connection, words, descriptors)

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(_PATIENCE)
            with self._address() as address:
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _address(self) -> t.Iterator[str]:
        path = str(self._directory / keeper.SOCKET)
        if len(os.fsencode(path)) < _LONGEST_ADDRESS:
            yield path
            return
        at = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{at}/{keeper.SOCKET}"
        finally:
            os.close(at)

    def _start(self) -> None:
        with self.alone(keeper.SOCKET):
            with contextlib.suppress(OSError):
                self._connected().close()
                return
            argv = [sys.executable, "-I", "-S", str(Path(keeper.__file__))]
            process = subprocess.Popen(
                [*argv, str(self._directory), str(self._run)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            process.returncode = 0  # nobody waits for it: it outlives its task
            end = time.monotonic() + _PATIENCE
            while time.monotonic() < end:
                with contextlib.suppress(OSError):
                    self._connected().close()
                    return
                time.sleep(0.005)
