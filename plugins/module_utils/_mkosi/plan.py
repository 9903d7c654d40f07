# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What to do in a mkosi directory: what was asked for, what is there, and the steps between.

Private to the collection. Pure.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core import masks
from .._core.plan import Failure, Plan, State, Step, identities, ordered
from .._images import model as images_model
from .._images import plan as images_plan
from .._images import wanted as images_wanted
from . import build as mkosi_build
from . import files as mkosi_files
from . import secret, table, wanted
from .record import Record
from .seen import Remains, Snapshot
from .wanted import CLEAN_LEVELS, Request

_DIRECTORIES = ("directory", "subvolume")
_ARCHIVES = ("tar",)


def plan(request: Request, seen: Snapshot) -> Plan:
    """What to do in one directory. Pure."""
    if request.state == "clean":
        return _plan_clean(request, seen)
    files = _file_steps(request, seen)
    image = _image_steps(request, seen)
    if not _needs_build(request, seen, image):
        leftovers = _leftovers(request, seen)
        needs = identities(*files, *leftovers)
        image = [dataclasses.replace(step, needs=step.needs | needs) for step in image]
        return ordered([*files, *leftovers, *image])
    build = _build_step(request, seen, identities(*files))
    image = [dataclasses.replace(step, needs=step.needs | identities(build)) for step in image]
    return ordered([*files, build, *image])


def plan_unseen(request: Request) -> Plan:
    """What a mkosi that is not installed yet will do, as far as that can be told. Pure."""
    if request.state == "clean":
        return ()
    build = Step("build", request.directory, after={"mkosi": "not installed yet"})
    if request.import_as is None:
        return (build,)
    source = {"state": "present", "source": request.directory}
    return (build, Step("import image", request.import_as, after=source, needs=identities(build)))


def held_back(request: Request, seen: Snapshot) -> bool:
    """Whether the image is another than what would be built now, and shall stay so."""
    if not request.import_as or request.update or request.force or not seen.images:
        return False
    record = seen.images.records.get(request.import_as)
    there = request.import_as in seen.images.images
    return there and (record is None or record.digest != seen.digest)


def warnings(request: Request, seen: t.Union[Snapshot, Remains], plan: Plan) -> list[str]:
    if isinstance(seen, Remains) or request.state != "built":
        return []
    # Of other names once, when they are written; a run that changes nothing has no news.
    configuration = os.path.join(request.directory, mkosi_files.CONFIGURATION)
    written = any((step.verb, step.subject) == ("write", configuration) for step in plan)
    said = list(seen.warnings) if written else []
    if held_back(request, seen):
        said.append(
            f"image {request.import_as} was left as it is, though it was built from something"
            " else; update: true builds it anew and replaces it"
        )
    return said


def _file_steps(request: Request, seen: Snapshot) -> list[Step]:
    steps = []
    for path, file in seen.files.items():
        found = seen.present.get(path)
        if found == (file.text, file.mode, seen.owner):
            continue
        steps.append(
            Step(
                "write",
                os.path.join(request.directory, path),
                {"directory": request.directory, "path": path, "file": file},
                before=None if found is None else _shown(path, found[0], found[1]),
                after=_shown(path, file.text, file.mode, None if found is None else found[0]),
            )
        )
    for path in sorted(set(seen.present) - set(seen.files)):
        text, mode, _owner = seen.present[path]
        steps.append(_remove_step(request.directory, path, _shown(path, text, mode)))
    return steps


def _remove_step(directory: str, path: str, before: State) -> Step:
    arguments = {"directory": directory, "path": path}
    return Step("remove", os.path.join(directory, path), arguments, before=before)


def _shown(path: str, text: str, mode: int, before: t.Optional[str] = None) -> str:
    """A file as it may be shown, beside what it was: of most only that it is another one."""
    if path == mkosi_files.CONFIGURATION:
        said = secret.shown(text, before)
    elif path.startswith("mkosi.repart/"):
        said = masks.texts(before, text)[1] or ""
    else:
        said = f"{masks.MASK if before in (None, text) else masks.ANOTHER}\n"
    usual = {mkosi_files.CONFIGURATION: 0o600}.get(path, 0o644)
    return said if mode == usual else f"(mode {mode:04o})\n{said}"


def _image_steps(request: Request, seen: Snapshot) -> list[Step]:
    if request.import_as is None or seen.images is None:
        return []
    images = seen.images
    source = images_model.Source(
        kind="mkosi",
        location=request.directory,
        format=_source_format(request, seen),
        compression=seen.compression,
        digest=seen.digest,
    )
    record = images.records.get(request.import_as)
    if request.force and record:
        forgotten = dataclasses.replace(record, digest=None)
        images = dataclasses.replace(
            images, records={**images.records, request.import_as: forgotten}
        )
    image = wanted.image(request, seen.beside, digest=seen.digest)
    images = dataclasses.replace(images, sources={request.import_as: source})
    steps = images_plan.plan(images, [image])
    # The digest is what tells two builds apart.
    return [
        dataclasses.replace(
            step,
            arguments={
                **step.arguments,
                "directory": request.directory,
                "build": _build(request, seen),
            },
            before=_with_digest(step.before, record.digest if record else None),
            after=_with_digest(step.after, seen.digest),
        )
        if step.verb in ("import image", "replace image")
        else step
        for step in steps
    ]


