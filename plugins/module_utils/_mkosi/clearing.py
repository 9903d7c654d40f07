# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Removes what builds made or left. Private to the collection. To be called by who builds."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import typing as t

from .._core import files as core_files
from .._core import run, trees
from .._core.plan import Failure

TIMEOUT = 600
_ENDINGS = re.compile(r"\.(raw|tar|cpio|efi|qcow2)(\.(gz|xz|zst|bz2|lz4))?\Z")


def remove(path: str) -> None:
    """Remove a file or a tree; no error when there is none."""
    try:
        trees.remove(path)
    except Failure as failure:
        if os.geteuid() == 0 or not isinstance(failure.__cause__, PermissionError):
            raise
        # A tree of an image: some of it belongs to those whom a user's mkosi may act for.
        _remove_as_all(path, failure)


def _remove_as_all(path: str, failure: Failure) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--map-auto"]
    try:
        run.run([*namespace, "rm", "-rf", "--one-file-system", "--", path], timeout=TIMEOUT)
    except run.CommandFailed as failed:
        raise Failure(f"{failure.message} ({failed.message})", **failed.details) from None


def remove_output(path: str) -> None:
    """Remove an output and the link that mkosi made to it."""
    remove(path)
    link = _ENDINGS.sub("", path)
    if os.path.islink(link) and not os.path.exists(link):
        os.unlink(link)


def remove_outputs(paths: t.Sequence[str], patterns: t.Sequence[str] = ()) -> None:
    """Remove outputs, and what patterns find."""
    for path in [*(one for pattern in patterns for one in glob.glob(pattern)), *paths]:
        remove_output(path)


def remove_stage(stage: str, others: str) -> None:
    """Remove a stage and, before it, those workspaces of the same directory that lie elsewhere.

    The stage goes last: it tells that there was something.
    """
    for path in mine(others):
        remove(path)
    remove(stage)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(stage))


def mine(prefix: str) -> list[str]:
    """What has a name that begins so, where everybody can leave something, and is one's own."""
    found = []
    for path in glob.glob(f"{glob.escape(prefix)}*"):
        with contextlib.suppress(FileNotFoundError):
            if os.lstat(path).st_uid == os.geteuid():
                found.append(path)
    return found


def remove_empty_directories(paths: t.Iterable[str]) -> None:
    for path in paths:
        core_files.remove_empty_directory(path)
