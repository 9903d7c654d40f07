# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's end of a helper: requests, one after the other. Private to the collection.

A lane is three descriptors, which lead to a helper in a machine over whatever there is between
them, and a fourth for the process that this begins with. Whoever answers there may be anybody:
frames have a longest length, and what is no frame of this request ends the lane.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import select
import signal
import stat
import struct
import time
import typing as t
from collections import abc
from pathlib import Path

# As in helper.py, which is not imported: this is compiled for every task.
HEAD = struct.Struct(">cI")
OFFSET = struct.Struct(">Q")
CHUNK = 128 * 1024
WINDOW = 1024 * 1024
LONGEST = 4 * 1024 * 1024
VEIL = b"\x1c"

# Bytes of one command, both streams together, that are kept.
OUTPUT_LIMIT = 2 * 1024**3
# A helper that has said nothing for so long is asked whether it lives.
QUIET = 15.0
# What leads to it ends within this time when it is closed, or is killed.
SETTLE = 2.0


class Broken(Exception):
    """The lane has ended, or what comes from it is no answer."""

    def __init__(self, message: str, begun: bool = True) -> None:
        super().__init__(message)
        self.begun = begun
        """Whether the request may have been carried out, or a part of it."""


class Refused(Exception):
    """The helper's reason why it does not do what it was asked for."""


class Ended(t.NamedTuple):
    """A command that came to its end."""

    rc: int
    stdout: bytes
    stderr: bytes


class Watcher(t.Protocol):
    """Somebody who answers prompts."""

    def ready(self) -> bool:
        """Whether the command may have its input."""

    def feed(self, kind: bytes, data: bytes) -> tuple[bytes, bytes]:
        """What of it is the command's, and what is to be written to it."""

    def rest(self, kind: bytes) -> bytes:
        """What was held back when the command ended."""


