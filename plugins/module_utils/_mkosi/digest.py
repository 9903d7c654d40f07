# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a build is made from, as one number. Private to the collection.

To be called by who builds: nothing counts that mkosi could not read.
"""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t

from .._core import descriptors
from .._core.descent import Descent
from .._core.plan import Failure
from .._core.printable import printable
from . import view

SIZE_LIMIT = 64 << 30
COUNT_LIMIT = 4_000_000
PATIENCE = 3600.0
_CHUNK = 1 << 20


def of(head: str, place: str, directory: str, outside: t.Sequence[str]) -> str:
    """The digest of what mkosi was told, and of all that a build of a view reads.

    O(outside) are paths beyond it. O(head) is salted, so that the digest tells nobody a password
    who tries some.
    """
    sum_ = hashlib.sha256(head.encode("utf-8", "surrogateescape"))
    own = sorted(
        os.path.join(place, name)
        for name in os.listdir(place)
        if name.startswith("mkosi.")
        and not view.PRODUCTS.fullmatch(name)
        # Its meaning is in the summary; comments and order do not build anything anew.
        and name not in ("mkosi.conf", "mkosi.default")
    )
    reading = _Reading(place, directory)
    for path in [*own, *outside]:
        for line in reading.lines(path):
            sum_.update(line)
    return f"sha256:{sum_.hexdigest()}"


class _Reading:
    """Trees as lines of text: names, kinds, modes and contents, not owners and times."""

    def __init__(self, place: str, directory: str) -> None:
        self._place = place
        self._directory = directory
        self._size = 0
        self._count = 0

    def lines(self, path: str) -> t.Iterator[bytes]:
        try:
            found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            yield self._line(path, "missing")
            return
        try:
            yield from self._one(found, path)
            if not stat.S_ISDIR(os.fstat(found).st_mode):
                return
            try:
                top = descriptors.reopen(found, os.O_RDONLY | os.O_DIRECTORY)
            except PermissionError:
                yield self._line(path, "unreadable")
                return
        finally:
            os.close(found)
        try:
            with Descent(top, path, mounts=True) as inside:
                yield from self._below(inside, path)
        finally:
            os.close(top)

    def _below(self, inside: Descent, top: str) -> t.Iterator[bytes]:
        """All that is in a directory, however deep, each directory in order."""
        parts = [top]
        waiting = [_names(inside)]
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    inside.leave()
                    parts.pop()
                continue
            name = waiting[-1].pop()
            path = "/".join([*parts, name])
            found = descriptors.open_file(inside.here, name)
            try:
                yield from self._one(found, path)
                if not stat.S_ISDIR(os.fstat(found).st_mode):
                    continue
            finally:
                os.close(found)
            try:
                inside.enter(name)
            except PermissionError:
                yield self._line(path, "unreadable")
                continue
            parts.append(name)
            waiting.append(_names(inside))

    def _one(self, found: int, path: str) -> t.Iterator[bytes]:
        """What stands for a thing itself, without what is in a directory."""
        status = os.fstat(found)
        self._count_in(status, path)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink("", dir_fd=found)
            # A link of the view stands for what it points to; any other is a link in a tree.
            if path.startswith(f"{self._place}/") and target == self._real(path):
                yield from self.lines(target)
            else:
                yield self._line(path, f"-> {target}")
            return
        yield self._line(path, f"{status.st_mode:o}")
        if stat.S_ISREG(status.st_mode):
            try:
                yield _contents(found, status.st_size)
            except PermissionError:
                yield self._line(path, "unreadable")

    def _count_in(self, status: os.stat_result, path: str) -> None:
        self._count += 1
        # As long as it is read, holes included.
        self._size += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if self._size > SIZE_LIMIT or self._count > COUNT_LIMIT:
            raise Failure(
                f"{printable(self._real(path))}: with this there is more to be built from than"
                f" {SIZE_LIMIT >> 30} GiB or {COUNT_LIMIT} files. Take away what is not meant"
            )

    def _line(self, path: str, said: str) -> bytes:
        return f"{self._real(path)} {said}\n".encode("utf-8", "surrogateescape")

    def _real(self, path: str) -> str:
        return path.replace(self._place, self._directory, 1)


def _names(inside: Descent) -> list[str]:
    return sorted(os.listdir(inside.here), reverse=True)


def _contents(found: int, size: int) -> bytes:
    """Of a file as long as it was: one that grows has no end."""
    sum_ = hashlib.sha256()
    source = descriptors.reopen(found, os.O_RDONLY)
    try:
        while size > 0:
            chunk = os.read(source, min(_CHUNK, size))
            if not chunk:
                break
            sum_.update(chunk)
            size -= len(chunk)
    finally:
        os.close(source)
    return sum_.digest()
