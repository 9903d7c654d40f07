# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Files of somebody else's root, written and removed so that nothing in it leads out.

Private to the collection. For images that do not run; into a machine that runs its own programs
write.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from . import descriptors, files
from .beneath import Root, Unusable
from .patience import patiently


def write(
    root: Root, path: str, text: t.Union[str, bytes], *, mode: t.Optional[int] = None
) -> None:
    """Put a file in place at once, at the end of the links that lead there.

    It belongs to whom the replaced one belonged, or who has the directory; O(mode) likewise.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    directory, name = root.place(path)
    try:
        _expect_file(root, directory, name, path)
        status = os.fstat(directory)
        owner = (status.st_uid, status.st_gid)
        patiently(
            lambda _stop: files.write_at(directory, name, data, mode=mode, owner=owner),
            root.deadline,
            root.shown(path),
        )
    except OSError as error:
        raise Unusable(f"{root.shown(path)} cannot be written: {error.strerror}") from None
    finally:
        os.close(directory)


def remove(root: Root, path: str) -> bool:
    """Remove a file or a link, and no directory; whether there was one."""
    if root.stat(path, follow=False) is None:
        return False
    directory, name = root.parent(path)
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Unusable(f"{root.shown(path)} cannot be removed: {error.strerror}") from None
    finally:
        os.close(directory)
    return True


def _expect_file(root: Root, directory: int, name: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = descriptors.open_file(directory, name)
        try:
            mode = os.fstat(found).st_mode
        finally:
            os.close(found)
        if not stat.S_ISREG(mode):
            raise Unusable(
                f"{root.shown(path)} is {descriptors.kind(mode)}; expected a regular file, or"
                " none. Look at who put it there, and remove it"
            )
