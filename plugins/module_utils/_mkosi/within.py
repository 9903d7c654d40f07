# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What can be seen of a mkosi directory, and what is changed there, file by file.

Private to the collection. To be called by who builds. Whoever can write there may have put links
where directories were, and things that are no files: they are named, and nothing is done.
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import typing as t

from .._core import beneath, beneath_write, descriptors, files
from .._core.plan import Failure
from .._core.printable import printable
from . import ground

TEXT_LIMIT = 1 << 20
SOURCE_LIMIT = 8 << 20


# --- looking --------------------------------------------------------------------------------


def text_of(path: str, limit: int = TEXT_LIMIT) -> t.Optional[str]:
    """The text of a configuration, wherever it lies."""
    top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    with beneath.Root(top, "this host") as everything:
        return everything.read_text(path, limit=limit)


def source_of(path: str) -> t.Optional[str]:
    """The text of a file of the host that is to go into a directory or an image."""
    return text_of(path, SOURCE_LIMIT)


def there(paths: t.Iterable[str]) -> list[str]:
    return [path for path in paths if os.path.lexists(path)]


def is_directory(path: str) -> bool:
    return os.path.isdir(path)


def found_by(patterns: t.Iterable[str]) -> list[str]:
    return [path for pattern in patterns for path in glob.glob(pattern)]


def present(directory: str, uid: int, sizes: t.Mapping[str, int]) -> dict[str, list[t.Any]]:
    """Text, mode and owner of those of our files that are there.

    O(sizes) are their paths, and how long they will be.
    """
    found: dict[str, list[t.Any]] = {}
    if not os.path.lexists(directory):
        return found
    with ground.opened(directory, uid) as root:
        for path, size in sizes.items():
            status = root.stat(path, follow=False)
            if status is None:
                continue
            if not stat.S_ISREG(status.st_mode):
                raise Failure(
                    f"{printable(os.path.join(directory, path))}: expected a regular file or"
                    f" nothing, found {descriptors.kind(status.st_mode)}. Nothing was done;"
                    " remove it"
                )
            text = _text(root, path, status.st_size, max(size, TEXT_LIMIT))
            found[path] = [text, stat.S_IMODE(status.st_mode), status.st_uid]
    return found


def _text(root: beneath.Root, path: str, size: int, limit: int) -> str:
    if size > limit:
        # Not what we wrote.
        return f"(a file of {size} bytes)\n"
    return root.read_text(path, limit=limit) or ""


# --- changing -------------------------------------------------------------------------------


def write(directory: str, uid: int, path: str, text: str, mode: int) -> None:
    """Put a file in place at once."""
    with ground.opened(directory, uid) as root:
        _make_directories(root, os.path.dirname(path))
        beneath_write.write(root, path, text, mode=mode)


def _make_directories(root: beneath.Root, path: str) -> None:
    parts = path.split("/") if path else []
    for count in range(1, len(parts) + 1):
        here = "/".join(parts[:count])
        status = root.stat(here, follow=False)
        if status is None:
            above, name = root.parent(here)
            try:
                # Another file may be on its way there at the same time.
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=above)
                    # Whatever the umask is: the image has its directories with these modes.
                    os.chmod(name, 0o755, dir_fd=above)
            finally:
                os.close(above)
        elif not stat.S_ISDIR(status.st_mode):
            raise Failure(
                f"{root.shown(here)} is {descriptors.kind(status.st_mode)}; expected a directory or"
                " nothing. Remove it"
            )


def remove(directory: str, uid: int, path: str) -> None:
    """Remove a file, and those directories of mkosi above it that it leaves empty."""
    if not os.path.lexists(directory):
        return
    with ground.opened(directory, uid) as root:
        beneath_write.remove(root, path)
        above = os.path.dirname(path)
        while above:
            if not _is_removed(root, above):
                break
            above = os.path.dirname(above)


def _is_removed(root: beneath.Root, path: str) -> bool:
    """Remove a directory if nothing is in it; whether it is gone."""
    if not root.exists(path, follow=False):
        return True
    above, name = root.parent(path)
    try:
        os.rmdir(name, dir_fd=above)
    except OSError as error:
        if error.errno not in files.STILL_USED:
            raise
    finally:
        os.close(above)
    return not root.exists(path, follow=False)
