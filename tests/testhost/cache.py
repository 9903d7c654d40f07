# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root trees and the guest, made once for each recipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from . import places, recipe
from .run import IN_NAMESPACES, run

Say = Callable[[str], None]


def host_image(name: str, say: Say) -> Path:
    """The disk image with the root tree of a distribution."""
    key = recipe.digest(recipe.distribution(name))
    return _made_once(places.CACHE / f"{name}-{key}.img", ("host", name), say)


def guest_tar(say: Say) -> Path:
    """The minimal guest, one tar for all hosts."""
    key = recipe.digest(recipe.GUEST)
    return _made_once(places.CACHE / f"guest-{recipe.GUEST.suite}-{key}.tar", ("guest", ""), say)


def _made_once(target: Path, what: tuple[str, str], say: Say) -> Path:
    """Make a file of the cache, whole or not at all, even when several ask for it at once."""
    if target.exists():
        return target
    lock = target.with_suffix(".lock")
    with places.locked(lock):
        if not target.exists():
            _sweep()
            partial = target.with_name(f".{target.name}.partial")
            log = target.with_suffix(".log")
            say(f"making {target.name}, once (log: {log})")
            try:
                _build(what, partial, log)
                partial.rename(target)
            finally:
                _remove(partial)
                lock.unlink()
    return target


def _build(what: tuple[str, str], target: Path, log: Path) -> None:
    """Run recipe.build() where its mounts end with it, and itself with its caller."""
    with log.open("wb") as handle:
        run(
            [
                *IN_NAMESPACES,
                *(sys.executable, str(Path(__file__).parent), "_build", *what, str(target)),
            ],
            log=handle,
        )


def _sweep() -> None:
    """Remove what builds that were killed have left; nobody holds their locks."""
    for lock in places.CACHE.glob("*.lock"):
        with places.locked(lock, wait=False) as is_held:
            if is_held:
                for partial in places.CACHE.glob(f".{lock.stem}.*.partial"):
                    _remove(partial)
                lock.unlink()


def _remove(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    shutil.rmtree(recipe.tree_of(partial), ignore_errors=True)
