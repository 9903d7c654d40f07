# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Keeps lanes from one task to the next: a process of its own. Private to the collection.

Ansible makes a process for each task of each host, so what a task has opened would end with it.
This process is there for one run of Ansible. It is handed descriptors over a socket in that run's
private directory, hands them out again, and never reads from them. Its end, which comes with the
end of the run, closes them all, and so ends whatever is at their other ends.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import socket
import sys
import typing as t

SOCKET = "keeper"
_LONGEST = 65536
_DESCRIPTORS = 4


# --- messages -------------------------------------------------------------------------------


def send(
    connection: socket.socket, words: t.Mapping[str, t.Any], descriptors: t.Sequence[int] = ()
) -> None:
    """A message, and descriptors with it."""
    ancillary = []
    if descriptors:
        rights = array.array("i", descriptors).tobytes()
        ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, rights))
    connection.sendmsg([json.dumps(words).encode() + b"\n"], ancillary)


def receive(connection: socket.socket) -> tuple[dict[str, t.Any], list[int]]:
    """A message with its descriptors, which are the caller's then."""
    found = array.array("i")
    data = b""
    room = socket.CMSG_SPACE(_DESCRIPTORS * found.itemsize)
    while not data.endswith(b"\n"):
        piece, ancillary, _flags, _address = connection.recvmsg(_LONGEST, room)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found.frombytes(content[: len(content) - len(content) % found.itemsize])
        if not piece or len(data) > _LONGEST:
            raise ConnectionError("the keeper has ended")
        data += piece
    return dict(json.loads(data)), list(found)


# --- the process ----------------------------------------------------------------------------


class Keeper:
    """What is kept, each under the name of where it leads to."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._lanes: dict[str, list[list[int]]] = {}
        self._notes: dict[str, dict[str, t.Any]] = {}

    def answer(self) -> None:
        """One message, from whoever comes first."""
        connection, _address = self._listener.accept()
        with connection:
            connection.settimeout(5)
            with contextlib.suppress(OSError, ValueError, KeyError):
                self._handle(connection, *receive(connection))

    def _handle(
        self, connection: socket.socket, words: dict[str, t.Any], descriptors: list[int]
    ) -> None:
        key = words["key"]
        if words["verb"] == "give":
            self._lanes.setdefault(key, []).append(descriptors)
        elif words["verb"] == "note":
            self._notes.setdefault(key, {}).update(words["note"])
        elif words["verb"] == "drop":
            # All that leads there, whichever way: one at a time, as long as there is one.
            for name in [name for name in self._notes if name.startswith(key)]:
                del self._notes[name]
            names = [name for name, kept in self._lanes.items() if name.startswith(key) and kept]
            self._hand_over(connection, names[0] if names else key)
        else:
            self._hand_over(connection, key)

    def _hand_over(self, connection: socket.socket, key: str) -> None:
        kept = self._lanes.get(key)
        lane = kept.pop() if kept else []
        send(connection, {"note": self._notes.get(key, {})}, lane)
        _close(lane)


def _close(descriptors: t.Iterable[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def serve(directory: str, run: int) -> None:
    """Until the run of Ansible has ended, or its directory has gone."""
    os.chdir(directory)
    with socket.socket(socket.AF_UNIX) as listener:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
        listener.bind(SOCKET)
        listener.listen(64)
        keeper = Keeper(listener)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        ended = _ended(run)
        if ended >= 0:
            poll.register(ended, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _events in poll.poll(1000)]
            if ended in ready or not _lives(run) or not os.path.exists(SOCKET):
                return
            if ready:
                keeper.answer()


def _ended(run: int) -> int:
    """A descriptor that can be read when a process has ended, where there is such a thing."""
    try:
        return os.pidfd_open(run)
    except (AttributeError, OSError):
        return -1


def _lives(run: int) -> bool:
    try:
        os.kill(run, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        serve(sys.argv[1], int(sys.argv[2]))
