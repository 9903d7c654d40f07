# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What modules return of images, as they are now. Private to the collection."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import typing as t

from .._core.plan import Failure
from .._core.printable import printable
from .._systemd import image_classes, machined
from .._systemd.image_classes import MACHINE, ImageClass
from . import keepers, provenance, releases, seen
from .model import Provenance

_SIZES = ("usage", "limit", "usage_exclusive", "limit_exclusive")


def _told(
    image: t.Optional[machined.Image], record: t.Optional[Provenance]
) -> t.Optional[dict[str, t.Any]]:
    """An image as modules return it; nothing when there is none."""
    if image is None:
        return None
    fields = dataclasses.asdict(image)
    return {
        "class": fields.pop("image_class"),
        **fields,
        "provenance": _told_record(record) if record else None,
    }


def _told_record(record: Provenance) -> dict[str, t.Any]:
    fields = dataclasses.asdict(record)
    del fields["identity"], fields["parent"], fields["replaces"], fields["owed"]
    return {**fields, "names": list(record.names)}


def _details(image: machined.Image, kind: ImageClass) -> dict[str, t.Any]:
    """How much an image takes and what it says it is, or why it does not; the others go on."""
    found: dict[str, t.Any] = {**dict.fromkeys(_SIZES), "os": {}}
    problems = []
    for tell in (keepers.of(kind).sizes, lambda one: {"os": releases.of(one, kind)}):
        try:
            found.update(tell(image))
        except (Failure, OSError, ValueError, LookupError) as error:
            problems.append(printable(str(error)))
    return {**found, "problem": "; ".join(problems) or None}


def brief(keys: t.Sequence[str]) -> list[t.Optional[dict[str, t.Any]]]:
    """Images as they are now, in the order of the keys."""
    there: dict[str, machined.Image] = {}
    for kind in {image_classes.split(key)[0] for key in keys}:
        there.update(seen.images_of(kind))
    return [
        _told(there.get(key), provenance.read(key, there[key].path) if key in there else None)
        for key in keys
    ]


def tell(names: t.Optional[t.Sequence[str]], kind: ImageClass = MACHINE) -> list[dict[str, t.Any]]:
    """All that is known of these images of a class, or of all; what is not there is left out."""
    there = seen.images_of(kind)
    keys = sorted(there) if names is None else [kind.key(name) for name in names]
    chosen = [key for key in keys if key in there]
    identities = seen.identities_of(there)
    records = seen.records_of(kind, identities)
    used = seen.users_of(kind, there)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = dict(zip(chosen, pool.map(lambda key: _details(there[key], kind), chosen)))
    return [
        {
            **(_told(there[key], records.get(key)) or {}),
            **found[key],
            "machine": used.get(key) if kind is MACHINE else None,
            "used": kind.use.format(user=used[key]) if key in used else None,
            "enabled": kind is MACHINE and os.path.lexists(seen.wants_path(key)),
            "clones": sorted(
                there[other].name
                for other, record in records.items()
                if record.parent and record.parent == identities[key]
            ),
        }
        for key in chosen
    ]
