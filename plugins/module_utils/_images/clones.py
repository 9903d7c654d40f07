# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Clones are made by machined out of sight, and get their name at once. Private to the collection.

machined copies a directory straight to the name that it is told, and goes on with that when its
caller is dead. So it is told a name which no machine can have: what lies there is ours and not in
use, and what lies under an image's own name is whole, also when machined itself was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
import typing as t

from .._core import files, masks, trees
from .._core.plan import Failure
from .._systemd import machined
from . import hidden, keepers, staging

TIMEOUT = 600
NAME_LOCKS = "/run/systemd/nspawn/locks/name-"
# What machined copies beside the image, where it finds it.
_BESIDE = (".nspawn", ".roothash")


@contextlib.contextmanager
def made(parent: str, name: str, keep: t.Sequence[int], *, sweep_first: bool) -> t.Iterator[str]:
    """A clone out of sight, taken away again unless it was published; gives its path.

    busctl inherits the locks, O(keep): when the module is killed, the next run waits for
    machined's answer.
    """
    if sweep_first or hidden.is_left(name):
        sweep(name)
    try:
        bring_settings(parent, name)
        keepers.call(
            "CloneImage", "ssb", parent, hidden.name_of(name), "no", timeout=TIMEOUT, keep=keep
        )
        (path,) = hidden.trees(name)
        yield path
    finally:
        if hidden.is_left(name):
            sweep(name)


def bring_settings(parent: str, name: str) -> None:
    """Let nobody read the settings of a clone who may not read those of its parent, or secrets.

    machined leaves those that are there as they are. It would make them for everybody to read.
    """
    for directory in hidden.settings_directories():
        given = f"{directory}/{parent}.nspawn"
        text = files.read(given)
        if text is not None:
            mode = masks.mode_of(text, files.mode_of(given, 0o600) & 0o644)
            files.write(hidden.settings_in(directory, name), text, mode=mode)


def publish(path: str, name: str) -> None:
    """Give a clone its name, and its settings too where there are none yet."""
    directory, raw = machined.image_path(name), machined.image_path(name, "raw")
    # Each by its type: the directory "a.raw" is the machine of that name, not "a".
    for taken, there in ((directory, os.path.isdir(directory)), (raw, os.path.isfile(raw))):
        if there:
            raise _appeared(taken)
    # Before the image: a run that is killed in between leaves nothing that could be started.
    brought = [new for old, new in _auxiliaries(name) if _take_along(old, new)]
    ending = os.path.basename(path)[len(hidden.name_of(name)) :]
    final = os.path.join(os.path.dirname(path), name + ending)
    try:
        staging.rename_new(path, final)
    except FileExistsError:
        for one in brought:
            os.unlink(one)
        raise _appeared(final) from None


def _appeared(path: str) -> Failure:
    return Failure(f"{path} has appeared meanwhile; nothing of it was changed")


def _take_along(old: str, new: str) -> bool:
    """Whether there was such a file for the clone, and none for its name."""
    try:
        staging.rename_new(old, new)
    except FileNotFoundError:
        return False
    except FileExistsError:
        os.unlink(old)
        return False
    return True


def _auxiliaries(name: str) -> t.Iterator[tuple[str, str]]:
    """The files beside a clone, as they are called now and once it is published."""
    for directory in hidden.settings_directories():
        for ending in _BESIDE if directory == machined.MACHINES_DIRECTORY else (".nspawn",):
            yield f"{directory}/{hidden.name_of(name)}{ending}", f"{directory}/{name}{ending}"


# --- what is left of one that was cut off ---------------------------------------------------


def sweep(name: str) -> None:
    """Remove a clone that nobody will publish, once machined has ended it. Needs its lock."""
    await_end(name)
    for path in hidden.trees(name):
        trees.remove(path)
    for old, _new in _auxiliaries(name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)
    # A raw image's temporary file: machined was killed.
    unfinished = re.compile(r"\.#" + re.escape(hidden.name_of(name)) + r"\.raw[0-9a-f]{16}")
    for entry in os.listdir(machined.MACHINES_DIRECTORY):
        if unfinished.fullmatch(entry):
            trees.remove(os.path.join(machined.MACHINES_DIRECTORY, entry))


def await_end(name: str) -> None:
    """Wait until machined has ended a clone that a killed run had asked for."""
    end = time.monotonic() + TIMEOUT
    while _is_being_made(hidden.name_of(name)):
        if time.monotonic() > end:
            raise Failure(
                f"image {name}: machined has been cloning an image for it for {TIMEOUT:g} s. "
                "Wait for it to end, or restart systemd-machined"
            )
        time.sleep(0.1)


def _is_being_made(name: str) -> bool:
    """machined holds a lock of the name for as long as it copies."""
    try:
        descriptor = os.open(f"{NAME_LOCKS}{name}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
