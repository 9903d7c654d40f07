# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the collection remembers what it made on a host, for root alone.

Private to the collection. There are two places: one that outlasts a boot, and one that does not.
Each subject has a directory of its own; what is empty is removed, so that nothing is left of a
host's time with this collection. Whatever comes first to a fresh host makes them, here and
nowhere else.
"""

from __future__ import annotations

import os
import stat
import typing as t

from . import descriptors, files
from .plan import Failure
from .printable import printable

DIRECTORY = "/var/lib/nspawn.machined"
RUNTIME = "/run/nspawn.machined"

# What is below is closed to others. In the one of this boot one thing is for them as well, and
# nothing else shows: how far something has come.
_RUNTIME_MODE = 0o711
_MODE = 0o700
_OTHERS_WRITE = 0o022


def of(subject: str) -> str:
    """The directory of one subject."""
    return os.path.join(DIRECTORY, subject)


def runtime(subject: str) -> str:
    """The directory of one subject for what the next boot makes void."""
    return os.path.join(RUNTIME, subject)


def write(path: str, text: str, *, durable: bool = True) -> None:
    """Remember something; not O(durable): fifty clones do not wait for the disk fifty times."""
    directory = os.path.dirname(path)
    for attempts_left in reversed(range(100)):
        try:
            ensure(directory)
            files.write(path, text, mode=0o600, directory_mode=_MODE, durable=durable)
            return
        except FileNotFoundError:
            # Another thread has just forgotten the last thing that was there.
            if not attempts_left:
                raise


def forget(path: str) -> None:
    """Forget it, and its subject when it was the last one."""
    files.remove(path)
    subject = os.path.dirname(path)
    for directory in (subject, os.path.dirname(subject)):
        files.remove_empty_directory(directory)


# --- the places -----------------------------------------------------------------------------


def ensure(directory: str) -> None:
    """Make one of our directories and what is above it, or see that they are as they must be.

    Elsewhere nothing is made or looked at.
    """
    for base in (DIRECTORY, RUNTIME):
        if directory == base or directory.startswith(f"{base}/"):
            private(base, _RUNTIME_MODE if base == RUNTIME else _MODE)
            below = base
            for part in filter(None, directory[len(base) :].split("/")):
                below = os.path.join(below, part)
                private(below)


def inspect() -> None:
    """See that nobody else has made our places, or can put there what we would believe."""
    for base in (DIRECTORY, RUNTIME):
        try:
            status = os.lstat(base)
        except FileNotFoundError:
            continue
        # Who is not root uses none of them.
        _refuse(base, _objection(status, {0, os.geteuid()}))


def private(path: str, mode: int = _MODE) -> None:
    """A directory that its owner alone can write to, who is who we are.

    It gets O(mode); an error when somebody else made it, or may have put something there.
    """
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        pass
    else:
        files.sync_directory(os.path.dirname(path))
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        _refuse(path, _objection(status, {os.geteuid()}))
        if stat.S_IMODE(status.st_mode) != mode:
            # Of an earlier version, or made with an umask.
            os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


def _refuse(path: str, found: t.Optional[str]) -> None:
    if found:
        raise Failure(
            f"{printable(path)} is {found}; expected a directory of user {os.geteuid()} that"
            " nobody else can write to. Find out who made it, and remove it"
        )


def _objection(status: os.stat_result, owners: t.Container[int]) -> t.Optional[str]:
    if not stat.S_ISDIR(status.st_mode):
        return descriptors.kind(status.st_mode)
    if status.st_uid not in owners:
        return f"a directory of user {status.st_uid}"
    if status.st_mode & _OTHERS_WRITE:
        return f"a directory with the mode {stat.S_IMODE(status.st_mode):04o}"
    return None
