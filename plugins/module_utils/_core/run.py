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
import time
import typing as t

from . import caller
from .plan import Failure

# Non-interactive ssh sessions and sudo often leave the sbin directories out of PATH.
SEARCH_PATH = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
)

# What a program says of itself in passing must not fill the memory of the host.
OUTPUT_LIMIT = 64 * 1024 * 1024
LINE_LIMIT = 64 * 1024
END = 256
# How often it is looked whether anybody still waits.
_LOOK = 1.0


@dataclasses.dataclass(frozen=True)
class Result:
    """What a finished process left behind."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    lost: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Of each stream that said too much, how many bytes are missing at its end."""
    ends: t.Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    """The last of those."""


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
    grace: float = 0,
    check: bool = True,
    environment: t.Optional[t.Mapping[str, str]] = None,
    cwd: t.Optional[str] = None,
    on_line: t.Optional[LineHandler] = None,
    stdin: t.Optional[int] = None,
    stdout: t.Optional[int] = None,
    keep: t.Sequence[int] = (),
    limit: int = OUTPUT_LIMIT,
    cut: bool = False,
    raw: bool = False,
    for_caller: bool = False,
) -> Result:
    """Run a program to its end and return what it said.

    At its deadline it is killed; with a O(grace) of seconds it may first end by itself, at SIGTERM,
    and take away what it has made.

    Of each stream O(limit) bytes are kept. When there was more of its standard output, which is
    what callers go by, that is an error, unless O(cut) says that the caller looks at what is lost.
    With O(raw) both streams keep bytes that are not UTF-8 as surrogates; otherwise only the
    first, for names and the like.

    O(on_line) is called with each line of standard error as it comes (for progress); the line
    may end in a carriage return instead of a newline, as progress meters do.

    O(stdin) and O(stdout) connect the program to descriptors of the caller, for streams. Both are
    closed here as soon as the program has them, or else no end of a pipe would ever be seen.
    O(for_caller) says that it is ended, too, when nobody waits for this module any more.
    O(keep) are descriptors that the program inherits: a lock lasts as long as one holder lives.
    """
    words = tuple(argv)
    surroundings = {"cwd": cwd, "pass_fds": keep, "env": _environment(environment)}
    with _started(words, input is not None, stdin, stdout, surroundings) as process:
        streams = _Streams(process, on_line, limit, "surrogateescape" if raw else "replace")
        wait = _waiting(process) if for_caller else process.wait
        result = _await(process, words, input, timeout, grace, streams, wait)
    if check and result.rc != 0:
        said = result.stderr.strip() or result.stdout.strip() or "nothing"
        raise CommandFailed(f"{shlex.join(words)} exited with {result.rc} and said: {said}", result)
    if result.lost.get("stdout") and not cut:
        raise CommandFailed(
            f"{shlex.join(words)} said {limit + result.lost['stdout']} bytes; expected at most"
            f" {limit}. With a part of it nothing was done",
            dataclasses.replace(result, stdout=""),
        )
    return result


def _environment(given: t.Optional[t.Mapping[str, str]]) -> dict[str, str]:
    return {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C", **(given or {})}


def _started(
    words: tuple[str, ...],
    fed: bool,
    stdin: t.Optional[int],
    stdout: t.Optional[int],
    surroundings: dict[str, t.Any],
) -> subprocess.Popen[bytes]:
    """The program, running. O(fed): something is written to it, unless it has another O(stdin)."""
    try:
        program = find(words[0])
        if program is None:
            raise CommandFailed(
                f"{words[0]} is not installed on this host", Result(words, 127, "", "not found")
            )
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            [program, *words[1:]],
            stdin=_either(stdin, subprocess.PIPE if fed else subprocess.DEVNULL),
            stdout=_either(stdout, subprocess.PIPE),
            stderr=subprocess.PIPE,
            start_new_session=True,
            **surroundings,
        )
    finally:
        for descriptor in (stdin, stdout):
            if descriptor is not None:
                os.close(descriptor)


def _either(given: t.Optional[int], otherwise: int) -> int:
    return otherwise if given is None else given


