# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One run at a time works on an image. Private to the collection."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

from .._core.plan import Failure
from .._systemd import image_classes

LOCKS = "/run/nspawn.machined/locks"
PATIENCE = 60


@contextlib.contextmanager
def locked(key: str, patience: float = PATIENCE) -> t.Iterator[int]:
    """Be the only one who works on an image.

    The programs that we start inherit the lock. When the module is killed and they live on, the
    next run waits for their end instead of clearing away what they write.
    """
    path = _lock_of(key)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + patience
        while not _try_lock(descriptor):
            if time.monotonic() > end:
                raise Failure(
                    f"image {key}: another run has been working on it for {patience:g} s. "
                    "Wait for it to end, or end it"
                )
            time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_of(key: str) -> str:
    kind, name = image_classes.split(key)
    return os.path.join(f"{LOCKS}{kind.mark}", name)


def is_locked(key: str) -> bool:
    try:
        descriptor = os.open(_lock_of(key), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
