# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files of somebody else's root, read so that nothing in it leads out and nothing in it holds us.

Private to the collection. Links of an image or a machine mean its own files; a FIFO, a device, a
file without end or a file system that never answers is an error that names it, and no more.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import stat
import typing as t

from . import descriptors
from .patience import Stop, patiently
from .plan import Failure
from .printable import printable

DEADLINE = 10.0
"""In seconds, for each single question."""
LIMIT = 64 << 10
"""Far more bytes than any of the small files of a system has."""
NAMES = 100_000
LINKS = 40
DEPTH = 256

T = t.TypeVar("T")
_ABSENT = (errno.ENOENT, errno.ENOTDIR)
# So often something may be renamed while a path is looked up that leads up again.
_TRIES = 16
_PLACE = os.O_PATH | os.O_NOFOLLOW


class Unusable(Failure):
    """Something is there, and not what it would have to be."""


class Links(enum.IntEnum):
    """What becomes of links on the way; those of /proc that are none lead nowhere in any case."""

    NONE = descriptors.RESOLVE_BENEATH | descriptors.RESOLVE_NO_SYMLINKS
    """There may be none, but for the last one when it is not followed."""
    BENEATH = descriptors.RESOLVE_BENEATH | descriptors.RESOLVE_NO_MAGICLINKS
    """They may lead to what is below, and by no other way."""
    IN_ROOT = descriptors.RESOLVE_IN_ROOT | descriptors.RESOLVE_NO_MAGICLINKS
    """They mean what they would mean to who has it for a root."""


