# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules C(image) and C(images) share. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from .._core import module as core_module
from .._core.plan import Failure
from .._systemd import machined
from .._systemd.image_classes import CLASSES, MACHINE, key_of
from . import act, drift, wanted
from . import plan as images_plan
from . import seen as images_seen
from .model import Snapshot

SOURCES = list(wanted.SOURCES)
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "class": {"type": "str", "choices": list(CLASSES), "default": MACHINE.name},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "url": {"type": "str"},
    "path": {"type": "path"},
    "remote_src": {"type": "bool", "default": False},
    "clone_from": {"type": "str"},
    "rename_from": {"type": "str"},
    "format": {"type": "str", "choices": list(wanted.FORMATS), "default": "auto"},
    "verify": {"type": "str", "choices": list(wanted.VERIFICATIONS)},
    "checksum": {"type": "str"},
    "read_only": {"type": "bool"},
    "limit": {"type": "str"},
    "update": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": wanted.DEFAULT_TIMEOUT},
    # What the action plugin found on the controller; users cannot set it.
    "_upload": {"type": "dict"},
}


def converge(
    module: AnsibleModule,
    entries: t.Sequence[t.Mapping[str, t.Any]],
    *,
    expected: t.Collection[str] = (),
) -> dict[str, t.Any]:
    """Bring all images of one call into their wanted state, side by side.

    O(expected) are images that would be there by now, had earlier tasks not been in check mode too.
    """
    images = [wanted.wanted(_with_upload(entry)) for entry in entries]
    wanted.check_all(images)
    if not module.check_mode:
        machined.require()
    seen = images_seen.snapshot(images)
    plan = images_plan.plan(seen, images, expected=expected if module.check_mode else ())
    missing = images_plan.to_upload(plan)
    if missing and not module.check_mode:
        # Nothing was done: the action plugin uploads these and comes back.
        return {"changed": False, "_to_upload": missing}
    for warning in images_plan.warnings(seen, images, plan):
        module.warn(warning)

    def facts() -> dict[str, t.Any]:
        now = images_seen.tell([image.key for image in images])
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


def _drift(image: wanted.Wanted, seen: Snapshot) -> t.Optional[str]:
    return drift.drift(image, seen) if image.key in seen.images else None


def _with_upload(entry: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The arguments of an entry whose file is on the controller, as far as it came."""
    arguments = dict(entry)
    upload = arguments.pop("_upload", None)
    remote = arguments.pop("remote_src", False)
    if arguments.get("path") is None or remote or arguments["state"] == "absent":
        return arguments
    if upload is None:
        key = key_of(arguments.get("class", MACHINE.name), arguments["name"])
        raise Failure(
            f"image {key}: path {arguments['path']} is on the controller, which only "
            "a task of its own can upload. Use remote_src: true for a file of the host"
        )
    return {**arguments, "upload": upload}
