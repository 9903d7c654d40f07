# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Images built with mkosi: look, plan, build. Private to the collection.

What is built is known by a digest of all that goes into it. The digest of what is wanted is
computed before anything is changed; where it equals that of what is there, nothing is done.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import platform
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils import (
    _files,
    _images,
    _images_plan,
    _machined,
    _mkosi_build,
    _mkosi_files,
    _mkosi_host,
    _mkosi_summary,
    _mkosi_translate,
    _sources,
)
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi_translate import Translated
from ansible_collections.nspawn.machined.plugins.module_utils._plan import (
    Failure,
    Plan,
    Step,
    identities,
    ordered,
)

Sections = t.Mapping[str, t.Mapping[str, _mkosi_translate.Values]]

HIDDEN = "(not shown)"
CLEAN_LEVELS = ("outputs", "incremental", "all")
DEFAULT_TIMEOUT = 3600

_COMPRESSION_ENDINGS = {"zstd": "zst", "xz": "xz", "gz": "gz", "bz2": "bz2", "lz4": "lz4"}
_DIRECTORIES = ("directory", "subvolume")
_ARCHIVES = ("tar",)


# --- what is wanted -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Request:
    """One mkosi directory and what shall come out of it."""

    directory: str
    config: t.Optional[Sections] = None
    """Nothing: the directory has its own."""
    contents: _mkosi_files.Contents = dataclasses.field(default_factory=_mkosi_files.Contents)
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
    if not os.path.isabs(request.directory) or os.path.normpath(request.directory) == "/":
        raise Failure(
            f"directory {request.directory!r}: expected the absolute path of a directory for the"
            " configuration, which is made when it is missing"
        )
    if request.import_as is not None:
        _machined.check_image_name(request.import_as)
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


# --- look -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A mkosi directory as it is, and what mkosi would make of it as it is wanted."""

    mkosi: _mkosi_host.Version
    record: _mkosi_host.Record
    files: _mkosi_files.Layout
    """What the module writes."""
    present: t.Mapping[str, tuple[str, int, int]]
    """Text, mode and owner of what it writes or wrote."""
    owner: int
    """The user who may read secret files."""
    warnings: tuple[str, ...]
    beside: _mkosi_translate.Wanted
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
    images: t.Optional[_images_plan.Snapshot] = None


def snapshot(request: Request) -> Snapshot:
    mkosi = _mkosi_host.version()
    record = _mkosi_host.read_record(request.directory)
    sections, translated = _configuration(request, mkosi, record)
    files = _mkosi_files.layout(request.contents, translated, mkosi.number)
    unwanted = frozenset(record.files) - set(files)
    with _mkosi_host.view(request.directory, files, unwanted) as view:
        summary = _mkosi_host.understood(view, mkosi.number)
        _refuse_losses(sections, summary, mkosi)
        digest = _mkosi_host.digest(summary, view, request.directory, mkosi, record.salt)
        caches = _caches(summary, view, request.directory)
    beside = translated.beside if translated else _mkosi_translate.Wanted()
    destination = _destination(request, sections)
    output = _output_name(summary)
    stage = _mkosi_build.stage_of(request.directory, _stage_root(request, destination))
    return Snapshot(
        mkosi=mkosi,
        record=record,
        files=files,
        present=_mkosi_host.present(request.directory, sorted({*files, *record.files})),
        owner=_mkosi_build.uid_of(request.user) if request.user else 0,
        warnings=translated.warnings if translated else (),
        beside=beside,
        output=output,
        format=summary.format,
        compression=_compression(summary),
        digest=digest,
        destination=destination,
        outputs_there=bool(record.outputs) and all(map(os.path.lexists, record.outputs)),
        stage=stage,
        stage_left=os.path.lexists(stage),
        to_clean=_to_clean(record, destination, output, caches),
        images=_seen_images(request, beside),
    )


def _configuration(
    request: Request, mkosi: _mkosi_host.Version, record: _mkosi_host.Record
) -> tuple[Sections, t.Optional[Translated]]:
    """What mkosi is to be told, and the translation if the module writes it."""
    sections, ours = request.config, True
    if sections is None:
        sections, ours = _own_configuration(request.directory, record)
    sections = _with_defaults(sections, request) if ours else sections
    translated = _mkosi_translate.translate(
        sections,
        mkosi.number,
        machine=platform.machine(),
        compression="zstd" if _sources.reads_zstd(_machined.systemd_version()) else "gz",
        own_repart=bool(request.contents.repart),
        qcow2=request.qcow2,
    )
    if not ours:
        # A person's own file: looked through for what would be lost, and left alone.
        if translated.warnings:
            raise Failure(
                f"{request.directory}/mkosi.conf is not written for mkosi {mkosi.number}: "
                + "; ".join(translated.warnings)
                + ". Give its contents as config, or its text, and it is written anew"
            )
        return translated.settings, None
    return translated.settings, translated


def _own_configuration(directory: str, record: _mkosi_host.Record) -> tuple[Sections, bool]:
    """The configuration that stands in the directory; an old one is translated into a new file."""
    new = os.path.join(directory, _mkosi_files.CONFIGURATION)
    old = os.path.join(directory, _mkosi_files.OLD_CONFIGURATION)
    text = None if _mkosi_files.CONFIGURATION in record.files else _files.read(new)
    if text is not None:
        parsed = _mkosi_translate.parse(text, new)
        return {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()}, False
    text = _files.read(old)
    if text is None:
        raise Failure(
            f"{directory} has neither mkosi.conf nor mkosi.default of its own; give config"
        )
    parsed = _mkosi_translate.parse(text, old)
    return {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()}, True


def _with_defaults(sections: Sections, request: Request) -> dict[str, dict[str, t.Any]]:
    """What goes without saying for an image that is to be imported."""
    result = {section: dict(keys) for section, keys in sections.items()}
    named = {name for keys in result.values() for name in keys}
    output = result.setdefault("Output", {})
    if request.root_password is not None:
        if named & {"Password", "RootPassword"}:
            raise Failure("the root password is given twice: as root_password and in config")
        result.setdefault("Content", {})["RootPassword"] = (request.root_password,)
    if request.import_as is None:
        return {section: keys for section, keys in result.items() if keys}
    if "Format" not in named:
        # A tree needs no unpacking; but one made without root belongs to strange users.
        output["Format"] = ("tar",) if request.user else ("directory",)
    if "Output" not in named:
        output["Output"] = (request.import_as,)
    if output.get("Format") == ("tar",) and not named & {"Compress", "CompressOutput", "XZ"}:
        output["CompressOutput"] = ("no",)
    return {section: keys for section, keys in result.items() if keys}


def _refuse_losses(
    sections: Sections, summary: _mkosi_summary.Summary, mkosi: _mkosi_host.Version
) -> None:
    missing = _mkosi_summary.lost(sections, summary)
    if missing:
        raise Failure(
            f"mkosi {mkosi.text} did not understand all of the configuration, and nothing was"
            f" built: {'; '.join(missing)}"
        )


def _destination(request: Request, sections: Sections) -> t.Optional[str]:
    for keys in sections.values():
        if keys.get("OutputDirectory"):
            return os.path.join(request.directory, keys["OutputDirectory"][-1])
    own = os.path.join(request.directory, "mkosi.output")
    if os.path.isdir(own):
        return own
    return None if request.import_as else request.directory


def _stage_root(request: Request, destination: t.Optional[str]) -> str:
    """Where a finished output only has to be renamed."""
    if destination is not None:
        return destination
    # An ordinary user may not look into the directory of all images.
    return request.directory if request.user else _machined.MACHINES_DIRECTORY


def _output_name(summary: _mkosi_summary.Summary) -> str:
    name = os.path.basename(summary.text("Output") or "image")
    return _mkosi_translate.without_endings(name) if summary.old else name


def _compression(summary: _mkosi_summary.Summary) -> str:
    label = "Outer (output) Compression" if summary.old else "CompressOutput"
    word = summary.text(label) or "none"
    return {"no": "none"}.get(word, _COMPRESSION_ENDINGS.get(word, word))


def _seen_images(
    request: Request, beside: _mkosi_translate.Wanted
) -> t.Optional[_images_plan.Snapshot]:
    if request.import_as is None:
        return None
    return _images.snapshot([_wanted_image(request, beside, with_source=False)])


def _wanted_image(
    request: Request,
    beside: _mkosi_translate.Wanted,
    *,
    with_source: bool = True,
    digest: t.Optional[str] = None,
) -> _images_plan.Wanted:
    read_only = request.read_only
    if read_only is None and beside.read_only:
        read_only = True
    return _images_plan.Wanted(
        name=request.import_as or "",
        path=request.directory if with_source else None,
        read_only=read_only,
        update=request.update or request.force,
        digest=digest,
    )


# --- clean: what there would be -------------------------------------------------------------


def _caches(
    summary: _mkosi_summary.Summary, view: str, directory: str
) -> dict[str, tuple[str, ...]]:
    """The globs that would find something to clean, by level."""
    main = summary.main

    def path(name: str) -> t.Optional[str]:
        value = main.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        return value.replace(view, directory) if isinstance(value, str) else None

    if summary.old:
        package, build, cache = path("Package Cache"), path("Build Directory"), None
        package = package if package and package.startswith("/") else None
        build = build if build and build.startswith("/") else None
    else:
        package, build, cache = (
            path("PackageCacheDirectory"),
            path("BuildDirectory"),
            path("CacheDirectory"),
        )
    incremental = [f"{glob.escape(build)}/*"] if build else []
    incremental += [f"{glob.escape(cache)}/*.cache*"] if cache else []
    return {
        "incremental": tuple(incremental),
        "all": (f"{glob.escape(package)}/*",) if package else (),
    }


def _to_clean(
    record: _mkosi_host.Record,
    destination: t.Optional[str],
    output: str,
    caches: t.Mapping[str, t.Sequence[str]],
) -> tuple[str, ...]:
    found = []
    outputs = list(filter(os.path.lexists, record.outputs))
    if destination:
        outputs += [os.path.join(destination, output)]
        outputs += glob.glob(os.path.join(glob.escape(destination), glob.escape(output) + ".*"))
    if any(os.path.lexists(path) for path in outputs):
        found.append("outputs")
    for level, patterns in caches.items():
        if any(glob.glob(pattern) for pattern in patterns):
            found.append(level)
    return tuple(found)


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
        owner = seen.owner if file.secret else 0
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


def _shown(file: _mkosi_files.File, text: str, mode: int, other: bool = False) -> str:
    if file.secret:
        return f"{HIDDEN}{' (another one)' if other else ''}\n"
    return text if mode in (0o644, 0o755) else f"(mode {mode:04o})\n{text}"


def _image_steps(request: Request, seen: Snapshot) -> list[Step]:
    if request.import_as is None or seen.images is None:
        return []
    images = seen.images
    source = _sources.Source(
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
    wanted = _wanted_image(request, seen.beside, digest=seen.digest)
    images = dataclasses.replace(images, sources={request.import_as: source})
    steps = _images_plan.plan(images, [wanted])
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


def _build(request: Request, seen: Snapshot) -> _mkosi_build.Build:
    secrets = (request.root_password, seen.beside.root_password)
    hashes = (user.password for user in request.contents.users)
    return _mkosi_build.Build(
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
        secrets=tuple(one for one in (*secrets, *hashes) if one and len(one) > 5),
    )


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


def _record_after(request: Request, seen: Snapshot) -> _mkosi_host.Record:
    return dataclasses.replace(
        seen.record,
        files=tuple(sorted(seen.files)),
        digest=seen.digest,
        version=seen.mkosi.text,
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
                    "record": dataclasses.replace(seen.record, digest=None, outputs=()),
                },
                before=dict.fromkeys(found, "there"),
                after=dict.fromkeys(found, "gone"),
                needs=identities(*steps),
            )
        )
    return ordered(steps)


@dataclasses.dataclass(frozen=True)
class Remains:
    """What the module has left in a directory, for taking it away."""

    record: _mkosi_host.Record
    recorded: bool
    files: tuple[str, ...]
    outputs: tuple[str, ...]
    stages: tuple[str, ...]
    images: t.Optional[_images_plan.Snapshot] = None


def remains(request: Request) -> Remains:
    """Look for it. Needs neither mkosi nor a valid configuration."""
    record = _mkosi_host.read_record(request.directory)
    roots = {os.path.dirname(path) for path in record.outputs}
    roots |= {request.directory, _machined.MACHINES_DIRECTORY}
    stages = [_mkosi_build.stage_of(request.directory, root) for root in sorted(roots)]
    images = None
    if request.import_as is not None:
        images = _images.snapshot([_images_plan.Wanted(request.import_as, state="absent")])
    return Remains(
        record=record,
        recorded=_mkosi_host.is_recorded(request.directory),
        files=tuple(_mkosi_host.present(request.directory, record.files)),
        outputs=tuple(filter(os.path.lexists, record.outputs)),
        stages=tuple(filter(os.path.lexists, stages)),
        images=images,
    )