class Root:
    """A directory below which everything happens. To be closed, or used by C(with)."""

    def __init__(
        self,
        descriptor: int,
        name: str,
        *,
        links: Links = Links.IN_ROOT,
        deadline: float = DEADLINE,
    ) -> None:
        self.descriptor = descriptor
        self.name = name
        """How it is called in messages."""
        self.deadline = deadline
        self._links = links

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def shown(self, path: str) -> str:
        """A path of it, to be read by people."""
        return printable(f"{self.name}:/{path.lstrip('/')}")

    # --- questions ----------------------------------------------------------------------

    def find(self, path: str, *, follow: bool = True) -> t.Optional[int]:
        """Stand for what lies at a path, whatever it is; nothing when there is nothing.

        The caller closes it. It is not opened for reading (see C(descriptors.reopen)).
        """

        def drop(found: t.Optional[int]) -> None:
            if found is not None:
                os.close(found)

        return self._ask(path, lambda _stop: self._find(path, follow=follow), drop)

    def stat(self, path: str, *, follow: bool = True) -> t.Optional[os.stat_result]:
        """What is said of what lies at a path; nothing when there is nothing."""

        def work(_stop: Stop) -> t.Optional[os.stat_result]:
            with self._found(path, follow=follow) as found:
                return None if found is None else os.fstat(found)

        return self._ask(path, work)

    def exists(self, path: str, *, follow: bool = True) -> bool:
        return self.stat(path, follow=follow) is not None

    def is_directory(self, path: str, *, follow: bool = True) -> bool:
        status = self.stat(path, follow=follow)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def read_bytes(self, path: str, limit: int = LIMIT) -> t.Optional[bytes]:
        """What is in a regular file of no more than so many bytes; nothing when there is none."""

        def work(stop: Stop) -> t.Optional[bytes]:
            with self._found(path) as found:
                if found is None:
                    return None
                self._expect(found, stat.S_IFREG, path)
                return self._read(found, path, limit, stop)

        return self._ask(path, work)

    def read_text(self, path: str, limit: int = LIMIT) -> t.Optional[str]:
        """The same as text; bytes that are no UTF-8 stay what they are."""
        data = self.read_bytes(path, limit)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def listing(self, path: str, limit: int = NAMES) -> t.Optional[list[str]]:
        """The names in a directory, in order; nothing when there is no directory of that path."""

        def work(stop: Stop) -> t.Optional[list[str]]:
            with self._found(path) as found:
                if found is None:
                    return None
                self._expect(found, stat.S_IFDIR, path)
                return self._list(found, path, limit, stop)

        return self._ask(path, work)

    def place(self, path: str) -> tuple[int, str]:
        """The directory, open for reading, and the name in it, to which a path leads.

        Links are followed to the last one, and there need not be anything of that name. The
        caller closes the directory.
        """

        def drop(found: tuple[int, str]) -> None:
            os.close(found[0])

        return self._ask(path, lambda _stop: self._place(path), drop)

    def parent(self, path: str) -> tuple[int, str]:
        """The same, but what lies at the path itself is not followed."""

        def drop(found: tuple[int, str]) -> None:
            os.close(found[0])

        return self._ask(path, lambda _stop: self._place(path, follow=False), drop)

    # --- how they are answered ----------------------------------------------------------

    def _ask(
        self,
        path: str,
        work: t.Callable[[Stop], T],
        late: t.Optional[t.Callable[[T], None]] = None,
    ) -> T:
        shown = self.shown(path)
        if "\0" in path:
            raise Unusable(f"{shown} is no path: it has a null character in it")
        try:
            return patiently(work, self.deadline, shown, grace=0.5, late=late)
        except Unusable:
            raise
        except Failure as failure:
            raise Unusable(failure.message) from None
        except OSError as error:
            raise Unusable(f"{shown} cannot be used: {_reason(error)}") from None

    @contextlib.contextmanager
    def _found(self, path: str, *, follow: bool = True) -> t.Iterator[t.Optional[int]]:
        found = self._find(path, follow=follow)
        try:
            yield found
        finally:
            if found is not None:
                os.close(found)

    def _find(self, path: str, *, follow: bool) -> t.Optional[int]:
        try:
            try:
                return self._looked_up(path, follow)
            except OSError as error:
                if error.errno not in (*descriptors.NO_OPENAT2, errno.EAGAIN):
                    raise
            return _Way(self, self._links).find(path, follow=follow)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def _looked_up(self, path: str, follow: bool) -> int:
        flags = os.O_PATH if follow else _PLACE
        beneath = path.strip("/") or "."
        for tries_left in reversed(range(_TRIES)):
            try:
                return descriptors.openat2(self.descriptor, beneath, flags, int(self._links))
            except OSError as error:
                if error.errno != errno.EAGAIN or not tries_left:
                    raise
        raise AssertionError

    def _place(self, path: str, *, follow: bool = True) -> tuple[int, str]:
        try:
            return _Way(self, self._links).place(path, follow=follow)
        except FileNotFoundError:
            raise Unusable(
                f"{self.shown(path)}: the directory that it would be in does not exist"
            ) from None

    def _expect(self, found: int, kind: int, path: str) -> None:
        mode = os.fstat(found).st_mode
        if stat.S_IFMT(mode) != kind:
            raise Unusable(
                f"{self.shown(path)} is {descriptors.kind(mode)}; expected"
                f" {descriptors.kind(kind)}. Look at who put it there, and remove it"
            )

    def _read(self, found: int, path: str, limit: int, stop: Stop) -> bytes:
        source = descriptors.reopen(found, os.O_RDONLY)
        try:
            data = bytearray()
            while len(data) <= limit:
                stop.check()
                chunk = os.read(source, min(1 << 20, limit + 1 - len(data)))
                if not chunk:
                    return bytes(data)
                data += chunk
        finally:
            os.close(source)
        raise Unusable(
            f"{self.shown(path)} is larger than {limit} bytes; expected a small text. Look at who"
            " wrote it"
        )

    def _list(self, found: int, path: str, limit: int, stop: Stop) -> list[str]:
        directory = descriptors.reopen(found, os.O_RDONLY | os.O_DIRECTORY)
        try:
            names = []
            with os.scandir(directory) as entries:
                for entry in entries:
                    names.append(entry.name)
                    if len(names) > limit:
                        raise Unusable(f"{self.shown(path)} holds more than {limit} names")
                    stop.check()
            return sorted(names)
        finally:
            os.close(directory)


def _reason(error: OSError) -> str:
    reasons = {
        errno.ELOOP: "there are links where there may be none, or too many of them",
        errno.EXDEV: "a link leads out of it",
        errno.EAGAIN: "somebody is writing to it, or renames what leads there",
    }
    return reasons.get(error.errno or 0, error.strerror or str(error))


# --- part after part ------------------------------------------------------------------------


