# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""All that is in a tree, thing after thing, however deep and whatever its names are.

Private to the collection. Whoever made the tree may be at work in it: each thing is opened once,
looked at when it is open, and given on open.
"""

from __future__ import annotations

import dataclasses
import enum
import errno
import os
import stat
import typing as t

from . import descriptors
from .descent import Descent
from .plan import Failure
from .printable import printable

_NOTHING = -1


class Kind(enum.Enum):
    """What a walk comes to."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"
    """A FIFO, a socket, a device."""
    MOUNT = "mount"
    """Where something else is mounted; it is not entered."""
    END = "end"
    """All of a directory has been given, which is the one of that name."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing of a tree."""

    kind: Kind
    name: str
    descriptor: int
    """Stands for it, not opened for reading; closed when the next one is asked for. Of an end
    there is none."""
    mode: int = 0
    size: int = 0
    changed: int = 0
    """In nanoseconds."""
    target: str = ""
    """Of a link."""
    number: int = 0
    """How many there were with this one."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much a tree may hold."""

    size: int = 10 << 30
    """Bytes of all files together, as long as they are to be read, holes included."""
    count: int = 100_000


class TooMuch(Failure):
    """A tree holds more than it may."""


class Walk:
    """A tree, or a file, from its top; what is in a directory is given in order, and its end.

    O(found) stands for the top. O(check) is called at each step, and may raise. What O(skip) says
    of a way from the top is neither opened nor counted.
    """

    def __init__(
        self,
        found: int,
        shown: str,
        *,
        limits: t.Optional[Limits] = None,
        check: t.Optional[t.Callable[[], None]] = None,
        skip: t.Optional[t.Callable[[str], bool]] = None,
    ) -> None:
        self._found = found
        self._shown = shown
        self._limits = limits or Limits()
        self._check = check or (lambda: None)
        self._skip = skip
        self._place: t.Optional[Descent] = None
        self._size = 0
        self._count = 0

    def shown(self, entry: Entry) -> str:
        """The way to what was given last, to be read by people."""
        if self._place is None:
            return printable(self._shown)
        return self._place.shown(entry.name)

    def way(self, entry: Entry) -> str:
        """The same from the top, as it is; of the top itself nothing."""
        return self._place.way(entry.name) if self._place is not None else ""

    @property
    def depth(self) -> int:
        """How many directories of the tree what was given last is in, and at the top none."""
        return self._place.depth + 1 if self._place is not None else 0

    def __iter__(self) -> t.Iterator[Entry]:
        self._size = self._count = 0
        top = self._entry(self._found, "")
        yield top
        if top.kind is not Kind.DIRECTORY:
            return
        descriptor = descriptors.reopen(self._found, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with Descent(descriptor, self._shown, mounts=False) as self._place:
                yield from self._below(self._place)
        finally:
            self._place = None
            os.close(descriptor)
        yield Entry(Kind.END, "", _NOTHING)

    def _below(self, place: Descent) -> t.Iterator[Entry]:
        waiting = [self._names(place)]
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    yield Entry(Kind.END, place.leave(), _NOTHING)
                continue
            name = waiting[-1].pop()
            entry = self._open(place, name)
            if entry is None:
                continue
            try:
                yield entry
                if entry.kind is Kind.DIRECTORY:
                    self._enter(place, entry)
                    waiting.append(self._names(place))
            finally:
                os.close(entry.descriptor)

    def _enter(self, place: Descent, entry: Entry) -> None:
        place.enter(entry.name)
        if not descriptors.same(place.here, entry.descriptor):
            shown = place.shown()
            raise Failure(f"{shown} was exchanged while it was read. Run it again")

    def _open(self, place: Descent, name: str) -> t.Optional[Entry]:
        """One thing of a directory; nothing when it is gone."""
        is_mount = False
        try:
            found = descriptors.open_file(place.here, name, mounts=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            found = descriptors.open_file(place.here, name)
            is_mount = True
        try:
            entry = self._entry(found, name)
        except BaseException:
            os.close(found)
            raise
        return dataclasses.replace(entry, kind=Kind.MOUNT) if is_mount else entry

    def _entry(self, found: int, name: str) -> Entry:
        self._check()
        status = os.fstat(found)
        kind = _kind(status.st_mode)
        size = status.st_size if kind is Kind.FILE else 0
        self._count += 1
        self._size += size
        self._insist()
        return Entry(
            kind,
            name,
            found,
            mode=stat.S_IMODE(status.st_mode),
            size=size,
            changed=status.st_mtime_ns,
            target=os.readlink("", dir_fd=found) if kind is Kind.LINK else "",
            number=self._count,
        )

    def _names(self, place: Descent) -> list[str]:
        names: list[str] = []
        with os.scandir(place.here) as entries:
            for entry in entries:
                if self._skip is not None and self._skip(place.way(entry.name)):
                    continue
                names.append(entry.name)
                if self._count + len(names) > self._limits.count:
                    self._insist(len(names))
                if not len(names) % 1000:
                    self._check()
        return sorted(names, reverse=True)

    def _insist(self, more: int = 0) -> None:
        """That it is no more than it may be, before the names of one directory fill the memory."""
        limits = self._limits
        if self._count + more > limits.count:
            found, most = f"more than {limits.count} files and directories", "count"
        elif self._size > limits.size:
            found, most = f"more than {limits.size} bytes in its files", "size"
        else:
            return
        raise TooMuch(
            f"{printable(self._shown)} holds {found}, which is the most there may be. Take away"
            f" what is not meant, or raise the limit of its {most}"
        )


def _kind(mode: int) -> Kind:
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}
    return kinds.get(stat.S_IFMT(mode), Kind.OTHER)