class Lane:
    """A helper that waits for requests."""

    def __init__(
        self, descriptors: abc.Sequence[int], patience: float, *, veiled: bool = False
    ) -> None:
        self.descriptors = tuple(descriptors)
        self._source, self._target, self._errors = self.descriptors[:3]
        self._leading = self.descriptors[3] if len(self.descriptors) > 3 else -1
        self._patience = patience
        self._veiled = veiled
        self._buffer = bytearray()
        self._unsent: list[memoryview] = []
        self._said = bytearray()
        self._deaf = False
        self._run = run_of_this_task()
        for descriptor in self.descriptors[:3]:
            os.set_blocking(descriptor, False)

    def close(self) -> None:
        """The helper ends, and with it what it was carrying out."""
        for descriptor in (*self.descriptors, self._run):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def end(self) -> None:
        """Close it, and see that what leads to it ends: with a machine that is paused it would not.

        Its process may be a child of another task, but is known by a descriptor.
        """
        leading = os.dup(self._leading) if self._leading >= 0 else -1
        self.close()
        if leading < 0:
            return
        poll = select.poll()
        poll.register(leading, select.POLLIN)
        if not poll.poll(SETTLE * 1000):
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(leading, signal.SIGKILL)
        os.close(leading)

    def let_go(self) -> None:
        """What is at its other end sees that there is nobody any more."""
        nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nothing, self._target, inheritable=False)
        os.close(nothing)

    def line(self, words: str) -> None:
        """Tell a shell something."""
        self._queue(words.encode() + b"\n")
        self._flush()

    def finish(self) -> None:
        """End it, and wait until what was at its other end is gone."""
        self.let_go()
        end = time.monotonic() + self._patience
        with contextlib.suppress(Broken, TimeoutError):
            while True:
                self._turn(end)
                self._buffer.clear()
        self.close()

    def is_quiet(self) -> bool:
        """Whether it waits: nothing has come that nobody has asked for, and it has not ended."""
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        return not self._buffer and not poll.poll(0)

    @property
    def said(self) -> str:
        """What came beside the frames, of whatever is on the way."""
        self._listen()
        words = self._said + (self._buffer[-1000:] if self._veiled else b"")
        return words.decode("utf-8", "replace").strip()

    # --- its beginning ---

    def begin(
        self, text: bytes, hello: str, answer: abc.Callable[[bytes], t.Optional[bytes]]
    ) -> None:
        """Send the helper over, and wait until it is there.

        O(answer) is shown what came until then, and returns what is to be written, such as a
        password. The text is sent as soon as it returns None: nobody will ask for any more.
        """
        end = time.monotonic() + self._patience
        greeting = HEAD.pack(b"H", len(hello)) + hello.encode()
        asking, shown = True, -1
        while greeting not in self._buffer:
            if time.monotonic() > end:
                raise TimeoutError
            seen = bytes(self._said) + bytes(self._buffer)
            if len(seen) > LONGEST:
                raise Broken("what came was no helper", begun=False)
            if asking and len(seen) != shown:
                shown = len(seen)
                words = answer(seen)
                asking = words is not None
                self._queue(text if words is None else words)
            self._turn(end)
        del self._buffer[: self._buffer.index(greeting) + len(greeting)]

    # --- requests ---

    def run(
        self,
        request: t.Mapping[str, t.Any],
        stdin: bytes,
        watcher: t.Optional[Watcher] = None,
    ) -> Ended:
        """Run a command to its end, whatever it ends with."""
        outputs = {b"O": bytearray(), b"R": bytearray()}
        source = _Source(stdin)
        room = WINDOW
        begun = False
        self._ask(b"C", request)
        while True:
            if watcher is None or watcher.ready():
                room -= self._supply(source, room)
            kind, payload = self._next(begun)
            if kind in outputs:
                answer = b""
                if watcher is not None:
                    payload, answer = watcher.feed(kind, payload)
                if answer:
                    room -= len(answer)
                    self._frame(b"I", answer)
                outputs[kind] += payload
                if len(outputs[b"O"]) + len(outputs[b"R"]) > OUTPUT_LIMIT:
                    raise Broken(f"it said more than {OUTPUT_LIMIT} bytes")
            elif kind == b"A":
                room += _number(payload)
            elif kind == b"B":
                begun = True
            elif kind == b"X":
                code = _code(_words(payload))
                for kind, output in outputs.items():
                    output += watcher.rest(kind) if watcher else b""
                return Ended(code, *map(bytes, outputs.values()))
            elif kind != b"p":
                raise _strange(kind)

    def put(self, path: Path, request: t.Mapping[str, t.Any]) -> None:
        """Write a file of ours there: what has nothing in it stays so."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._ask(b"W", request)
            pieces = _pieces(file.fileno(), size)
            room, more = WINDOW, True
            while True:
                while more and room > 0 and not self._unsent:
                    piece = next(pieces, None)
                    if piece is None:
                        more = False
                        self._frame(b"F", json.dumps({"size": size}).encode())
                    else:
                        room -= len(piece) - OFFSET.size
                        self._frame(b"D", piece)
                    self._flush()
                kind, payload = self._next(True)
                if kind == b"A":
                    room += _number(payload)
                elif kind == b"X":
                    _words(payload)
                    return
                elif kind != b"p":
                    raise _strange(kind)

    def get(self, path: Path, request: t.Mapping[str, t.Any]) -> None:
        """Make a file of one that is there; it has its name only when it is whole."""
        part = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._ask(b"G", request)
            size = self._fill(descriptor)
            os.ftruncate(descriptor, size)
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise Refused(f"{path} is not a regular file here")
            mask = os.umask(0o077)
            os.umask(mask)
            os.fchmod(descriptor, 0o666 & ~mask)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def _fill(self, descriptor: int) -> int:
        while True:
            kind, payload = self._next(True)
            if kind == b"D" and len(payload) > OFFSET.size:
                data, offset = memoryview(payload)[OFFSET.size :], _number(payload)
                while data:
                    count = os.pwrite(descriptor, data, offset)
                    data, offset = data[count:], offset + count
            elif kind == b"X":
                size = _words(payload).get("size")
                if not isinstance(size, int) or size < os.fstat(descriptor).st_size:
                    raise Broken(f"it was told to be {size!r} bytes long, which it is not")
                return size
            elif kind != b"p":
                raise _strange(kind)

    # --- frames ---

    def _ask(self, kind: bytes, request: t.Mapping[str, t.Any]) -> None:
        self._frame(kind, json.dumps(request).encode())
        self._flush()

    def _frame(self, kind: bytes, payload: bytes | memoryview) -> None:
        self._queue(HEAD.pack(kind, len(payload)))
        self._queue(payload)

    def _queue(self, data: bytes | memoryview) -> None:
        if data and self._veiled:
            # C(machinectl shell) takes three of these within a second for the wish to leave.
            data = bytes(data).replace(VEIL, VEIL + b"\1").replace(b"\x1d", VEIL + b"\2")
        if data:
            self._unsent.append(memoryview(data))

    def _supply(self, source: _Source, room: int) -> int:
        """Send what a command may have of its input; how much that was."""
        given = 0
        while not self._unsent and given < room and not source.ended:
            piece = source.take(min(room - given, 4 * CHUNK))
            self._frame(b"I" if piece else b"E", piece)
            self._flush()
            given += len(piece)
        return given

    def _next(self, begun: bool) -> tuple[bytes, bytes]:
        """The next frame that comes."""
        asked = False
        end = time.monotonic() + QUIET
        try:
            while (frame := self._frame_there()) is None:
                try:
                    if self._turn(end):
                        end, asked = time.monotonic() + QUIET, False
                except TimeoutError:
                    if asked:
                        raise Broken(
                            f"nothing has come from it for {QUIET + self._patience:g} s"
                        ) from None
                    self._frame(b"P", b"")
                    end, asked = time.monotonic() + self._patience, True
        except Broken as error:
            raise Broken(str(error), begun) from None
        return frame

    def _frame_there(self) -> t.Optional[tuple[bytes, bytes]]:
        if len(self._buffer) < HEAD.size:
            return None
        kind, length = HEAD.unpack_from(self._buffer)
        if length > LONGEST:
            raise _strange(kind)
        if len(self._buffer) < HEAD.size + length:
            return None
        payload = bytes(memoryview(self._buffer)[HEAD.size : HEAD.size + length])
        del self._buffer[: HEAD.size + length]
        return kind, payload

    def _turn(self, end: float) -> bool:
        """Wait for what can be read or written, and do it; whether something came."""
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        if not self._deaf:
            poll.register(self._errors, select.POLLIN)
        if self._unsent:
            poll.register(self._target, select.POLLOUT)
        if self._run >= 0:
            poll.register(self._run, select.POLLIN)
        ready = dict(poll.poll(max(0.0, end - time.monotonic()) * 1000))
        # What is said beside the frames is no sign of life, and may come without an end.
        if not ready or (self._source not in ready and time.monotonic() > end):
            raise TimeoutError
        if self._run in ready:
            raise Broken("the run of Ansible has ended")
        if self._target in ready:
            self._flush()
        if self._errors in ready:
            self._listen()
        if self._source not in ready:
            return False
        try:
            data = os.read(self._source, 4 * CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            raise Broken("it has ended")
        self._buffer += data
        return True

    def _flush(self) -> None:
        try:
            while self._unsent:
                count = os.writev(self._target, self._unsent[:16])
                while self._unsent and count >= len(self._unsent[0]):
                    count -= len(self._unsent.pop(0))
                if count:
                    self._unsent[0] = self._unsent[0][count:]
        except BlockingIOError:
            return
        except OSError:
            # Its last words may be there to be read.
            self._unsent.clear()

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            # No more than a pipe holds at once: there may be no end to it.
            for _piece in range(16):
                data = os.read(self._errors, CHUNK)
                if not data:
                    self._deaf = True
                    return
                self._said += data
                del self._said[:-65536]


def run_of_this_task() -> int:
    """A descriptor that can be read when the run of Ansible has ended, where there is such a thing.

    A run that is killed leaves its tasks behind, and those hold what leads into machines.
    """
    run = multiprocessing.parent_process()
    if run is None:
        return -1
    try:
        return os.pidfd_open(int(run.pid or 0))
    except (AttributeError, OSError):
        return -1


class _Source:
    """What a command is to read."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.ended = False

    def take(self, count: int) -> memoryview:
        """A piece; nothing, once, at its end."""
        piece, self._data = self._data[:count], self._data[count:]
        self.ended = not piece
        return piece


