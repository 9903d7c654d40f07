# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""One call of the modules C(image) and C(images), from their arguments to their result.

Private to the collection.
"""

from __future__ import annotations

import typing as t

from .._core import module as core_module
from .._core.plan import Failure
from .._systemd import image_classes, machined
from . import act, addresses, drift, holding, info
from . import plan as images_plan
from . import seen as images_seen
from . import wanted as images_wanted
from .model import Snapshot


def converge(
    module: core_module.Module,
    entries: t.Sequence[t.MutableMapping[str, t.Any]],
    *,
    expected: t.Collection[str] = (),
) -> dict[str, t.Any]:
    """Bring all images of one call into their wanted state, side by side.

    O(expected) are images that would be there by now, had earlier tasks not been in check mode too.
    """
    arguments = [dict(entry) for entry in entries]
    _show_less(entries)
    images = [images_wanted.wanted(_with_upload(entry)) for entry in arguments]
    images_wanted.check_all(images)
    if not module.check_mode:
        machined.require()
    changed = [key for image in images for key in (image.key, image.rename_from) if key]
    parents = [image.parent for image in images if image.parent]
    with holding.alone(module, changed, beside=parents):
        return _converge(module, images, expected)


def _converge(
    module: core_module.Module,
    images: t.Sequence[images_wanted.Wanted],
    expected: t.Collection[str],
) -> dict[str, t.Any]:
    seen = images_seen.snapshot(images)
    plan = images_plan.plan(seen, images, expected=expected if module.check_mode else ())
    missing = images_plan.to_upload(plan)
    if missing and not module.check_mode:
        # Nothing was done: the action plugin uploads these and comes back.
        return {"changed": False, "_to_upload": missing}
    for warning in images_plan.warnings(seen, images, plan):
        module.warn(warning)

    def facts() -> dict[str, t.Any]:
        now = info.brief([image.key for image in images])
        replaced = set() if module.check_mode else {step.subject for step in plan}
        return {
            "images": [
                {
                    "name": image.name,
                    "class": image.image_class,
                    "image": there,
                    "drift": None if image.key in replaced else _drift(image, seen),
                }
                for image, there in zip(images, now)
            ]
        }

    return core_module.converge(module, plan, act.VERBS, facts=facts)


def _show_less(entries: t.Iterable[t.MutableMapping[str, t.Any]]) -> None:
    """Return of the arguments no more than may be shown; the action plugin has done it mostly."""
    for entry in entries:
        if entry.get("url"):
            entry["url"] = addresses.shown(entry["url"])


def _drift(image: images_wanted.Wanted, seen: Snapshot) -> t.Optional[str]:
    return drift.drift(image, seen) if image.key in seen.images else None


def _with_upload(entry: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The arguments of an entry whose file is on the controller, as far as it came."""
    arguments = dict(entry)
    upload = arguments.pop("_upload", None)
    remote = arguments.pop("remote_src", False)
    if arguments.get("path") is None or remote or arguments["state"] == "absent":
        return arguments
    if upload is None:
        key = image_classes.key_of(
            arguments.get("class", image_classes.MACHINE.name), arguments["name"]
        )
        raise Failure(
            f"image {key}: path {arguments['path']} is on the controller, which only "
            "a task of its own can upload. Use remote_src: true for a file of the host"
        )
    return {**arguments, "upload": upload}
