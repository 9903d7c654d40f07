# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The place of a build, and what came out of it: made and moved by who builds, taken over by root.

Private to the collection.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import typing as t

from .._core import descriptors, run
from .._core.plan import Failure
from .._core.printable import printable
from . import ground
from .builder import Builder

SYNC_TIMEOUT = 3600

# --- by who builds --------------------------------------------------------------------------


def prepare(stage: str, directory: str, workspaces: t.Optional[str]) -> tuple[str, str]:
    """Make an empty stage; return the places of the output and of mkosi's workspace.

    Newer ones refuse a workspace inside of their directory. O(workspaces) is how the name of
    another begins.
    """
    os.makedirs(os.path.dirname(stage), mode=0o711, exist_ok=True)
    os.mkdir(stage, 0o700)
    output = os.path.join(stage, "output")
    os.mkdir(output, 0o755)
    inside = f"{os.path.realpath(stage)}/".startswith(f"{os.path.realpath(directory)}/")
    if inside and workspaces:
        above, prefix = os.path.split(workspaces)
        return output, tempfile.mkdtemp(prefix=prefix, dir=above)
    workspace = os.path.join(stage, "workspace")
    os.mkdir(workspace, 0o700)
    return output, workspace


def products(place: str) -> list[str]:
    """The output, without the links that mkosi puts beside it."""
    return [path for path in _all(place, place) if not os.path.islink(path)]


def _all(place: str, shown: str) -> list[str]:
    names = sorted(name for name in os.listdir(place) if not name.startswith("."))
    return [os.path.join(shown, name) for name in names]


def promote(place: str, destination: str) -> list[str]:
    """Move the output where it belongs. Each file is replaced at once."""
    os.makedirs(destination, exist_ok=True)
    moved = _all(place, destination)
    for target in moved:
        name = os.path.basename(target)
        if os.path.isdir(target) and not os.path.islink(target):
            os.rename(target, os.path.join(place, f".old-{name}"))
        os.rename(os.path.join(place, name), target)
    # The record says next that this was built, and then nobody looks into it again.
    run.run(["sync", "--file-system", "--", destination], timeout=SYNC_TIMEOUT)
    return [path for path in moved if not os.path.islink(path)]


# --- by root --------------------------------------------------------------------------------


@contextlib.contextmanager
def taken_over(path: str, builder: Builder) -> t.Iterator[tuple[str, t.Optional[int]]]:
    """A path that stands for an output and for nothing else, and its size if it is a file.

    What a user built is opened where it lies, and looked at when it is open: the user may put
    something else there at any moment, but not into our hands.
    """
    if builder.is_root:
        yield path, None if os.path.isdir(path) else os.path.getsize(path)
        return
    opened = _opened(path, builder)
    try:
        # For the programs that we start as well.
        yield f"/proc/{os.getpid()}/fd/{opened}", os.fstat(opened).st_size
    finally:
        os.close(opened)


def _opened(path: str, builder: Builder) -> int:
    uid, name = builder.account.uid, builder.account.name
    with ground.opened(os.path.dirname(path), uid) as root:
        found = root.find(os.path.basename(path), follow=False)
        if found is None:
            raise Failure(f"{printable(path)}: expected what {name} has built, found nothing")
        try:
            status = os.fstat(found)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != uid:
                raise Failure(
                    f"{printable(path)}: expected a regular file of {name}, who has built it,"
                    f" found {descriptors.kind(status.st_mode)} of user {status.st_uid}. It was"
                    " not imported"
                )
            return descriptors.reopen(found, os.O_RDONLY)
        finally:
            os.close(found)
