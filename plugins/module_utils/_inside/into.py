# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files and trees of the host put into a machine that runs. Private to the collection.

The machine's own programs write them, as its root and confined as it is; all that they get is a
pipe. Whoever wrote for them, as the host's root, could be sent by a link of the machine's to what
the host has bound into it, and could not write where the machine has mounted something itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import re
import stat
import tarfile
import threading
import typing as t

from .._core import descriptors
from .._core.patience import Stop, patiently
from .._core.plan import Failure
from .._core.printable import printable
from .._core.walk import Entry, Kind, Limits, Walk
from . import commands

_CHUNK = 1 << 20
# tarfile copies all that it has not written yet for each small file.
_BLOCK = 64 << 10
# A machine's answer to a look; it is a word, a mode and a digest.
_ANSWER = 4096


@dataclasses.dataclass(frozen=True)
class Look:
    """What lies at a path."""

    kind: str
    """C(file), C(directory), C(nothing), or C(other)."""
    mode: str = ""
    digest: str = ""
    """Of the contents; of a directory also of all names, kinds and modes."""


# --- looking on the host --------------------------------------------------------------------


@contextlib.contextmanager
def opened(path: str) -> t.Iterator[int]:
    """Stand for what lies at a path, without following it or opening it."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def look(path: str, limits: Limits, deadline: float) -> Look:
    """What lies at a path of the host, in the words of the look inside."""

    def work(stop: Stop) -> Look:
        try:
            with opened(path) as found:
                return _summed(Walk(found, printable(path), limits=limits, check=stop.check))
        except (FileNotFoundError, NotADirectoryError):
            return Look("nothing")

    return patiently(work, deadline, printable(path))


def _summed(walk: Walk) -> Look:
    names: list[bytes] = []
    contents: list[bytes] = []
    mode = ""
    for path, entry in _paths(walk):
        if not path:
            mode = f"{entry.mode:o}"
        if entry.kind is Kind.FILE:
            digest = hashlib.sha256()
            for chunk in _chunks(entry):
                digest.update(chunk)
            if not path:
                return Look("file", mode, digest.hexdigest())
            contents.append(b"%s *./%s" % (digest.hexdigest().encode(), path))
        if path:
            target = os.fsencode(entry.target)
            names.append(b"%s %o %s -> %s" % (_LETTERS[entry.kind], entry.mode, path, target))
    # A name cannot hold a null character.
    whole = b"".join(line + b"\0" for line in [*sorted(names), *sorted(contents)])
    return Look("directory", mode, hashlib.sha256(whole).hexdigest())


_LETTERS: t.Mapping[Kind, bytes] = {Kind.FILE: b"f", Kind.DIRECTORY: b"d", Kind.LINK: b"l"}


def _paths(walk: Walk) -> t.Iterator[tuple[bytes, Entry]]:
    """All of a tree that can be copied into a machine, with the way to it from the top."""
    above: list[str] = []
    for entry in walk:
        if entry.kind is Kind.END:
            above.pop()
            continue
        path = os.fsencode("/".join([*above, entry.name][1:]))
        if entry.kind in (Kind.OTHER, Kind.MOUNT) or (entry.kind is Kind.LINK and not path):
            raise Failure(
                f"src: {walk.shown(entry)} is {_what(entry)}; expected files and directories, and"
                " links only in them. Nothing was copied"
            )
        yield path, entry
        if entry.kind is Kind.DIRECTORY:
            above.append(entry.name)


def _what(entry: Entry) -> str:
    if entry.kind is Kind.MOUNT:
        return "a place where something else is mounted"
    return descriptors.kind(os.fstat(entry.descriptor).st_mode)


def _chunks(entry: Entry) -> t.Iterator[bytes]:
    """What is in a file, as long as it was when it was found."""
    source = descriptors.reopen(entry.descriptor, os.O_RDONLY)
    try:
        left = entry.size
        while left:
            chunk = os.read(source, min(_CHUNK, left))
            if not chunk:
                raise Failure("a file became shorter while it was read. Run it again")
            yield chunk
            left -= len(chunk)
    finally:
        os.close(source)


# --- looking inside -------------------------------------------------------------------------

# The same in the machine: kind, mode, digest.
_LOOK = r"""
export LC_ALL=C
if [ -d "$1" ]; then
    echo "directory $(stat -L -c %a -- "$1")" && cd -- "$1" && {
        find . -mindepth 1 -printf '%y %m %P -> %l\0' | sort -z
        find . -type f -exec sha256sum -bz -- {} + | sort -z
    } | sha256sum -b
elif [ -f "$1" ]; then
    echo "file $(stat -L -c %a -- "$1")" && sha256sum -b < "$1"
elif [ -e "$1" ] || [ -L "$1" ]; then
    echo other
else
    echo nothing
fi
"""
_ANSWERS = re.compile(r"(file|directory) ([0-7]{1,4})\n([0-9a-f]{64}) \*-\n")


def look_inside(machine: str, path: str, deadline: float) -> Look:
    argv = ("sh", "-c", _LOOK, "sh", path)
    result = commands.run(machine, commands.Command(argv, timeout=deadline, limit=_ANSWER))
    return look_of(result.stdout, result.stderr, f"{machine}:{path}")


def look_of(said: str, error: str, path: str) -> Look:
    """What a machine's answer means; it can say what it likes."""
    if said in ("other\n", "nothing\n"):
        return Look(said.strip())
    found = _ANSWERS.fullmatch(said)
    if not found:
        raise Failure(
            f"{printable(path)} cannot be looked at: {printable((error.strip() or said)[:300])!r}."
            " It needs sha256sum and stat inside, and GNU find and sort for a directory"
        )
    kind, mode, digest = found.groups()
    return Look(kind, mode, digest)


