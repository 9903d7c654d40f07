# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules about images call. Private to the collection.

Each function imports what it calls when it is called: a target compiles what is imported anew for
each task, and a key ring needs nothing of what makes images.
"""

from __future__ import annotations

import typing as t

from .._core import module as core_module
from .._systemd import image_classes
from . import wanted as images_wanted

if t.TYPE_CHECKING:
    from . import exports

Module = core_module.Module

IMAGE_CLASS: dict[str, t.Any] = {
    "type": "str",
    "choices": list(image_classes.CLASSES),
    "default": image_classes.MACHINE.name,
}
SOURCES = list(images_wanted.SOURCES)
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True, "no_log": False},
    "class": IMAGE_CLASS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    # What is secret of it the action plugin puts into _address.
    "url": {"type": "str", "no_log": False},
    "path": {"type": "path", "no_log": False},
    "remote_src": {"type": "bool", "default": False},
    "clone_from": {"type": "str", "no_log": False},
    "rename_from": {"type": "str", "no_log": False},
    "format": {"type": "str", "choices": list(images_wanted.FORMATS), "default": "auto"},
    "verify": {"type": "str", "choices": list(images_wanted.VERIFICATIONS)},
    "checksum": {"type": "str", "no_log": False},
    "read_only": {"type": "bool"},
    "limit": {"type": "str", "no_log": False},
    "update": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": images_wanted.DEFAULT_TIMEOUT},
    "headers": {"type": "dict", "no_log": True},
    "least_rate": {"type": "str", "default": "1K", "no_log": False},
    # What the action plugin found on the controller; users cannot set it.
    "_upload": {"type": "dict"},
    # The URL in full, which the action plugin takes out of sight.
    "_address": {"type": "str", "no_log": True},
}


def converge_image(module: Module) -> t.NoReturn:
    """The module C(image): one image."""
    from . import converge

    def body() -> dict[str, t.Any]:
        result = converge.converge(module, [module.params])
        for image in result.pop("images", []):
            result.update(image=image["image"], drift=image["drift"])
        return result

    core_module.run(module, body)


def converge_images(module: Module) -> t.NoReturn:
    """The module C(images): any number of them."""
    from . import converge

    entries, expected = module.params["images"], module.params["images_expected"]
    core_module.run(module, lambda: converge.converge(module, entries, expected=expected))


def tell(module: Module) -> t.NoReturn:
    """The module C(image_info): images as they are."""
    from . import info

    def body() -> dict[str, t.Any]:
        kind = image_classes.CLASSES[module.params["class"]]
        return {"changed": False, "images": info.tell(module.params["name"], kind)}

    core_module.run(module, body)


def export(module: Module) -> t.NoReturn:
    """The module C(image_export): a file that an image is exported to."""
    from . import exports

    def body() -> dict[str, t.Any]:
        wanted = exports.wanted(module.params)
        file, image = wanted.things
        with core_module.holding(module, [file], beside=[image]):
            return _exported(module, wanted)

    core_module.run(module, body)


def _exported(module: Module, wanted: exports.Wanted) -> dict[str, t.Any]:
    from . import exports

    seen = exports.snapshot(wanted)
    plan = exports.plan(seen, wanted)
    for warning in exports.warnings(seen, wanted, plan):
        module.warn(warning)
    exported = any(step.verb == "export image" for step in plan)
    drift = None if exported and not module.check_mode else exports.drift(seen, wanted)
    result = core_module.converge(
        module, plan, exports.VERBS, facts=lambda: exports.tell(wanted.dest)
    )
    return {**result, "dest": wanted.dest, "drift": drift}


def converge_keys(module: Module) -> t.NoReturn:
    """The module C(image_keys): the key ring of images."""
    from . import keys

    def body() -> dict[str, t.Any]:
        wanted = keys.wanted(module.params)
        with core_module.holding(module, keys.things()):
            plan = keys.plan(keys.snapshot(), wanted)
            result = core_module.converge(module, plan, keys.VERBS)
        return {**result, "fingerprints": [key.fingerprint for key in wanted.keys]}

    core_module.run(module, body)


def prune_images(module: Module) -> t.NoReturn:
    """The module C(image_prune): images that are old enough to go."""
    from . import prune

    def body() -> dict[str, t.Any]:
        wanted = prune.wanted(module.params)
        with prune.settled(module, wanted) as (plan, kept):
            result = core_module.converge(module, plan, prune.VERBS)
        return {**result, "removed": [step.subject for step in plan], "kept": kept}

    core_module.run(module, body)
