# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Contents taken out of somebody else's root: what is in files and directories, and nothing else.

Private to the collection. What arrives belongs to who asked and gives nobody anything: no setuid,
setgid or sticky bit, no capability, ACL or other attribute, no device, FIFO or socket, and links
only when they are asked for and lead to what is copied with them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import stat
import typing as t

from . import descriptors, files, trees
from .beneath import Root
from .descent import Descent
from .patience import Stop, patiently
from .plan import Failure
from .printable import printable
from .walk import Entry, Kind, Limits, Walk

MASK = 0o777
"""What may be left of a mode."""
TOLD = 20
GRACE = 30.0
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
_INNER = "copy"

T = t.TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Rules:
    """What may come along, and as what."""

    links: bool = False
    """Keep links that lead to something in the tree itself, as links; others never come along."""
    limits: Limits = dataclasses.field(default_factory=Limits)
    mode: t.Optional[int] = None
    """Of a file that is copied; nothing to keep the source's, as far as it may be kept."""
    owner: t.Optional[tuple[int, int]] = None
    """Nothing for who runs this."""
    deadline: float = 3600


@dataclasses.dataclass(frozen=True)
class Taken:
    """What does not come along."""

    left_out: int = 0
    told: tuple[str, ...] = ()
    """What it is, and why; not all of it when it is much."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """A file or a tree as it would arrive; equal when nothing would change."""

    kind: Kind
    mode: int
    digest: str = ""
    taken: Taken = dataclasses.field(default_factory=Taken, compare=False)


# --- looking --------------------------------------------------------------------------------


def summary(root: Root, source: str, rules: Rules) -> t.Optional[Summary]:
    """What a copy would be; nothing when there is nothing. A link at the path is not followed."""
    found = root.find(source, follow=False)
    if found is None:
        return None

    def work(stop: Stop) -> Summary:
        sieve = Sieve(_walk(found, root, source, rules, stop), rules)
        return dataclasses.replace(_summed(sieve, stop), taken=sieve.taken)

    return finished(work, root.shown(source), rules, found)


def present(destination: str, rules: Rules) -> t.Optional[Summary]:
    """What lies on the host where a copy would be; nothing when there is nothing."""
    try:
        found = os.open(destination, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None

    def work(stop: Stop) -> Summary:
        return _summed(Walk(found, destination, limits=rules.limits, check=stop.check), stop)

    return finished(work, printable(destination), rules, found)


def finished(work: t.Callable[[Stop], T], shown: str, rules: Rules, *held: int) -> T:
    """Do it within the deadline, and close what it needs, also when it ends late."""

    def whole(stop: Stop) -> T:
        try:
            return work(stop)
        except OSError as error:
            name = f" ({printable(error.filename)})" if isinstance(error.filename, str) else ""
            raise Failure(f"{shown} cannot be copied: {error.strerror}{name}") from error
        finally:
            for descriptor in held:
                os.close(descriptor)

    return patiently(whole, rules.deadline, shown, grace=GRACE)


def _walk(found: int, root: Root, source: str, rules: Rules, stop: Stop) -> Walk:
    shown = f"{root.name}:/{source.strip('/')}"
    return Walk(found, shown, limits=rules.limits, check=stop.check)


def _summed(entries: t.Iterable[Entry], stop: Stop) -> Summary:
    """One number for all of a tree, in the order of a walk."""
    steps = iter(entries)
    top = next(steps)
    if top.kind is Kind.FILE:
        return Summary(top.kind, top.mode, digest(top, stop))
    sum_ = hashlib.sha256()
    for entry in steps:
        # No name and no target has a null character in it.
        words = [entry.kind.value, entry.name, entry.target]
        words.append("" if entry.kind is Kind.LINK else f"{entry.mode:o}")
        words.append(digest(entry, stop) if entry.kind is Kind.FILE else "")
        sum_.update("\0".join([*words, ""]).encode("utf-8", "surrogateescape"))
    return Summary(top.kind, top.mode, sum_.hexdigest() if top.kind is Kind.DIRECTORY else "")


def digest(entry: Entry, stop: Stop) -> str:
    sum_ = hashlib.sha256()
    position = 0
    for offset, chunk in _contents(entry, stop):
        _hash_hole(sum_, offset - position, stop)
        sum_.update(chunk)
        position = offset + len(chunk)
    _hash_hole(sum_, entry.size - position, stop)
    return sum_.hexdigest()


def _hash_hole(sum_: t.Any, size: int, stop: Stop) -> None:
    while size > 0:
        stop.check()
        sum_.update(_ZEROS[:size])
        size -= _CHUNK


# --- what may come along --------------------------------------------------------------------


class Sieve:
    """A walk without what does not come along, with the modes that may arrive."""

    def __init__(self, walk: Walk, rules: Rules) -> None:
        self._walk = walk
        self._rules = rules
        self._left_out = 0
        self._told: list[str] = []

    @property
    def taken(self) -> Taken:
        return Taken(self._left_out, tuple(self._told))

    def __iter__(self) -> t.Iterator[Entry]:
        for number, entry in enumerate(self._walk):
            reason = self._objection(entry) if number else ""
            if reason:
                self._leave_out(entry, reason)
            else:
                mode = entry.mode & MASK if number else self._mode(entry)
                yield dataclasses.replace(entry, mode=mode)

    def _mode(self, top: Entry) -> int:
        wanted = self._rules.mode if top.kind is Kind.FILE else None
        return (top.mode if wanted is None else wanted) & MASK

    def _objection(self, entry: Entry) -> str:
        if entry.kind is Kind.MOUNT:
            return "a place where something else is mounted"
        if entry.kind is Kind.OTHER:
            return descriptors.kind(os.fstat(entry.descriptor).st_mode)
        if entry.kind is not Kind.LINK:
            return ""
        if not self._rules.links:
            return "a symbolic link"
        if not stays_inside(entry.target, self._walk.depth - 1):
            return f"a symbolic link that leads elsewhere, to {printable(entry.target)}"
        return ""

    def _leave_out(self, entry: Entry, reason: str) -> None:
        self._left_out += 1
        if len(self._told) < TOLD:
            self._told.append(f"{self._walk.shown(entry)}: {reason}")


def stays_inside(target: str, depth: int) -> bool:
    """Whether a link in so many directories of a tree cannot lead out of it.

    Up only at its beginning, where it is known what is above: after a name it would be above
    wherever that name, which may be a link as well, leads.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    return bool(target) and not target.startswith("/") and up <= depth and ".." not in parts[up:]


