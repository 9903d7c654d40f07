# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The one place that starts processes. Private to the collection.

Argument lists only, never a shell line; C(LC_ALL=C); a timeout on everything. It may be used
from several threads at once.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
import signal
import subprocess
import threading
import typing as t

from .plan import Failure

# Non-interactive ssh sessions and sudo often leave the sbin directories out of PATH.
SEARCH_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
)

# What a program says of itself in passing must not fill the memory of the host.
OUTPUT_LIMIT = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Result:
    """What a finished process left behind."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str


class CommandFailed(Failure):
    """A process that could not be started, ran too long, or exited other than 0."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message, cmd=list(result.argv), rc=result.rc, stderr=result.stderr)
        self.result = result


LineHandler = t.Callable[[str], None]


def find(program: str) -> t.Optional[str]:
    return shutil.which(program, path=SEARCH_PATH)


def run(
    argv: t.Sequence[str],
    *,
    input: t.Optional[bytes] = None,
    timeout: float = 60,
    check: bool = True,
    environment: t.Optional[t.Mapping[str, str]] = None,
    cwd: t.Optional[str] = None,
    on_line: t.Optional[LineHandler] = None,
    stdin: t.Optional[int] = None,
    stdout: t.Optional[int] = None,
    keep: t.Sequence[int] = (),
) -> Result:
    """Run a program to its end and return what it said.

    O(on_line) is called with each line of standard error as it comes (for progress); the line
    may end in a carriage return instead of a newline, as progress meters do.

    O(stdin) and O(stdout) connect the program to descriptors of the caller, for streams. Both are
    closed here as soon as the program has them, or else no end of a pipe would ever be seen.
    O(keep) are descriptors that the program inherits: a lock lasts as long as one holder lives.
    """
    words = tuple(argv)
    try:
        program = find(argv[0])
        if program is None:
            raise CommandFailed(
                f"{argv[0]} is not installed on this host", Result(words, 127, "", "not found")
            )
        started = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [program, *argv[1:]],
            stdin=_either(stdin, subprocess.DEVNULL if input is None else subprocess.PIPE),
            stdout=_either(stdout, subprocess.PIPE),
            stderr=subprocess.PIPE,
            env={**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C", **(environment or {})},
            cwd=cwd,
            start_new_session=True,
            pass_fds=keep,
        )
    finally:
        for descriptor in (stdin, stdout):
            if descriptor is not None:
                os.close(descriptor)
    with started as process:
        result = _await(process, words, input, timeout, on_line)
    if check and result.rc != 0:
        said = result.stderr.strip() or result.stdout.strip() or "nothing"
        raise CommandFailed(f"{shlex.join(words)} exited with {result.rc} and said: {said}", result)
    return result


def _either(given: t.Optional[int], otherwise: int) -> int:
    return otherwise if given is None else given


def _await(
    process: subprocess.Popen[bytes],
    words: tuple[str, ...],
    input: t.Optional[bytes],
    timeout: float,
    on_line: t.Optional[LineHandler],
) -> Result:
    """Wait for the end of a process; kill it at the deadline, or when we are to end ourselves."""
    collected = _Streams(process, on_line)
    try:
        collected.feed(input)
        rc = process.wait(timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        collected.finish()
        result = Result(words, -1, collected.stdout, collected.stderr)
        message = f"{shlex.join(words)} did not end within {timeout:g} s"
        raise CommandFailed(message, result) from None
    except BaseException:
        _kill(process)
        raise
    collected.finish()
    return Result(words, rc, collected.stdout, collected.stderr)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started: it leads a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class _Streams:
    """Reads both outputs and writes the input at the same time, so that no pipe can block."""

    def __init__(self, process: subprocess.Popen[bytes], on_line: t.Optional[LineHandler]) -> None:
        self._process = process
        self._out = bytearray()
        self._err = bytearray()
        self._threads = [_thread(self._read, process.stderr, self._err, on_line)]
        if process.stdout is not None:
            self._threads.append(_thread(self._read, process.stdout, self._out, None))

    def feed(self, data: t.Optional[bytes]) -> None:
        if data is not None:
            self._threads.append(_thread(self._write, data))

    def finish(self) -> None:
        for thread in self._threads:
            # A grandchild that keeps the pipe open must not keep us.
            thread.join(timeout=5)

    @property
    def stdout(self) -> str:
        return bytes(self._out).decode("utf-8", "surrogateescape")

    @property
    def stderr(self) -> str:
        return bytes(self._err).decode("utf-8", "replace")

    def _write(self, data: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            with stdin:
                stdin.write(data)
        except BrokenPipeError:
            pass  # the program did not want all of it; its exit code tells

    @staticmethod
    def _read(stream: t.IO[bytes], into: bytearray, on_line: t.Optional[LineHandler]) -> None:
        line = bytearray()
        for chunk in iter(lambda: os.read(stream.fileno(), 65536), b""):
            if len(into) < OUTPUT_LIMIT:
                into += chunk
            if on_line:
                line += chunk.replace(b"\r", b"\n")
                *whole, rest = line.split(b"\n")
                line = bytearray(rest)
                for one in whole:
                    if one:
                        on_line(one.decode("utf-8", "replace"))


def _thread(target: t.Callable[..., None], *args: t.Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread
