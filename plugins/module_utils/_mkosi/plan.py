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

from .._core.plan import Failure, Plan, Step, identities, ordered
from .._images import model as images_model
from .._images import plan as images_plan
from .._images import wanted as images_wanted
from .._systemd import machined
from . import build, host, table, translate
from . import files as mkosi_files
from .text import Settings

HIDDEN = "(not shown)"
CLEAN_LEVELS = ("outputs", "incremental", "all")
DEFAULT_TIMEOUT = 3600

_DIRECTORIES = ("directory", "subvolume")
_ARCHIVES = ("tar",)


# --- what is wanted -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Request:
    """One mkosi directory and what shall come out of it."""

    directory: str
    config: t.Optional[Settings] = None
    """Nothing: the directory has its own."""
    contents: mkosi_files.Contents = dataclasses.field(default_factory=mkosi_files.Contents)
    state: str = "built"
    clean: str = "outputs"
    force: bool = False
    import_as: t.Optional[str] = None
    update: bool = True
    read_only: t.Optional[bool] = None
    qcow2: bool = False
    root_password: t.Optional[str] = None
    user: t.Optional[str] = None
    timeout: float = DEFAULT_TIMEOUT


def check(request: Request) -> None:
    if not os.path.isabs(request.directory) or not os.path.normpath(request.directory).strip("/"):
        raise Failure(
            f"directory {request.directory!r}: expected the absolute path of a directory for the"
            " configuration, which is made when it is missing"
        )
    if request.import_as is not None:
        machined.check_image_name(request.import_as)
    if request.read_only is not None and request.import_as is None:
        raise Failure("read_only is a property of the image; name it with import_as")
    if request.timeout <= 0:
        raise Failure(f"timeout {request.timeout:g} is not above 0")


def check_all(requests: t.Sequence[Request]) -> None:
    for what, values in (
        ("directory", [request.directory for request in requests]),
        ("import_as", [request.import_as for request in requests if request.import_as]),
    ):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise Failure(f"builds: the same {what} is given twice: {', '.join(twice)}")


# --- what is there --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A mkosi directory as it is, and what mkosi would make of it as it is wanted."""

    mkosi: host.Version
    record: host.Record
    files: mkosi_files.Layout
    """What the module writes."""
    present: t.Mapping[str, tuple[str, int, int]]
    """Text, mode and owner of what it writes or wrote."""
    owner: int
    """The user who may read secret files."""
    warnings: tuple[str, ...]
    beside: translate.Beside
    output: str
    format: str
    compression: str
    digest: str
    destination: t.Optional[str]
    """Where the output is kept; nothing when it only becomes an image."""
    outputs_there: bool
    stage: str
    stage_left: bool
    to_clean: tuple[str, ...] = ()
    """What each level of clean would find, as names of levels."""
    packages: tuple[str, ...] = ()
    """Globs of what mkosi leaves of the last level."""
    images: t.Optional[images_model.Snapshot] = None


@dataclasses.dataclass(frozen=True)
class Remains:
    """What the module has left in a directory, for taking it away."""

    record: host.Record
    recorded: bool
    files: tuple[str, ...]
    outputs: tuple[str, ...]
    stages: tuple[str, ...]
    images: t.Optional[images_model.Snapshot] = None


# --- plan -----------------------------------------------------------------------------------


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


def _file_steps(request: Request, seen: Snapshot) -> list[Step]:
    steps = []
    for path, file in seen.files.items():
        # Who builds must be able to read it; what others may not read is theirs alone.
        owner = 0 if file.mode & 0o004 else seen.owner
        found = seen.present.get(path)
        if found == (file.text, file.mode, owner):
            continue
        steps.append(
            Step(
                "write",
                os.path.join(request.directory, path),
                {"file": file, "owner": owner},
                before=None if found is None else _shown(file, found[0], found[1]),
                after=_shown(file, file.text, file.mode, other=found is not None),
            )
        )
    for path in sorted(set(seen.present) - set(seen.files)):
        found = seen.present[path]
        secret = path == "mkosi.rootpw" or found[1] & 0o077 == 0
        before = HIDDEN if secret else found[0]
        steps.append(Step("remove", os.path.join(request.directory, path), before=before))
    return steps


def _shown(file: mkosi_files.File, text: str, mode: int, other: bool = False) -> str:
    if file.secret:
        return f"{HIDDEN}{' (another one)' if other else ''}\n"
    return text if mode in (0o644, 0o755) else f"(mode {mode:04o})\n{text}"


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
    wanted = wanted_image(request, seen.beside, digest=seen.digest)
    images = dataclasses.replace(images, sources={request.import_as: source})
    steps = images_plan.plan(images, [wanted])
    # The digest is what tells two builds apart.
    return [
        dataclasses.replace(
            step,
            arguments={**step.arguments, "build": _build(request, seen)},
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


def _build(request: Request, seen: Snapshot) -> build.Build:
    secrets = (request.root_password, seen.beside.root_password)
    hashes = (user.password for user in request.contents.users)
    return build.Build(
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
        secrets=tuple(one for one in (*secrets, *hashes) if one and len(one) > 5),
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
        {"build": _build(request, seen), "record": _record_after(request, seen)},
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


def _record_after(request: Request, seen: Snapshot) -> host.Record:
    return dataclasses.replace(
        seen.record,
        files=tuple(sorted(seen.files)),
        digest=seen.digest,
        version=seen.mkosi.text,
    )


def wanted_image(
    request: Request,
    beside: translate.Beside,
    *,
    with_source: bool = True,
    digest: t.Optional[str] = None,
) -> images_wanted.Wanted:
    read_only = request.read_only
    if read_only is None and beside.read_only:
        read_only = True
    return images_wanted.Wanted(
        name=request.import_as or "",
        path=request.directory if with_source else None,
        read_only=read_only,
        update=request.update or request.force,
        digest=digest,
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
            wanted = images_wanted.Wanted(request.import_as, state="absent")
            steps += images_plan.plan(seen.images, [wanted])
    steps += [_sweep_step(request.directory, stage) for stage in seen.stages]
    for path in seen.outputs:
        steps.append(Step("remove output", path, before={"output": "there"}))
    for name in seen.files:
        path = os.path.join(request.directory, name)
        steps.append(Step("remove", path, before={"file": "there"}))
    if seen.recorded:
        steps.append(Step("forget", request.directory, needs=identities(*steps)))
    return ordered(steps)
