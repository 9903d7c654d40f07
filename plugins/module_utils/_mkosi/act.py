# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Writes, builds, imports and clears away: how each step of a plan is carried out.

Private to the collection.
"""

from __future__ import annotations

import dataclasses
import glob
import os

from .._core import files as core_files
from .._core.plan import Step, Verbs
from .._images import act as images_act
from .._images import formats
from . import build as mkosi_build
from . import files as mkosi_files
from . import record as mkosi_record
from .record import Record
from .seen import Snapshot
from .wanted import Request


def _write(step: Step) -> None:
    file: mkosi_files.File = step.arguments["file"]
    core_files.write(step.subject, file.text, mode=file.mode)
    if step.arguments["owner"]:
        os.chown(step.subject, step.arguments["owner"], -1)


def _remove(step: Step) -> None:
    core_files.remove(step.subject)
    directory = os.path.dirname(step.subject)
    while os.path.basename(directory).startswith("mkosi.") or "/mkosi." in directory:
        core_files.remove_empty_directory(directory)
        if os.path.isdir(directory):
            break
        directory = os.path.dirname(directory)


def _run_build(step: Step) -> None:
    build: mkosi_build.Build = step.arguments["build"]
    products = mkosi_build.run(build)
    record: Record = step.arguments["record"]
    kept = tuple(products) if build.destination else ()
    for path in set(record.outputs) - set(kept):
        mkosi_build.remove(path)
    mkosi_record.write(dataclasses.replace(record, outputs=kept))
    if build.destination:
        mkosi_build.sweep(build.directory, build.stage)


def _import(step: Step) -> None:
    """Hand what was built to the images' room, and clear the stage."""
    build: mkosi_build.Build = step.arguments["build"]
    products = (
        mkosi_record.read(build.directory).outputs
        if build.destination
        else mkosi_build.products(build)
    )
    try:
        path = mkosi_build.image_in(products, build.output)
        arguments = dict(step.arguments)
        arguments["source"] = dataclasses.replace(
            arguments["source"],
            file=path,
            compression=formats.by_name(path)[1],
            size=None if os.path.isdir(path) else os.path.getsize(path),
        )
        images_act.VERBS[step.verb](dataclasses.replace(step, arguments=arguments))
    finally:
        if not build.destination:
            mkosi_build.sweep(build.directory, build.stage)


def _clean(step: Step) -> None:
    mkosi_build.clean(step.arguments["build"], step.arguments["levels"])
    for pattern in step.arguments["packages"]:
        for path in glob.glob(pattern):
            mkosi_build.remove(path)
    for path in mkosi_record.read(step.subject).outputs:
        mkosi_build.remove(path)
    mkosi_record.write(step.arguments["record"])


def _forget(step: Step) -> None:
    for output in mkosi_record.read(step.subject).outputs:
        if output.startswith(f"{step.subject}/"):
            core_files.remove_empty_directory(os.path.dirname(output))
    core_files.remove_empty_directory(step.subject)
    mkosi_record.forget(step.subject)


def verbs() -> Verbs:
    return {
        **images_act.VERBS,
        "write": _write,
        "remove": _remove,
        "clear leftovers of build": lambda s: mkosi_build.sweep(
            s.arguments["directory"], s.arguments["stage"]
        ),
        "build": _run_build,
        "clean": _clean,
        "remove output": lambda s: mkosi_build.remove(s.subject),
        "forget": _forget,
        "import image": _import,
        "replace image": _import,
    }


# --- before and after the steps -------------------------------------------------------------


def claim(request: Request, seen: Snapshot) -> None:
    """Say which files are ours before they are written: a killed run must not disown them."""
    ours = tuple(sorted({*seen.record.files, *seen.files}))
    if request.state == "built" and ours != seen.record.files:
        mkosi_record.write(dataclasses.replace(seen.record, files=ours))


def settle(request: Request, seen: Snapshot) -> None:
    """And afterwards, which are left."""
    record = mkosi_record.read(request.directory)
    ours = tuple(sorted(seen.files))
    if request.state == "built" and record.files != ours and record.salt == seen.record.salt:
        mkosi_record.write(dataclasses.replace(record, files=ours))