# --- contents -------------------------------------------------------------------------------


def _contents(entry: Entry, stop: Stop) -> t.Iterator[tuple[int, bytes]]:
    """What is in a file as long as it was when it was found, without its holes."""
    source = descriptors.reopen(entry.descriptor, os.O_RDONLY)
    try:
        for begin, end in _extents(source, entry.size):
            while begin < end:
                stop.check()
                chunk = os.pread(source, min(_CHUNK, end - begin), begin)
                if not chunk:
                    break
                yield begin, chunk
                begin += len(chunk)
        if os.fstat(source).st_size < entry.size:
            raise Failure(
                f"{printable(entry.name) or 'the file'} became shorter while it was read. Run it"
                " again"
            )
    finally:
        os.close(source)


def _extents(source: int, size: int) -> t.Iterator[tuple[int, int]]:
    """Where there is data."""
    position = 0
    while position < size:
        try:
            begin = os.lseek(source, position, os.SEEK_DATA)
            end = os.lseek(source, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole is left
            if error.errno != errno.EINVAL:
                raise
            begin, end = position, size  # not known there
        if not position <= begin < end:
            raise descriptors.failed(errno.EIO, "")
        if begin < size:
            yield begin, min(end, size)
        position = end


def fill(descriptor: int, entry: Entry, stop: Stop) -> None:
    for offset, chunk in _contents(entry, stop):
        view = memoryview(chunk)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
    os.ftruncate(descriptor, entry.size)
    os.utime(descriptor, ns=(entry.changed, entry.changed))


# --- copying --------------------------------------------------------------------------------


def copy(
    root: Root, source: str, destination: str, rules: Rules, *, replace: bool = False
) -> Taken:
    """Copy a file or a tree to a path of the host, where it appears whole or not at all.

    With O(replace) a file may replace a file; nothing else is ever replaced.
    """
    parent, name = trees.checked(destination)
    found = root.find(source, follow=False)
    if found is None:
        raise Failure(f"{root.shown(source)} does not exist; expected a file or a directory")
    try:
        directory = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        os.close(found)
        raise Failure(f"{printable(destination)} cannot be made: {error.strerror}") from None

    def work(stop: Stop) -> Taken:
        sieve = Sieve(_walk(found, root, source, rules, stop), rules)
        place = _Place(directory, name, destination, rules, replace, stop)
        steps = iter(sieve)
        top = next(steps)
        if top.kind is Kind.FILE:
            place.put_file(top)
        elif top.kind is Kind.DIRECTORY:
            place.put_tree(top, steps)
        else:
            kind = descriptors.kind(os.fstat(found).st_mode)
            raise Failure(f"{root.shown(source)} is {kind}; expected a file or a directory")
        return sieve.taken

    return finished(work, root.shown(source), rules, found, directory)


class _Place:
    """A name in a directory of the host, for what is copied."""

    def __init__(
        self,
        directory: int,
        name: str,
        shown: str,
        rules: Rules,
        replace: bool,
        stop: Stop,
    ) -> None:
        self._directory = directory
        self._name = name
        self._shown = shown
        self._rules = rules
        self._replace = replace
        self._stop = stop

    def put_file(self, top: Entry) -> None:
        self._expect(stat.S_IFREG if self._replace else None)
        with files.replacing_at(
            self._directory,
            self._name,
            mode=top.mode,
            owner=self._rules.owner,
            durable=False,
            replace=self._replace,
        ) as descriptor:
            fill(descriptor, top, self._stop)

    def put_tree(self, top: Entry, steps: t.Iterator[Entry]) -> None:
        self._expect(None)
        self._sweep()
        temporary, descriptor = files.temporary_directory(self._directory, self._name)
        try:
            with Descent(descriptor, self._shown, mounts=False) as place:
                self._fill_tree(place, top, steps)
            self._expect(None)
            os.rename(_INNER, self._name, src_dir_fd=descriptor, dst_dir_fd=self._directory)
        finally:
            try:
                trees.remove_at(self._directory, temporary, os.path.dirname(self._shown))
            finally:
                os.close(descriptor)

    def _expect(self, kind: t.Optional[int]) -> None:
        """That nothing is there, or something of a kind."""
        try:
            status = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_IFMT(status.st_mode) != kind:
            raise Failure(
                f"{printable(self._shown)} is {descriptors.kind(status.st_mode)} already; only a"
                " file is replaced, by a file. Remove it first"
            )

    def _sweep(self) -> None:
        """Remove what killed runs left beside it."""
        for name, descriptor in files.abandoned_directories(self._directory, self._name):
            try:
                with contextlib.suppress(Failure):
                    trees.remove_at(self._directory, name, os.path.dirname(self._shown))
            finally:
                os.close(descriptor)

    def _fill_tree(self, place: Descent, top: Entry, steps: t.Iterator[Entry]) -> None:
        above = [self._enter(place, top, _INNER)]
        for entry in steps:
            if entry.kind is Kind.END:
                self._leave(place, above.pop())
            elif entry.kind is Kind.DIRECTORY:
                above.append(self._enter(place, entry, entry.name))
            elif entry.kind is Kind.LINK:
                os.symlink(entry.target, entry.name, dir_fd=place.here)
                self._own(entry.name, place.here)
            else:
                self._file(place.here, entry)

    def _file(self, directory: int, entry: Entry) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(entry.name, flags, 0o600, dir_fd=directory)
        try:
            fill(descriptor, entry, self._stop)
            if self._rules.owner is not None:
                os.fchown(descriptor, *self._rules.owner)
            os.fchmod(descriptor, entry.mode)
        finally:
            os.close(descriptor)

    @staticmethod
    def _enter(place: Descent, entry: Entry, name: str) -> Entry:
        os.mkdir(name, 0o700, dir_fd=place.here)
        place.enter(name)
        return entry

    def _leave(self, place: Descent, entry: Entry) -> None:
        """What a directory is to be at last: it may be one in which nothing can be made."""
        done = os.dup(place.here)
        try:
            place.leave()
            if self._rules.owner is not None:
                os.fchown(done, *self._rules.owner)
            os.fchmod(done, entry.mode)
            os.utime(done, ns=(entry.changed, entry.changed))
        finally:
            os.close(done)

    def _own(self, name: str, directory: int) -> None:
        if self._rules.owner is not None:
            uid, gid = self._rules.owner
            os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