def _with_digest(state: t.Any, digest: t.Optional[str]) -> t.Any:
    return {**state, "digest": digest} if isinstance(state, t.Mapping) and digest else state


def _source_format(request: Request, seen: Snapshot) -> str:
    if seen.format in _DIRECTORIES:
        if request.user:
            raise Failure(
                f"import_as {request.import_as}: what {request.user} builds with Format="
                f"{seen.format} belongs to {request.user} and to numbers of /etc/subuid, and stays"
                " theirs to change; expected a file, which root can take over: leave Format out,"
                " or choose tar or disk"
            )
        return "directory"
    if seen.format in _ARCHIVES:
        return "tar"
    if seen.format == "disk" or seen.format.startswith(("gpt_", "raw_")):
        return "raw"
    raise Failure(
        f"import_as {request.import_as}: systemd-machined has no images of Format={seen.format};"
        " expected directory, tar or disk"
    )


def _needs_build(request: Request, seen: Snapshot, image: t.Sequence[Step]) -> bool:
    if request.force:
        return True
    made = any(step.verb in ("import image", "replace image") for step in image)
    if held_back(request, seen):
        return False
    if seen.destination is None:
        return made
    return seen.record.digest != seen.digest or not seen.outputs_there


def _leftovers(request: Request, seen: Snapshot) -> list[Step]:
    if not seen.stage_left:
        return []
    return [_sweep_step(request.directory, seen.stage)]


def _sweep_step(directory: str, stage: str) -> Step:
    return Step(
        "clear leftovers of build",
        stage,
        {"stage": stage, "directory": directory},
        before={"leftovers": "a cut-off run's"},
    )


def _build(request: Request, seen: Snapshot) -> mkosi_build.Build:
    return mkosi_build.Build(
        directory=request.directory,
        mkosi=seen.mkosi,
        output=seen.output,
        stage=seen.stage,
        destination=seen.destination,
        timeout=request.timeout,
        user=request.user,
        qcow2=seen.beside.qcow2,
        compress_qcow2=seen.beside.compress_qcow2,
        keep_raw=request.import_as is not None,
        ending=_ending(seen),
        secrets=seen.secrets,
    )


def _ending(seen: Snapshot) -> str:
    if seen.mkosi.number > table.OLDEST or seen.format in _DIRECTORIES:
        return ""
    kind = seen.format if seen.format in ("tar", "cpio") else "raw"
    return f".{kind}" if seen.compression == "none" else f".{kind}.{seen.compression}"


def _build_step(request: Request, seen: Snapshot, needs: frozenset[str]) -> Step:
    return Step(
        "build",
        request.directory,
        {
            "directory": request.directory,
            "build": _build(request, seen),
            "record": _record_after(request, seen),
        },
        before={"digest": seen.record.digest, "mkosi": seen.record.version}
        if seen.record.digest
        else None,
        after={
            "digest": seen.digest,
            "format": seen.format,
            "mkosi": seen.mkosi.text,
            "output": seen.output,
            "kept in": seen.destination or f"image {request.import_as} alone",
        },
        needs=needs,
    )


def _record_after(request: Request, seen: Snapshot) -> Record:
    return dataclasses.replace(
        seen.record,
        files=tuple(sorted(seen.files)),
        digest=seen.digest,
        version=seen.mkosi.text,
        uid=seen.owner,
    )


# --- plan: take away ------------------------------------------------------------------------


def _plan_clean(request: Request, seen: Snapshot) -> Plan:
    steps = _leftovers(request, seen)
    levels = CLEAN_LEVELS[: CLEAN_LEVELS.index(request.clean) + 1]
    found = [level for level in levels if level in seen.to_clean]
    if found:
        steps.append(
            Step(
                "clean",
                request.directory,
                {
                    "directory": request.directory,
                    "build": _build(request, seen),
                    "levels": CLEAN_LEVELS.index(found[-1]),
                    "packages": seen.packages if found[-1] == "all" else (),
                    "record": dataclasses.replace(seen.record, digest=None, outputs=()),
                },
                before=dict.fromkeys(found, "there"),
                after=dict.fromkeys(found, "gone"),
                needs=identities(*steps),
            )
        )
    return ordered(steps)


def plan_absent(request: Request, seen: Remains) -> Plan:
    """Take away what the module made, and nothing else. Pure."""
    steps: list[Step] = []
    if seen.images is not None and request.import_as is not None:
        record = seen.images.records.get(request.import_as)
        if record and (record.kind, record.source) == ("mkosi", request.directory):
            image = images_wanted.Wanted(request.import_as, state="absent")
            steps += images_plan.plan(seen.images, [image])
    steps += [_sweep_step(request.directory, stage) for stage in seen.stages]
    for path in seen.outputs:
        arguments = {"directory": request.directory}
        steps.append(Step("remove output", path, arguments, before={"output": "there"}))
    for name in seen.files:
        steps.append(_remove_step(request.directory, name, {"file": "there"}))
    if seen.recorded:
        arguments = {"directory": request.directory}
        steps.append(Step("forget", request.directory, arguments, needs=identities(*steps)))
    return ordered(steps)
