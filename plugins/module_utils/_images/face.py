# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules of images call. Private to the collection."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from .._core import module as core_module
from .._core.plan import Failure
from .._systemd import image_classes, machined
from . import act, drift, exports, info, keys
from . import plan as images_plan
from . import prune as images_prune
from . import seen as images_seen
from . import wanted as images_wanted
from .model import Snapshot

EXPORT_COMPRESSIONS = list(exports.COMPRESSIONS)
EXPORT_FORMATS = list(exports.FORMATS)
IMAGE_CLASS: dict[str, t.Any] = {
    "type": "str",
    "choices": list(image_classes.CLASSES),
    "default": image_classes.MACHINE.name,
}
SOURCES = list(images_wanted.SOURCES)
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "class": IMAGE_CLASS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "url": {"type": "str"},
    "path": {"type": "path"},
    "remote_src": {"type": "bool", "default": False},
    "clone_from": {"type": "str"},
    "rename_from": {"type": "str"},
    "format": {"type": "str", "choices": list(images_wanted.FORMATS), "default": "auto"},
    "verify": {"type": "str", "choices": list(images_wanted.VERIFICATIONS)},
    "checksum": {"type": "str"},
    "read_only": {"type": "bool"},
    "limit": {"type": "str"},
    "update": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": images_wanted.DEFAULT_TIMEOUT},
    # What the action plugin found on the controller; users cannot set it.
    "_upload": {"type": "dict"},
}


# --- image, images --------------------------------------------------------------------------


def converge_image(module: AnsibleModule) -> t.NoReturn:
    """Bring the image that the module's arguments are about into its wanted state."""

    def body() -> dict[str, t.Any]:
        result = _converge(module, [module.params])
        for image in result.pop("images", []):
            result.update(image=image["image"], drift=image["drift"])
        return result

    core_module.run(module, body)


def converge_images(module: AnsibleModule) -> t.NoReturn:
    """The same for a list of them."""
    entries, expected = module.params["images"], module.params["images_expected"]
    core_module.run(module, lambda: _converge(module, entries, expected=expected))


def _converge(
    module: AnsibleModule,
    entries: t.Sequence[t.Mapping[str, t.Any]],
    *,
    expected: t.Collection[str] = (),
) -> dict[str, t.Any]:
    """Bring all images of one call into their wanted state, side by side.

    O(expected) are images that would be there by now, had earlier tasks not been in check mode too.
    """
    images = [images_wanted.wanted(_with_upload(entry)) for entry in entries]
    images_wanted.check_all(images)
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
        now = info.tell([image.key for image in images])
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


# --- the others -----------------------------------------------------------------------------


def inspect(module: AnsibleModule) -> t.NoReturn:
    """Return what is known of images."""

    def body() -> dict[str, t.Any]:
        kind = image_classes.CLASSES[module.params["class"]]
        return {"changed": False, "images": info.inspect(module.params["name"], kind)}

    core_module.run(module, body)


def export(module: AnsibleModule) -> t.NoReturn:
    """Bring a file into the state that an image's export would have."""

    def body() -> dict[str, t.Any]:
        wanted = exports.wanted(module.params)
        seen = exports.snapshot(wanted)
        plan = exports.plan(seen, wanted)
        for warning in exports.warnings(seen, wanted, plan):
            module.warn(warning)
        exported = any(step.verb == "export image" for step in plan)
        reason = None if exported and not module.check_mode else exports.drift(seen, wanted)
        result = core_module.converge(
            module, plan, exports.VERBS, facts=lambda: exports.tell(wanted.dest)
        )
        return {**result, "dest": wanted.dest, "drift": reason}

    core_module.run(module, body)


def converge_keys(module: AnsibleModule) -> t.NoReturn:
    """Bring the key ring of images into its wanted state."""

    def body() -> dict[str, t.Any]:
        wanted = keys.wanted(module.params)
        plan = keys.plan(keys.snapshot(), wanted)
        result = core_module.converge(module, plan, keys.VERBS)
        return {**result, "fingerprints": [key.fingerprint for key in wanted.keys]}

    core_module.run(module, body)


def prune(module: AnsibleModule) -> t.NoReturn:
    """Remove the images that are old enough to go."""

    def body() -> dict[str, t.Any]:
        wanted = images_prune.wanted(module.params)
        plan, kept = images_prune.plan(images_prune.snapshot(), wanted)
        result = core_module.converge(module, plan, images_prune.VERBS)
        return {**result, "removed": [step.subject for step in plan], "kept": kept}

    core_module.run(module, body)
