# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A way down into directories and up again, by descriptors and however deep.

Private to the collection. Only few of the directories on the way are open at a time: the limit
of descriptors is soon reached by who makes directories in directories.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import typing as t

from . import descriptors
from .printable import printable

# So many are open at most, besides the one in which it begins.
OPEN = 32

Identity = tuple[int, int]


@dataclasses.dataclass
class _Level:
    name: str
    identity: Identity
    descriptor: t.Optional[int]


class Descent:
    """The directory in which one is, and the ones above it up to where one began.

    Links are not followed. Not O(mounts): nothing is entered where something else is mounted
    (EXDEV). The directory in which it begins stays the caller's.
    """

    def __init__(self, top: int, shown: str, *, mounts: bool) -> None:
        self._top = top
        self._shown = shown
        self._mounts = mounts
        self._levels: list[_Level] = []

    def __enter__(self) -> Descent:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        for level in self._levels:
            if level.descriptor is not None:
                os.close(level.descriptor)
        self._levels = []

    @property
    def depth(self) -> int:
        """How far down one is."""
        return len(self._levels)

    @property
    def here(self) -> int:
        """The directory in which one is; it stays open until one leaves it."""
        if not self._levels:
            return self._top
        descriptor = self._levels[-1].descriptor
        if descriptor is None:
            raise AssertionError("the last level of a descent is always open")
        return descriptor

    def enter(self, name: str) -> None:
        """Go into a directory; an error (ENOTDIR, ELOOP, EXDEV) when that cannot be."""
        descriptor = descriptors.open_directory(self.here, name, mounts=self._mounts)
        self._levels.append(_Level(name, _identity(descriptor), descriptor))
        if len(self._levels) > OPEN:
            far = self._levels[-1 - OPEN]
            if far.descriptor is not None:
                os.close(far.descriptor)
                far.descriptor = None

    def leave(self) -> str:
        """Go up again, and return the name of what one has left.

        An error (ESTALE) when somebody has moved it elsewhere meanwhile.
        """
        above = self._levels[-2] if len(self._levels) > 1 else None
        if above is not None and above.descriptor is None:
            above.descriptor = self._reopened(above)
        left = self._levels.pop()
        if left.descriptor is not None:
            os.close(left.descriptor)
        return left.name

    def _reopened(self, level: _Level) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        descriptor = os.open("..", flags, dir_fd=self.here)
        if _identity(descriptor) != level.identity:
            os.close(descriptor)
            raise descriptors.failed(errno.ESTALE, "")
        return descriptor

    def way(self, name: str = "") -> str:
        """The way from where one began to where one is, or to something in it."""
        return "/".join(filter(None, [*(level.name for level in self._levels), name]))

    def shown(self, name: str = "") -> str:
        """The same with the way to where one began, to be read by people."""
        below = self.way(name)
        if below and self._shown:
            return printable(f"{self._shown.rstrip('/')}/{below}")
        return printable(below or self._shown)


def _identity(descriptor: int) -> Identity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
