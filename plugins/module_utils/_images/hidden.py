# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a clone is called until it gets its name, and where one is out of sight.

Private to the collection.
"""

from __future__ import annotations

import os
import re

from .._settings import nspawn_file
from .._systemd import machined

# machined refuses names that begin with .# as those in the staging places do.
PREFIX = ".nspawn-machined-new."
# Without it a raw clone for "a" would be called as a directory for the machine "a.raw".
ENDING = ".new"
_HIDDEN = f"{re.escape(PREFIX)}(?P<name>.+){re.escape(ENDING)}"
_LEFT = re.compile(_HIDDEN + r"(\.raw|\.nspawn)?", re.DOTALL)


def name_of(name: str) -> str:
    """What the clone for an image is called that is out of sight."""
    return f"{PREFIX}{name}{ENDING}"


def left() -> frozenset[str]:
    """For which images there is one out of sight, or was one being made."""
    found = (_LEFT.fullmatch(entry) for where in settings_directories() for entry in _in(where))
    return frozenset(one["name"] for one in found if one)


def _in(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def is_left(name: str) -> bool:
    """Whether there is a clone out of sight, or the settings of one."""
    files = (settings_in(directory, name) for directory in settings_directories())
    return bool(trees(name)) or any(map(os.path.lexists, files))


def trees(name: str) -> list[str]:
    """Where it lies: a directory, a raw image, or nowhere."""
    path = os.path.join(machined.MACHINES_DIRECTORY, name_of(name))
    return [one for one in (path, f"{path}.raw") if os.path.lexists(one)]


def settings_in(directory: str, name: str) -> str:
    """Where its settings lie in one of the directories that have some."""
    return os.path.join(directory, f"{name_of(name)}.nspawn")


def settings_directories() -> tuple[str, ...]:
    """Where machined finds settings of an image; the last one has the images as well."""
    return nspawn_file.DIRECTORY, nspawn_file.RUNTIME_DIRECTORY, machined.MACHINES_DIRECTORY
