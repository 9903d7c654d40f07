# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A mkosi directory as it would be, without touching it: for mkosi to read.

Private to the collection. To be called by who builds, and where one build of a directory at a
time is at work: what a killed run left goes with the next.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import typing as t

from .._core import files as core_files
from .._core import memory
from . import clearing
from .files import Layout

SUBJECT = "mkosi"
TEMPORARY = "/var/tmp"
"""Where a user has room. Root has a place that nobody else can enter."""

# mkosi's own output, caches and workspaces do not decide what it makes.
PRODUCTS = re.compile(r"mkosi\.(output|cache|pkgcache|builddir|workspace|tools|private)\b.*")


# --- rooms ----------------------------------------------------------------------------------


def make_room(name: str) -> str:
    """An empty directory, in which nobody else can do anything."""
    prefix = _prefix(name)
    for path in clearing.mine(prefix):
        clearing.remove(path)
    memory.ensure(os.path.dirname(prefix))
    return tempfile.mkdtemp(prefix=os.path.basename(prefix), dir=os.path.dirname(prefix))


def remove_room(place: str) -> None:
    clearing.remove(place)
    if place.startswith(f"{memory.RUNTIME}/"):
        for directory in (memory.runtime(SUBJECT), memory.RUNTIME):
            core_files.remove_empty_directory(directory)


def _prefix(name: str) -> str:
    if os.geteuid() == 0:
        return os.path.join(memory.runtime(SUBJECT), f"view-{name}-")
    return os.path.join(TEMPORARY, f"nspawn-machined-view-{name}-")


@contextlib.contextmanager
def room(name: str) -> t.Iterator[str]:
    """An empty directory for a moment."""
    place = make_room(name)
    try:
        yield place
    finally:
        remove_room(place)


# --- what stands in it ----------------------------------------------------------------------


def make(name: str, directory: str, wanted: Layout, unwanted: t.Collection[str]) -> str:
    """A directory that looks as this one will.

    What is wanted stands in it as files, all else as links to what is there.
    """
    place = make_room(name)
    try:
        _populate(place, directory, wanted, frozenset(unwanted))
    except BaseException:
        remove_room(place)
        raise
    return place


def _populate(
    place: str, real: str, wanted: Layout, unwanted: t.AbstractSet[str], inside: str = ""
) -> None:
    here = {path.split("/", 1)[0] for path in wanted}
    try:
        names = set(os.listdir(real))
    except (FileNotFoundError, NotADirectoryError):
        names = set()
    below = {path.split("/", 1)[0] for path in unwanted if "/" in path}
    for name in sorted(names | here):
        target = os.path.join(place, name)
        parts = {p.split("/", 1)[1]: f for p, f in wanted.items() if p.startswith(f"{name}/")}
        gone = {p.split("/", 1)[1] for p in unwanted if p.startswith(f"{name}/")}
        if name in wanted:
            _write(target, wanted[name].text, wanted[name].mode)
        elif parts or name in below:
            os.mkdir(target)
            _populate(target, os.path.join(real, name), parts, gone, f"{inside}{name}/")
            if not os.listdir(target):
                os.rmdir(target)
        elif name in unwanted:
            continue
        elif not inside and PRODUCTS.fullmatch(name):
            # mkosi 14 makes directories in its caches when it is only asked what it would do.
            if os.path.isdir(os.path.join(real, name)):
                os.mkdir(target)
        else:
            os.symlink(os.path.join(real, name), target)


def _write(path: str, text: str, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))
    os.chmod(path, mode)
