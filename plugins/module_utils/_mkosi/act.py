# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Writes, builds, imports and clears away: how each step of a plan is carried out.

Private to the collection.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import typing as t

from .._core.plan import Step, Verbs
from .._images import act as images_act
from .._images import formats
from . import build as mkosi_build
from . import clearing, ground, harvest, within
from . import files as mkosi_files
from . import record as mkosi_record
from .builder import Builder
from .record import Record
from .seen import Snapshot
from .wanted import Request

Builders = t.Mapping[str, Builder]
"""Who builds, by directory."""


class _Acts:
    """What steps do, each as who builds in its directory."""

    def __init__(self, builders: Builders) -> None:
        self._builders = builders
        self._making = threading.Lock()

    def verbs(self) -> Verbs:
        return {
            **images_act.VERBS,
            "write": self._write,
            "remove": self._remove,
            "clear leftovers of build": self._sweep,
            "build": self._build,
            "clean": self._clean,
            "remove output": self._remove_output,
            "forget": self._forget,
            "import image": self._import,
            "replace image": self._import,
        }

    def _builder(self, step: Step) -> Builder:
        return self._builders[step.arguments["directory"]]

    def _make(self, directory: str, builder: Builder) -> None:
        # Several files of it may be written side by side.
        with self._making:
            ground.make(directory, builder)

    def _write(self, step: Step) -> None:
        a, builder = step.arguments, self._builder(step)
        file: mkosi_files.File = a["file"]
        self._make(a["directory"], builder)
        builder.call(
            within.write, a["directory"], builder.account.uid, a["path"], file.text, file.mode
        )

    def _remove(self, step: Step) -> None:
        a, builder = step.arguments, self._builder(step)
        builder.call(within.remove, a["directory"], builder.account.uid, a["path"])

    def _sweep(self, step: Step) -> None:
        a = step.arguments
        mkosi_build.sweep(a["directory"], a["stage"], self._builder(step))

    def _build(self, step: Step) -> None:
        build: mkosi_build.Build = step.arguments["build"]
        builder = self._builder(step)
        self._make(build.directory, builder)
        products = mkosi_build.run(build, builder)
        record: Record = step.arguments["record"]
        kept = tuple(products) if build.destination else ()
        self._clear(builder, sorted(set(record.outputs) - set(kept)))
        mkosi_record.write(dataclasses.replace(record, outputs=kept))
        if build.destination:
            mkosi_build.sweep(build.directory, build.stage, builder)

    def _import(self, step: Step) -> None:
        """Hand what was built to the images' room, and clear the stage."""
        build: mkosi_build.Build = step.arguments["build"]
        builder = self._builder(step)
        products = (
            mkosi_record.read(build.directory).outputs
            if build.destination
            else mkosi_build.products(build, builder)
        )
        try:
            path = mkosi_build.image_in(products, build.output)
            with harvest.taken_over(path, builder) as (file, size):
                source = dataclasses.replace(
                    step.arguments["source"],
                    file=file,
                    compression=formats.by_name(path)[1],
                    size=size,
                )
                arguments = {**step.arguments, "source": source}
                images_act.VERBS[step.verb](dataclasses.replace(step, arguments=arguments))
        finally:
            if not build.destination:
                mkosi_build.sweep(build.directory, build.stage, builder)

    def _clean(self, step: Step) -> None:
        a, builder = step.arguments, self._builder(step)
        mkosi_build.clean(a["build"], a["levels"], builder)
        outputs = mkosi_record.read(step.subject).outputs
        self._clear(builder, outputs, a["packages"])
        mkosi_record.write(a["record"])

    def _remove_output(self, step: Step) -> None:
        self._clear(self._builder(step), [step.subject])

    @staticmethod
    def _clear(builder: Builder, paths: t.Sequence[str], patterns: t.Sequence[str] = ()) -> None:
        builder.call(clearing.remove_outputs, paths, patterns, patience=clearing.TIMEOUT)

    def _forget(self, step: Step) -> None:
        builder, record = self._builder(step), mkosi_record.read(step.subject)
        below = (one for one in record.outputs if one.startswith(f"{step.subject}/"))
        builder.call(clearing.remove_empty_directories, [os.path.dirname(one) for one in below])
        for emptied in (step.subject, *record.above):
            ground.remove_empty(emptied, builder)
        mkosi_record.forget(step.subject)


def verbs(builders: Builders) -> Verbs:
    return _Acts(builders).verbs()


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
