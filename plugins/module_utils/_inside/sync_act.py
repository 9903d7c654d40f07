# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How a directory becomes as another one is, in a machine or on the host.

Private to the collection. In a machine its own programs write and remove, as its root (see
C(into)). On the host nothing arrives but contents (see C(takeout)), and each directory is entered
by descriptor.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._core import files, takeout, trees
from .._core.descent import Descent
from .._core.patience import Stop
from .._core.plan import Failure, Step, Verbs
from .._core.printable import printable
from .._core.run import Result
from .._core.walk import Entry, Kind
from . import commands, into
from . import leader as leaders
from .sync import Changes, Wanted
from .sync_seen import usable, walk_of

_ANSWER = 4096
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# --- in a machine ---------------------------------------------------------------------------

# What shall not be where a link has been put meanwhile shall not be elsewhere either.
_ENTER = r"""
umask 022
[ ! -L "$1" ] || { echo "it is a link now" >&2; exit 1; }
"""
_REMOVE = _ENTER + 'cd -- "$1" && xargs -0 rm -rf --'
_FILL = _ENTER + '[ -d "$1" ] || mkdir -- "$1" || exit; tar -xpf - -C "$1"'


def _said(wanted: Wanted, result: Result) -> None:
    if result.rc != 0:
        said = printable(result.stderr.strip()[:1000], lines=True)
        raise Failure(
            f"{printable(wanted.place)} is not all as it shall be: {said or result.rc}. Mend that,"
            " and run it again"
        )


def _remove_inside(wanted: Wanted, changes: Changes) -> None:
    names = b"".join(b"./%s\0" % os.fsencode(path) for path in changes.removed)
    argv = ("sh", "-c", _REMOVE, "sh", wanted.destination)
    command = commands.Command(argv, stdin=names, timeout=wanted.timeout, limit=_ANSWER)
    _said(wanted, commands.run(wanted.machine, command))


def _fill_inside(wanted: Wanted, changes: Changes, owner: tuple[int, int]) -> None:
    stop = Stop()
    with into.opened(wanted.source) as found:

        def write(pipe: t.IO[bytes]) -> None:
            walk = walk_of(found, printable(wanted.source), wanted, stop)
            with into.archive_into(pipe) as archive:
                for path, entry in usable(walk):
                    if path in changes.sent:
                        into.add(archive, f"./{path}" if path else ".", entry, owner)

        feed = into.Feed(write)
        argv = ("sh", "-c", _FILL, "sh", wanted.destination)
        command = commands.Command(argv, timeout=wanted.timeout, limit=_ANSWER)
        try:
            result = commands.run(wanted.machine, command, stream=feed.open)
        finally:
            feed.close()
            stop.set()
    if feed.error is not None:
        raise feed.error
    _said(wanted, result)
    if not feed.complete:
        raise Failure(f"{printable(wanted.place)}: its tar has not read all. Run it again")


# --- on the host ----------------------------------------------------------------------------


def _remove_here(wanted: Wanted, changes: Changes) -> None:
    def work(stop: Stop) -> None:
        with Descent(top, wanted.destination, mounts=False) as place:
            for path in changes.removed:
                stop.check()
                *above, name = path.split("/")
                for part in above:
                    place.enter(part)
                trees.remove_at(place.here, name, place.shown())
                for _part in above:
                    place.leave()

    top = os.open(wanted.destination, _FLAGS)
    takeout.finished(work, printable(wanted.destination), wanted.rules, top)


def _fill_here(wanted: Wanted, changes: Changes, owner: tuple[int, int]) -> None:
    with leaders.root(wanted.machine, deadline=wanted.timeout) as root:
        found = root.find(wanted.source, follow=False)
        if found is None:
            raise Failure(f"{root.shown(wanted.source)} is gone. Run it again")
        try:
            top = _top(wanted.destination)
        except OSError as error:
            os.close(found)
            raise Failure(
                f"{printable(wanted.destination)} cannot be made: {error.strerror}"
            ) from None

        def work(stop: Stop) -> None:
            walk = walk_of(found, wanted.origin, wanted, stop)
            sieve = takeout.Sieve(walk, wanted.rules)
            with Descent(top, wanted.destination, mounts=False) as place:
                filling = _Filling(place, changes, owner, stop)
                for entry in sieve:
                    filling.take(walk.way(entry), entry)

        takeout.finished(work, printable(wanted.origin), wanted.rules, found, top)


def _top(path: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    return os.open(path, _FLAGS)


class _Filling:
    """Takes what comes out of a machine, thing by thing, into the directory for it."""

    def __init__(
        self, place: Descent, changes: Changes, owner: tuple[int, int], stop: Stop
    ) -> None:
        self._place = place
        self._sent = changes.sent
        self._new = frozenset(changes.copied)
        self._owner = owner
        self._stop = stop
        self._above: list[tuple[str, Entry]] = []

    def take(self, path: str, entry: Entry) -> None:
        if entry.kind is Kind.END:
            self._leave()
        elif entry.kind is Kind.DIRECTORY:
            self._enter(path, entry)
        elif not self._above:
            raise Failure("the source is no directory any more. Run it again")
        elif path in self._sent and entry.kind is Kind.LINK:
            self._link(entry)
        elif path in self._new:
            self._make_file(entry)
        elif path in self._sent:
            with files.replacing_at(
                self._place.here,
                entry.name,
                mode=entry.mode,
                owner=self._owner,
                durable=False,
                inherit=False,
            ) as descriptor:
                takeout.fill(descriptor, entry, self._stop)

    def _make_file(self, entry: Entry) -> None:
        """What has no time of the source yet is not all of it, as the next look says."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(entry.name, flags, 0o600, dir_fd=self._place.here)
        try:
            takeout.fill(descriptor, entry, self._stop)
            os.fchown(descriptor, *self._owner)
            os.fchmod(descriptor, entry.mode)
        finally:
            os.close(descriptor)

    def _enter(self, path: str, entry: Entry) -> None:
        if self._above:
            if path in self._sent:
                self._make(entry.name)
            self._place.enter(entry.name)
        self._above.append((path, entry))

    def _make(self, name: str) -> None:
        # When it is something else than a directory, it is not entered.
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self._place.here)

    def _leave(self) -> None:
        """What a directory is to be at last: it may be one in which nothing can be made."""
        path, entry = self._above.pop()
        done = os.dup(self._place.here)
        try:
            if self._above:
                self._place.leave()
            if path in self._sent:
                os.fchown(done, *self._owner)
                os.fchmod(done, entry.mode)
        finally:
            os.close(done)

    def _link(self, entry: Entry) -> None:
        here = self._place.here
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry.name, dir_fd=here)
        os.symlink(entry.target, entry.name, dir_fd=here)
        os.chown(entry.name, *self._owner, dir_fd=here, follow_symlinks=False)


# --- act ------------------------------------------------------------------------------------


def _remove(step: Step) -> None:
    wanted: Wanted = step.arguments["wanted"]
    act = _remove_inside if wanted.to_machine else _remove_here
    act(wanted, step.arguments["changes"])


def _sync(step: Step) -> None:
    wanted: Wanted = step.arguments["wanted"]
    act = _fill_inside if wanted.to_machine else _fill_here
    act(wanted, step.arguments["changes"], step.arguments["owner"])


VERBS: Verbs = {"remove from": _remove, "sync": _sync}