def plan_absent(request: Request, seen: Remains) -> Plan:
    """Take away what the module made, and nothing else. Pure."""
    steps: list[Step] = []
    if seen.images is not None and request.import_as is not None:
        record = seen.images.records.get(request.import_as)
        if record and (record.kind, record.source) == ("mkosi", request.directory):
            wanted = _images_plan.Wanted(request.import_as, state="absent")
            steps += _images_plan.plan(seen.images, [wanted])
    steps += [_sweep_step(request.directory, stage) for stage in seen.stages]
    for path in seen.outputs:
        steps.append(Step("remove output", path, before={"output": "there"}))
    for name in seen.files:
        path = os.path.join(request.directory, name)
        steps.append(Step("remove", path, before={"file": "there"}))
    if seen.recorded:
        steps.append(Step("forget", request.directory, needs=identities(*steps)))
    return ordered(steps)


# --- apply ----------------------------------------------------------------------------------


def _write(step: Step) -> None:
    file: _mkosi_files.File = step.arguments["file"]
    _files.write(step.subject, file.text, mode=file.mode)
    if step.arguments["owner"]:
        os.chown(step.subject, step.arguments["owner"], -1)


def _remove(step: Step) -> None:
    _files.remove(step.subject)
    directory = os.path.dirname(step.subject)
    while os.path.basename(directory).startswith("mkosi.") or "/mkosi." in directory:
        _files.remove_empty_directory(directory)
        if os.path.isdir(directory):
            break
        directory = os.path.dirname(directory)


def _run_build(step: Step) -> None:
    build: _mkosi_build.Build = step.arguments["build"]
    products = _mkosi_build.run(build)
    record: _mkosi_host.Record = step.arguments["record"]
    kept = tuple(products) if build.destination else ()
    for path in set(record.outputs) - set(kept):
        _mkosi_build.remove(path)
    _mkosi_host.write_record(dataclasses.replace(record, outputs=kept))
    if build.destination:
        _mkosi_build.sweep(build.directory, build.stage)


def _import(step: Step) -> None:
    """Hand what was built to the images' room, and clear the stage."""
    build: _mkosi_build.Build = step.arguments["build"]
    products = (
        _mkosi_host.read_record(build.directory).outputs
        if build.destination
        else _mkosi_build.products(build)
    )
    path = _mkosi_build.image_in(products, build.output)
    arguments = dict(step.arguments)
    arguments["source"] = dataclasses.replace(
        arguments["source"],
        file=path,
        compression=_sources.by_name(path)[1],
        size=None if os.path.isdir(path) else os.path.getsize(path),
    )
    _images.VERBS[step.verb](dataclasses.replace(step, arguments=arguments))
    if not build.destination:
        _mkosi_build.sweep(build.directory, build.stage)


def _clean(step: Step) -> None:
    _mkosi_build.clean(step.arguments["build"], step.arguments["levels"])
    for path in _mkosi_host.read_record(step.subject).outputs:
        _mkosi_build.remove(path)
    _mkosi_host.write_record(step.arguments["record"])


def _forget(step: Step) -> None:
    _files.remove_empty_directory(step.subject)
    _mkosi_host.forget(step.subject)


VERBS: t.Mapping[str, t.Callable[[Step], None]] = {
    **_images.VERBS,
    "write": _write,
    "remove": _remove,
    "clear leftovers of build": lambda s: _mkosi_build.sweep(
        s.arguments["directory"], s.arguments["stage"]
    ),
    "build": _run_build,
    "clean": _clean,
    "remove output": lambda s: _mkosi_build.remove(s.subject),
    "forget": _forget,
    "import image": _import,
    "replace image": _import,
}


def claim(request: Request, seen: Snapshot) -> None:
    """Say which files are ours before they are written: a killed run must not disown them."""
    ours = tuple(sorted({*seen.record.files, *seen.files}))
    if request.state == "built" and ours != seen.record.files:
        _mkosi_host.write_record(dataclasses.replace(seen.record, files=ours))


def settle(request: Request, seen: Snapshot) -> None:
    """And afterwards, which are left."""
    record = _mkosi_host.read_record(request.directory)
    ours = tuple(sorted(seen.files))
    if request.state == "built" and record.files != ours and record.salt == seen.record.salt:
        _mkosi_host.write_record(dataclasses.replace(record, files=ours))


def tell(request: Request, seen: Snapshot) -> dict[str, t.Any]:
    """A build as the module returns it."""
    return {
        "directory": request.directory,
        "mkosi": seen.mkosi.text,
        "format": seen.format,
        "digest": seen.digest,
        "outputs": list(_mkosi_host.read_record(request.directory).outputs),
        "image": request.import_as,
        "drift": held_back(request, seen),
    }