def _pieces(descriptor: int, size: int) -> abc.Iterator[bytes]:
    """What a file has in it, with where it is; as much as was there at first."""
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError:
            if offset == 0:
                raise
            return
        end = min(os.lseek(descriptor, offset, os.SEEK_HOLE), size)
        while offset < end:
            data = os.pread(descriptor, min(CHUNK, end - offset), offset)
            if not data:
                raise Refused("it has become shorter meanwhile")
            yield OFFSET.pack(offset) + data
            offset += len(data)


def _number(payload: bytes) -> int:
    if len(payload) < OFFSET.size:
        raise Broken("its answer is no number")
    return int(OFFSET.unpack_from(payload)[0])


def _words(payload: bytes) -> dict[str, t.Any]:
    try:
        words = json.loads(payload.decode())
    except ValueError:
        raise Broken("its answer cannot be read") from None
    if not isinstance(words, dict):
        raise Broken("its answer cannot be read")
    if "error" in words:
        raise Refused(str(words["error"])[:1000])
    return words


def _code(words: t.Mapping[str, t.Any]) -> int:
    code = words.get("rc")
    if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code <= 255:
        raise Broken("its answer has no exit code")
    return code


def _strange(kind: bytes) -> Broken:
    return Broken(f"what it said ({kind!r}) is no answer to what it was asked for")
