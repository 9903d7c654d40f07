# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Where the collection remembers what it made on a host, for root alone.

Private to the collection. Each subject has a directory of its own; what is empty is removed, so
that nothing is left of a host's time with this collection.
"""

from __future__ import annotations

import os

from . import files

DIRECTORY = "/var/lib/nspawn.machined"


def of(subject: str) -> str:
    """The directory of one subject."""
    return os.path.join(DIRECTORY, subject)


def write(path: str, text: str, *, durable: bool = True) -> None:
    """Remember something; not O(durable): fifty clones do not wait for the disk fifty times."""
    files.write(path, text, mode=0o600, directory_mode=0o700, durable=durable)


def forget(path: str) -> None:
    """Forget it, and its subject when it was the last one."""
    files.remove(path)
    subject = os.path.dirname(path)
    for directory in (subject, os.path.dirname(subject)):
        files.remove_empty_directory(directory)