class _Way:
    """A path gone on foot: where no system call does it, and where the last part may be missing.

    What was gone is kept open, so that two dots lead to where one came from.
    """

    def __init__(self, root: Root, links: Links) -> None:
        self._links = links
        self._open = [os.dup(root.descriptor)]

    def close(self) -> None:
        while self._open:
            os.close(self._open.pop())

    def find(self, path: str, *, follow: bool) -> int:
        try:
            name = self._walk(path, follow=follow)
            if not name:
                return self._open.pop()
            return descriptors.open_file(self._open[-1], name)
        finally:
            self.close()

    def place(self, path: str, *, follow: bool) -> tuple[int, str]:
        try:
            name = self._walk(path, follow=follow)
            if not name:
                raise descriptors.failed(errno.EISDIR, path)
            return descriptors.reopen(self._open[-1], os.O_RDONLY | os.O_DIRECTORY), name
        finally:
            self.close()

    def _walk(self, path: str, *, follow: bool) -> str:
        """Go to the directory in which a path ends, and return its name there, if it has one."""
        rest = _parts(path)
        links = 0
        while rest:
            part = rest.pop()
            if part == "..":
                self._up()
                continue
            target = self._link(part) if rest or follow else None
            if target is not None:
                links += 1
                if links > LINKS or self._links is Links.NONE:
                    raise descriptors.failed(errno.ELOOP, path)
                if target.startswith("/"):
                    self._to_the_top()
                rest += _parts(target)
            elif rest:
                self._down(part)
            else:
                return part
        return ""

    def _link(self, name: str) -> t.Optional[str]:
        """Where a link leads; nothing when it is none, or is not there."""
        try:
            return os.readlink(name, dir_fd=self._open[-1])
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise

    def _up(self) -> None:
        if len(self._open) > 1:
            os.close(self._open.pop())
        elif self._links is not Links.IN_ROOT:
            raise descriptors.failed(errno.EXDEV, "..")

    def _to_the_top(self) -> None:
        if self._links is not Links.IN_ROOT:
            raise descriptors.failed(errno.EXDEV, "/")
        while len(self._open) > 1:
            os.close(self._open.pop())

    def _down(self, name: str) -> None:
        if len(self._open) > DEPTH:
            raise descriptors.failed(errno.ENAMETOOLONG, name)
        # A link that has taken its place since is an error.
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._open.append(os.open(name, flags, dir_fd=self._open[-1]))


def _parts(path: str) -> list[str]:
    """In the order in which they are taken from the end."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return parts[::-1]


# --- the roots there are --------------------------------------------------------------------


def image(path: str, *, deadline: float = DEADLINE) -> Root:
    """The root of an image that is a directory. The way there is the host's."""
    return _root(path, None, Links.IN_ROOT, deadline)


def directory(path: str, owner: t.Optional[int] = None, *, deadline: float = DEADLINE) -> Root:
    """A directory of the host; an error unless it belongs to that user, or to root.

    What links in it point to has to be in it as well.
    """
    return _root(path, owner, Links.BENEATH, deadline)


def _root(path: str, owner: t.Optional[int], links: Links, deadline: float) -> Root:
    shown = printable(path)
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

    def work(_stop: Stop) -> tuple[int, os.stat_result]:
        descriptor = os.open(path, flags)
        return descriptor, os.fstat(descriptor)

    def drop(result: tuple[int, os.stat_result]) -> None:
        os.close(result[0])

    try:
        descriptor, status = patiently(work, deadline, shown, grace=0.5, late=drop)
    except OSError as error:
        raise Unusable(
            f"{shown}: expected a directory that can be entered: {error.strerror}"
        ) from None
    if owner is not None and status.st_uid not in (0, owner):
        os.close(descriptor)
        raise Unusable(
            f"{shown} belongs to user {status.st_uid}; expected a directory of user {owner}"
        )
    return Root(descriptor, path, links=links, deadline=deadline)


def machine(
    leader: int, is_leader: t.Callable[[], bool], *, deadline: float = DEADLINE
) -> t.Optional[Root]:
    """The root of a machine that runs, by its first process; nothing when it has ended.

    O(is_leader) is asked when the process is held, whose number another one could have got.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        process = os.open(f"/proc/{leader}", flags)
    except FileNotFoundError:
        return None
    try:
        # From now on it is this process or none.
        descriptor = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)
        try:
            # The host's when it has not entered its own yet.
            if is_leader() and not _is_host(descriptor) and _lives(process):
                name = f"the machine of process {leader}"
                return Root(os.dup(descriptor), name, deadline=deadline)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, ProcessLookupError):
        pass
    except OSError as error:
        raise Unusable(
            f"the root of process {leader} cannot be entered: {error.strerror}; expected to be"
            " allowed to (become: true)"
        ) from None
    finally:
        os.close(process)
    return None


def _is_host(descriptor: int) -> bool:
    return os.path.samestat(os.fstat(descriptor), os.stat("/"))


def _lives(process: int) -> bool:
    try:
        os.stat("root", dir_fd=process)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True
