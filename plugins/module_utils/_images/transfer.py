# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Making images of their sources: unpacked out of sight, and verified.

Private to the collection. systemd-import does the unpacking, the program that importd itself
starts. importd is left out of it, because it
  - shows the image as soon as its input ends, also when the sender was killed,
  - never announces the end of a transfer when it dies itself,
  - turns on the quotas of the whole btrfs,
  - keeps a second, hidden copy of what it pulls and stumbles over it at the next pull.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import hashlib
import io
import math
import os
import threading
import typing as t

from .._core import progress, run
from .._core.lines import said_lines
from .._core.plan import Failure
from . import formats, sources, web
from .model import Source
from .patience import Deadline, Patience
from .staging import Stage

CHUNK = 1 << 18
# So little is left on a full disk: less than a file system needs for itself.
NO_ROOM = 1 << 20
LOOK_INTERVAL = 0.05
LINE_END = 150

_PROGRAM_DIRECTORIES = ("/usr/lib/systemd", "/lib/systemd", "/usr/libexec/systemd")
_STAGED = "image"

Stream = t.Union[io.BufferedReader, web.Answer]


def make(
    source: Source, place: Stage, version: int, timeout: float, least_rate: int
) -> tuple[str, Source]:
    """Make an image from a source; return its path and what the source really was.

    Whatever the source was expected to be is checked here: an image that this function
    returns is whole and verified.
    """
    deadline = Deadline(timeout, f"{source.location} into image {place.key}")
    patience = Patience(deadline, least_rate)
    verb = "pulling" if source.kind == "url" else "importing"
    directory = source.format == "directory"
    if directory or _may_share_extents(source):
        words = ["run" if directory else "raw", source.file or "", _STAGED]
        # Nobody counts what it copies; that it goes on is all that can be shown.
        with progress.Phases(verb, place.key):
            _systemd_import(
                words, "import-fs" if directory else "import", source.location, place, deadline
            )
        found = source
    else:
        with progress.Meter(verb, place.key, source.size) as meter:
            found = _stream(source, place, version, patience, meter)
    for path in (os.path.join(place.directory, name) for name in (_STAGED, f"{_STAGED}.raw")):
        if os.path.lexists(path):
            return path, found
    raise Failure(f"systemd-import made nothing of {source.location}")


def _may_share_extents(source: Source) -> bool:
    """A raw file of the same file system is then copied in no time and takes no space."""
    plain = source.format == "raw" and source.compression == "none"
    return plain and source.file is not None and source.checksum is None


def find_program(name: str) -> t.Optional[str]:
    """The path of a program that systemd starts but does not put into PATH."""
    paths = (os.path.join(directory, name) for directory in _PROGRAM_DIRECTORIES)
    return next((path for path in paths if os.access(path, os.X_OK)), None)


def program(name: str) -> str:
    """The same of one that is needed."""
    path = find_program(name)
    if path:
        return path
    raise Failure(
        f"{name} is not on this host. Install systemd-container (Debian, openSUSE, Fedora; a part "
        "of systemd elsewhere)"
    )


def _systemd_import(
    words: t.Sequence[str],
    tool: str,
    source: str,
    place: Stage,
    deadline: Deadline,
    stdin: t.Optional[int] = None,
) -> run.Result:
    argv = [program(f"systemd-{tool}"), f"--image-root={place.directory}", "--btrfs-quota=no"]
    room = _Room(place.root)
    try:
        with room:
            return run.run(
                [*argv, "--", *words], stdin=stdin, timeout=deadline.left(), keep=[place.lock]
            )
    except run.CommandFailed as failed:
        deadline.left()  # a program that was ended because of it has nothing to say
        raise Failure(
            f"systemd-{tool} could not make image {place.key} of {source}: "
            f"{_reason(failed.result, place.root, room)}",
            **failed.details,
        ) from None


class _Room:
    """How little room there was on a disk meanwhile.

    systemd 262 tells of a write that was cut short for want of room as of any other error, and has
    made room again when it says so.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._least = math.inf

    @property
    def full(self) -> bool:
        return self._least < NO_ROOM

    def _look(self) -> None:
        with contextlib.suppress(OSError):
            room = os.statvfs(self._root)
            self._least = min(self._least, room.f_bavail * room.f_frsize)

    def _watch(self) -> None:
        while not self._end.wait(LOOK_INTERVAL):
            self._look()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()
        self._look()


def _reason(result: run.Result, root: str, room: _Room) -> str:
    """What the program said, without what it says when all goes well."""
    usual = (
        "Importing ",
        "Imported ",
        "Exiting.",
        "Operating on ",
        "Wrote ",
        "Copying ",
        "(Note: ",
    )
    said = [line for line in said_lines(result.stderr) if not line.startswith(usual)]
    full = os.strerror(errno.ENOSPC)
    # tar says the latter when a part of its last write still found room.
    if any(full in line or "Wrote only" in line for line in said) or room.full:
        return f"{full}. Nothing of it is kept; make room in {root}"
    return "; ".join(map(_shortened, said[-8:])) or f"it exited with {result.rc} and said nothing"


def _shortened(line: str) -> str:
    """A line of a program, whose ends tell the most; a path in it may fill a screen."""
    return line if len(line) <= 2 * LINE_END else f"{line[:LINE_END]} … {line[-LINE_END:]}"


def _stream(
    source: Source,
    place: Stage,
    version: int,
    patience: Patience,
    meter: progress.Meter,
) -> Source:
    """Send the bytes through the checksum and, where needed, zstd into systemd-import."""
    deadline = patience.deadline
    with contextlib.ExitStack() as stack:
        stream, source = _opened(source, stack, patience)
        meter.total = source.size
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        read, write = os.pipe()
        consumers = _consumers(source, place, version, deadline, read, pool)
        try:
            checksum = _pump(source, stream, write, deadline, meter)
        except BrokenPipeError:
            checksum = None  # the reader went away; its own error says why
        finally:
            os.close(write)
            concurrent.futures.wait(consumers)
        for consumer in reversed(consumers):
            consumer.result()
    if checksum is None:
        raise Failure(f"{source.location}: its reader ended before all of it was read")
    if source.checksum and checksum != source.checksum:
        raise Failure(
            f"{source.location} has {checksum}, expected {source.checksum}. Nothing of it is "
            "kept; check the source, or the checksum if the source was changed on purpose"
        )
    return dataclasses.replace(source, checksum=checksum)


def _consumers(
    source: Source,
    place: Stage,
    version: int,
    deadline: Deadline,
    read: int,
    pool: concurrent.futures.Executor,
) -> list[concurrent.futures.Future[run.Result]]:
    """Start what makes an image of the bytes that come through a pipe."""
    consumers = []
    if source.compression == "zst" and not formats.reads_zstd(version):
        unpacked, into = os.pipe()
        argv = ["zstd", "-dcq"]
        consumers.append(
            pool.submit(
                run.run,
                argv,
                stdin=read,
                stdout=into,
                timeout=deadline.left(),
                keep=[place.lock],
            )
        )
        read = unpacked
    consumers.append(
        pool.submit(
            _systemd_import,
            [source.format, "-", _STAGED],
            "import",
            source.location,
            place,
            deadline,
            read,
        )
    )
    return consumers


def _opened(
    source: Source, stack: contextlib.ExitStack, patience: Patience
) -> tuple[Stream, Source]:
    if source.address is None:
        try:
            return stack.enter_context(sources.opened(source.file or "")), source
        except OSError as error:
            raise Failure(f"{source.location}: {error.strerror}") from None
    response = stack.enter_context(web.asked(source.address, patience))
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    if size is None and not response.chunked and not source.checksum:
        raise Failure(
            f"{source.location}: the server does not say how long it is, so a cut connection "
            "would look like its end. Give a checksum, or use verify"
        )
    found = dataclasses.replace(
        source,
        size=size,
        etag=response.headers.get("ETag"),
        last_modified=response.headers.get("Last-Modified"),
    )
    return response, found


def _pump(
    source: Source,
    stream: Stream,
    write: int,
    deadline: Deadline,
    meter: progress.Meter,
) -> str:
    digest = hashlib.sha256()
    count = 0
    while True:
        deadline.left()
        try:
            # Not read(), which would wait until all of the chunk has come.
            chunk = stream.read1(CHUNK)
        except OSError as error:
            raise Failure(f"{source.location}: {error.strerror} after {count} bytes") from None
        if not chunk:
            break
        digest.update(chunk)
        count += len(chunk)
        _write_all(write, chunk)
        meter.advance(len(chunk))
    if source.size is not None and count != source.size:
        raise Failure(
            f"{source.location}: broken off after {count} of {source.size} bytes. Nothing of it "
            "is kept; run it again"
        )
    return f"sha256:{digest.hexdigest()}"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