# --- putting --------------------------------------------------------------------------------

# Beside the destination is a directory for us alone; nobody can foresee its name, as others may
# write there as well. Whoever copied there before and was killed has left one that begins alike.
_STAGE = r"""
umask 077
dir=$1 stem=$2 dest=$3; shift 3
rm -rf -- "$dir/$stem."*
stage=$(mktemp -d -- "$dir/$stem.XXXXXXXXXX") || exit
trap 'rm -rf -- "$stage"' EXIT
"""
_FILE = (
    _STAGE
    + r"""
cat > "$stage/copy" || exit
[ "$(wc -c < "$stage/copy")" -eq "$1" ] || { echo "not all of it came" >&2; exit 1; }
chmod "$2" -- "$stage/copy" && mv -fT -- "$stage/copy" "$dest"
"""
)
# The mark comes last: an archive that was cut off may look whole otherwise.
_TREE = (
    _STAGE
    + r"""
tar -xpf - -C "$stage" || exit
[ -f "$stage/whole" ] || { echo "not all of it came" >&2; exit 1; }
mv -T -- "$stage/copy" "$dest"
"""
)


def put(
    machine: str, source: str, destination: str, mode: str, limits: Limits, deadline: float
) -> None:
    """Put a file, with a mode, or a tree, with its own, to where it appears at once."""
    parent, name = os.path.split(destination)
    stem = f".nspawn-machined-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"
    with opened(source) as found:
        status = os.fstat(found)
        is_file = stat.S_ISREG(status.st_mode)
        words = [str(status.st_size), mode] if is_file else []
        walk = Walk(found, printable(source), limits=limits)
        feed = Feed(functools.partial(_file if is_file else _tree, walk))
        script = _FILE if is_file else _TREE
        argv = ("sh", "-c", script, "sh", parent, stem, destination, *words)
        command = commands.Command(argv, timeout=deadline, limit=_ANSWER)
        try:
            result = commands.run(machine, command, stream=feed.open)
        finally:
            feed.close()
    if feed.error is not None:
        raise feed.error
    if result.rc != 0:
        said = printable(result.stderr.strip()[:1000], lines=True)
        raise Failure(f"{machine}:{printable(destination)} was not made: {said or result.rc}")


def _file(walk: Walk, pipe: t.IO[bytes]) -> None:
    for _path, entry in _paths(walk):
        if entry.kind is not Kind.FILE:
            raise Failure("it is no file any more. Run it again")
        for chunk in _chunks(entry):
            pipe.write(chunk)


def _tree(walk: Walk, pipe: t.IO[bytes]) -> None:
    with archive_into(pipe) as archive:
        for path, entry in _paths(walk):
            add(archive, "/".join(filter(None, ("copy", os.fsdecode(path)))), entry)
        archive.addfile(tarfile.TarInfo("whole"))


def archive_into(pipe: t.IO[bytes]) -> tarfile.TarFile:
    """An archive for a machine's own tar."""
    return tarfile.open(
        fileobj=pipe,
        mode="w|",
        format=tarfile.GNU_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
        bufsize=_BLOCK,
    )


def add(archive: tarfile.TarFile, name: str, entry: Entry, owner: tuple[int, int] = (0, 0)) -> None:
    """One thing of a walk in an archive; O(owner) are the machine's numbers."""
    member = tarfile.TarInfo(name)
    member.mode = entry.mode
    member.mtime = entry.changed // 10**9
    member.uid, member.gid = owner
    contents = None
    if entry.kind is Kind.DIRECTORY:
        member.type = tarfile.DIRTYPE
    elif entry.kind is Kind.LINK:
        member.type = tarfile.SYMTYPE
        member.linkname = entry.target
    else:
        member.size = entry.size
        contents = t.cast("t.IO[bytes]", _Reader(_chunks(entry)))
    archive.addfile(member, contents)


class _Reader:
    """A file for tarfile, which asks for it piece by piece and for all of it."""

    def __init__(self, chunks: t.Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._rest += chunk
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


class Feed:
    """Writes into a pipe whose other end is somebody else's, who need not read it."""

    def __init__(self, write: t.Callable[[t.IO[bytes]], None]) -> None:
        self._write = write
        self._thread: t.Optional[threading.Thread] = None
        self.error: t.Optional[Exception] = None
        self.complete = False
        """Whether all was written, and not only what somebody cared to read."""

    def open(self) -> int:
        theirs, ours = os.pipe()
        self._thread = threading.Thread(target=self._work, args=(ours,), daemon=True)
        self._thread.start()
        return theirs

    def close(self) -> None:
        """Wait for its end, but not for somebody who keeps the pipe and does not read it."""
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _work(self, ours: int) -> None:
        try:
            with contextlib.suppress(BrokenPipeError):
                with open(ours, "wb") as pipe:
                    self._write(pipe)
                self.complete = True
        except Exception as error:
            self.error = error