def _await(
    process: subprocess.Popen[bytes],
    words: tuple[str, ...],
    input: t.Optional[bytes],
    timeout: float,
    grace: float,
    streams: _Streams,
    wait: t.Callable[[float], int],
) -> Result:
    """Wait for the end of a process; end it at the deadline, or when we are to end ourselves."""
    try:
        streams.feed(input)
        rc = wait(timeout)
    except subprocess.TimeoutExpired:
        _end(process, grace)
        streams.finish()
        message = f"{shlex.join(words)} did not end within {timeout:g} s"
        raise CommandFailed(message, streams.result(words, -1)) from None
    except BaseException:
        _end(process, grace)
        raise
    streams.finish()
    return streams.result(words, rc)


def _waiting(process: subprocess.Popen[bytes]) -> t.Callable[[float], int]:
    """Wait for a process as long as somebody waits for us."""

    def wait(timeout: float) -> int:
        end = time.monotonic() + timeout
        while True:
            rest = end - time.monotonic()
            try:
                return process.wait(min(rest, _LOOK))
            except subprocess.TimeoutExpired:
                if rest <= _LOOK:
                    raise
            if caller.is_gone():
                raise caller.Gone

    return wait


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    """End the process and all that it started: it leads a session of its own."""
    if grace:
        process.terminate()
        end = time.monotonic() + grace
        # It stays unreaped, so that its number and that of its group cannot become another's.
        while not _has_ended(process.pid) and time.monotonic() < end:
            time.sleep(0.02)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _has_ended(child: int) -> bool:
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, child, how) is not None


class _Streams:
    """Reads both outputs and writes the input at the same time, so that no pipe can block."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        on_line: t.Optional[LineHandler],
        limit: int,
        errors: str,
    ) -> None:
        self._process = process
        self._errors = errors
        self._out = _Kept(limit)
        self._err = _Kept(limit)
        self._threads = [_thread(_read, process.stderr, self._err, on_line)]
        if process.stdout is not None:
            self._threads.append(_thread(_read, process.stdout, self._out, None))

    def feed(self, data: t.Optional[bytes]) -> None:
        if data is not None:
            self._threads.append(_thread(self._write, data))

    def finish(self) -> None:
        for thread in self._threads:
            # A grandchild that keeps the pipe open must not keep us.
            thread.join(timeout=5)

    def result(self, argv: tuple[str, ...], rc: int) -> Result:
        streams = {"stdout": self._out, "stderr": self._err}
        return Result(
            argv,
            rc,
            bytes(self._out.data).decode("utf-8", "surrogateescape"),
            bytes(self._err.data).decode("utf-8", self._errors),
            {name: stream.lost for name, stream in streams.items() if stream.lost},
            {name: stream.end for name, stream in streams.items() if stream.lost},
        )

    def _write(self, data: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            with stdin:
                stdin.write(data)
        except BrokenPipeError:
            pass  # the program did not want all of it; its exit code tells


@dataclasses.dataclass
class _Kept:
    """The beginning of a stream, and how much came after it."""

    limit: int
    data: bytearray = dataclasses.field(default_factory=bytearray)
    lost: int = 0
    end: bytes = b""

    def add(self, chunk: bytes) -> None:
        part = chunk[: self.limit - len(self.data)]
        self.data += part
        rest = chunk[len(part) :]
        self.lost += len(rest)
        self.end = (self.end + rest)[-END:]


def _read(stream: t.IO[bytes], into: _Kept, on_line: t.Optional[LineHandler]) -> None:
    line = bytearray()
    for chunk in iter(lambda: os.read(stream.fileno(), 65536), b""):
        into.add(chunk)
        if on_line:
            line += chunk.replace(b"\r", b"\n")
            *whole, rest = line.split(b"\n")
            if len(rest) > LINE_LIMIT:
                whole.append(rest)
                rest = bytearray()
            line = bytearray(rest)
            for one in whole:
                if one:
                    on_line(one.decode("utf-8", "replace"))


def _thread(target: t.Callable[..., None], *args: t.Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread
