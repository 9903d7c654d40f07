# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One run at a time works on an image, from the look at it to the last step.

Private to the collection.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._core import locks
from .._core import module as core_module
from .._systemd import image_classes
from .._systemd.image_classes import MACHINE


@contextlib.contextmanager
def alone(
    module: core_module.Module, keys: t.Iterable[str], *, beside: t.Iterable[str] = ()
) -> t.Iterator[None]:
    """Keep other runs away from images and from the machines that may run from them.

    O(beside) are images that must only stay as they are meanwhile. Whoever changes machines has
    them first, and then the images of those that it clones or removes: so do we.
    """
    changed = sorted(set(keys))
    names = [name for kind, name in map(image_classes.split, changed) if kind is MACHINE]
    with core_module.holding(module, map(locks.machine, names)):
        images = map(locks.image, changed)
        with core_module.holding(module, images, beside=map(locks.image, beside)):
            yield
