# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Many hosts are asked at the same time. Private to the collection.

Each in a process of its own, and not in a thread: a way that hangs can be ended with everything
that was started for it, when its time is over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import multiprocessing.connection as ends
import os
import resource
import shlex
import signal
import time
import typing as t
import uuid
from collections import abc
from pathlib import Path

from ...module_utils._core.printable import printable
from . import answer, question
from .answer import NoAnswer
from .reach import Reach

# A process of Ansible's own for each, as it has for tasks.
_FORK = multiprocessing.get_context("fork")
_LIMIT = 64 * 1024 * 1024
_MEMORY = 8 * _LIMIT
_PYTHONS = "python3 /usr/bin/python3 /usr/local/bin/python3 /usr/libexec/platform-python"
_RUN = f"""PATH=$PATH:/usr/bin:/bin
for python in {_PYTHONS}; do
command -v "$python" >/dev/null 2>&1 && exec "$python" -I -S - "$@"
done
echo 'there is no Python' >&2
exit 127
"""
# For what leads to a host and back.
_WAY = 0.8

Told = t.Union[dict[str, t.Any], NoAnswer]


@dataclasses.dataclass(frozen=True)
class Wish:
    """What hosts are asked for."""

    stopped: bool
    images: bool
    timeout: float
    """Seconds for each host."""

    def command(self, hello: str, python: t.Optional[str]) -> str:
        asked = {
            "stopped": self.stopped,
            "images": self.images,
            "seconds": round(self.timeout * _WAY, 3),
        }
        words = [hello, json.dumps(asked)]
        if python:
            return f"{python} -I -S - {shlex.join(words)}"
        return shlex.join(["/bin/sh", "-c", _RUN, "sh", *words])


def ask_all(hosts: t.Iterable[Reach], wish: Wish, forks: int) -> dict[str, Told]:
    """What each host has told, or why it has not."""
    text = Path(question.__file__).read_bytes()
    waiting = list(hosts)[::-1]
    running: dict[ends.Connection, _Asked] = {}
    told: dict[str, Told] = {}
    try:
        while waiting or running:
            while waiting and len(running) < forks:
                asked = _Asked(waiting.pop(), wish, text)
                running[asked.answer] = asked
            for one in _ready(running):
                asked = running.pop(one)
                told[asked.host.name] = asked.told()
    finally:
        for asked in running.values():
            asked.end()
    return told


def _ready(running: abc.Mapping[ends.Connection, _Asked]) -> list[ends.Connection]:
    """Those that have said something, or will not in time."""
    first = min(asked.deadline for asked in running.values())
    ready = ends.wait(list(running), max(0.0, first - time.monotonic()))
    now = time.monotonic()
    return [one for one, asked in running.items() if one in ready or asked.deadline <= now]


class _Asked:
    """A host that is being asked."""

    def __init__(self, host: Reach, wish: Wish, text: bytes) -> None:
        self.host = host
        self.patience = wish.timeout
        self.deadline = time.monotonic() + wish.timeout
        self._hello = uuid.uuid4().hex
        self.answer, theirs = _FORK.Pipe(duplex=False)
        command = wish.command(self._hello, host.python)
        self._process = _FORK.Process(target=_answer, args=(host, command, text, theirs))
        self._process.start()
        theirs.close()

    def told(self) -> Told:
        try:
            if not self.answer.poll(0):
                return NoAnswer(f"it did not answer within {self.patience:g} s")
            said = self.answer.recv_bytes(_LIMIT + 1)
            if said[:1] == b"-":
                return NoAnswer(said[1:].decode())
            told = answer.line_of(said[1:], self._hello)
            return told if isinstance(told, dict) else NoAnswer("its answer is none")
        except (EOFError, OSError):
            return NoAnswer("what asked it has ended without an answer")
        except NoAnswer as error:
            return error
        finally:
            self.end()

    def end(self) -> None:
        """End what is left of it: in the group are ssh and what a local host runs."""
        self.answer.close()
        pid = self._process.pid
        if pid and self._process.is_alive():
            try:
                os.killpg(pid, signal.SIGKILL)
            except OSError:
                self._process.kill()
        self._process.join()


def _answer(host: Reach, command: str, text: bytes, answers: ends.Connection) -> None:
    os.setsid()
    # Connections keep all that is said, and a host may say something for ever.
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        said = b"+" + _run(host, command, text)
    except MemoryError:
        said = b"-it does not end what it says"
    except Exception as error:
        said = b"-" + _shown(str(error)).encode()
    answers.send_bytes(said)


def _run(host: Reach, command: str, text: bytes) -> bytes:
    connection = host.connection
    connection._connect()
    if host.become is not None:
        command = host.become.build_become_command(command, connection._shell)
    rc, stdout, stderr = connection.exec_command(
        command, in_data=text, sudoable=host.become is not None
    )
    connection.close()
    if rc:
        said = _shown(bytes(stderr).decode("utf-8", "replace").strip()[-500:])
        raise NoAnswer(f"the command there exited with {rc} and said: {said or 'nothing'}")
    if len(stdout) > _LIMIT:
        raise NoAnswer(f"it said {len(stdout)} bytes")
    return bytes(stdout)


def _shown(text: str) -> str:
    return printable(text[:1000])
