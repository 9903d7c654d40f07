# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Looks at mkosi directories and carries out plans. Private to the collection.

What is built is known by a digest of all that goes into it. The digest of what is wanted is
computed before anything is changed; where it equals that of what is there, nothing is done.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import platform
import typing as t

from .._core import files
from .._core.plan import Failure, Step
from .._images import act, formats, seen, wanted
from .._images import model as images_model
from .._systemd import machined
from . import build as mkosi_build
from . import files as mkosi_files
from . import formats, host, table, translate
from . import plan as mkosi_plan
from . import summary as mkosi_summary
from . import text as mkosi_text
from .plan import Remains, Request, Snapshot
from .text import Settings
from .translate import Translated

_COMPRESSION_ENDINGS = {"zstd": "zst", "xz": "xz", "gz": "gz", "bz2": "bz2", "lz4": "lz4"}


# --- look -----------------------------------------------------------------------------------


def snapshot(request: Request) -> Snapshot:
    mkosi = host.version()
    if request.user and mkosi.number <= table.OLDEST:
        raise Failure(
            f"user {request.user}: mkosi {mkosi.number} builds as root alone; leave user out"
        )
    record = host.read_record(request.directory)
    sections, translated, beside = _configuration(request, mkosi, record)
    files = mkosi_files.layout(request.contents, translated, mkosi.number)
    if request.root_password is not None:
        files.update(mkosi_files.root_password(beside, mkosi.number))
    unwanted = frozenset(record.files) - set(files)
    with host.view(request.directory, files, unwanted) as view:
        with host.without_new_directories(_old_caches(request.directory, sections, mkosi)):
            summary = host.understood(view, mkosi.number)
        _refuse_losses(sections, summary, mkosi)
        untold = mkosi_summary.untold(sections, summary, beside.qcow2, beside.compress_qcow2)
        digest = host.digest(summary, untold, view, request.directory, mkosi, record.salt)
        caches = _caches(summary, view, request.directory, mkosi.number)
    destination = _destination(request, sections)
    output = _output_name(summary)
    stage = mkosi_build.stage_of(request.directory, _stage_root(request, destination))
    return Snapshot(
        mkosi=mkosi,
        record=record,
        files=files,
        present=host.present(request.directory, sorted({*files, *record.files})),
        owner=mkosi_build.uid_of(request.user) if request.user else 0,
        warnings=translated.warnings if translated else (),
        beside=beside,
        output=output,
        format=summary.format,
        compression=_compression(summary),
        digest=digest,
        destination=destination,
        outputs_there=_outputs_there(record, destination),
        stage=stage,
        stage_left=os.path.lexists(stage),
        to_clean=_to_clean(record, destination, output, caches),
        packages=caches["packages"],
        images=_seen_images(request, beside),
    )


def _configuration(
    request: Request, mkosi: host.Version, record: host.Record
) -> tuple[Settings, t.Optional[Translated], translate.Beside]:
    """What mkosi is told, the translation if the module writes it, and what has no place in it."""
    sections, ours = request.config, True
    if sections is None:
        sections, ours = _own_configuration(request.directory, record)
    sections = _with_password(sections, request.root_password)
    if ours:
        sections = formats.without_el_torito(
            _with_defaults(sections, request), mkosi.number, request.contents.repart
        )
    translated = translate.translate(
        sections,
        mkosi.number,
        machine=platform.machine(),
        compression="zstd" if formats.reads_zstd(machined.systemd_version()) else "gz",
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
        if translated.beside.root_password_hashed and mkosi.number <= table.OLDEST:
            raise Failure(
                f"root_password is a hash, of which {request.directory}/mkosi.conf would have to"
                " tell mkosi 14. Give its contents as config, and it is written anew"
            )
        return translated.settings, None, translated.beside
    return translated.settings, translated, translated.beside


def _own_configuration(directory: str, record: host.Record) -> tuple[Settings, bool]:
    """The configuration that stands in the directory; an old one is translated into a new file."""
    new = os.path.join(directory, mkosi_files.CONFIGURATION)
    old = os.path.join(directory, mkosi_files.OLD_CONFIGURATION)
    text = None if mkosi_files.CONFIGURATION in record.files else files.read(new)
    if text is not None:
        parsed = mkosi_text.parse(text, new)
        return {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()}, False
    text = files.read(old)
    if text is None:
        raise Failure(
            f"{directory} has neither mkosi.conf nor mkosi.default of its own; give config"
        )
    parsed = mkosi_text.parse(text, old)
    return {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()}, True


def _with_password(sections: Settings, password: t.Optional[str]) -> Settings:
    if password is None:
        return sections
    if {name for keys in sections.values() for name in keys} & {"Password", "RootPassword"}:
        raise Failure("the root password is given twice: as root_password and in config")
    content = {**sections.get("Content", {}), "RootPassword": (password,)}
    return {**sections, "Content": content}


def _with_defaults(sections: Settings, request: Request) -> dict[str, dict[str, t.Any]]:
    """What goes without saying for an image that is to be imported."""
    result = {section: dict(keys) for section, keys in sections.items()}
    named = {name for keys in result.values() for name in keys}
    output = result.setdefault("Output", {})
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


def _refuse_losses(sections: Settings, summary: mkosi_summary.Summary, mkosi: host.Version) -> None:
    missing = mkosi_summary.lost(sections, summary)
    if missing:
        raise Failure(
            f"mkosi {mkosi.text} did not understand all of the configuration, and nothing was"
            f" built: {'; '.join(missing)}"
        )


def _destination(request: Request, sections: Settings) -> t.Optional[str]:
    for keys in sections.values():
        if keys.get("OutputDirectory"):
            return os.path.normpath(os.path.join(request.directory, keys["OutputDirectory"][-1]))
    own = os.path.join(os.path.normpath(request.directory), "mkosi.output")
    if os.path.isdir(own):
        return own
    return None if request.import_as else os.path.normpath(request.directory)


def _old_caches(directory: str, sections: Settings, mkosi: host.Version) -> list[str]:
    if mkosi.number > table.OLDEST:
        return []
    values = (keys.get(name) for keys in sections.values() for name in ("Cache", "BuildDirectory"))
    return [os.path.normpath(os.path.join(directory, value[-1])) for value in values if value]


def _outputs_there(record: host.Record, destination: t.Optional[str]) -> bool:
    """Whether all that the last build left lies where it would lie now."""
    return (
        bool(record.outputs and destination)
        and all(map(os.path.lexists, record.outputs))
        and {os.path.dirname(path) for path in record.outputs} == {destination}
    )


def _stage_root(request: Request, destination: t.Optional[str]) -> str:
    """Where a finished output only has to be renamed."""
    if destination is not None:
        return destination
    # An ordinary user may not look into the directory of all images.
    return request.directory if request.user else machined.MACHINES_DIRECTORY


def _output_name(summary: mkosi_summary.Summary) -> str:
    name = os.path.basename(summary.text("Output") or "image")
    return formats.without_endings(name) if summary.old else name


def _compression(summary: mkosi_summary.Summary) -> str:
    label = "Outer (output) Compression" if summary.old else "CompressOutput"
    word = summary.text(label) or "none"
    return {"no": "none"}.get(word, _COMPRESSION_ENDINGS.get(word, word))


def _seen_images(request: Request, beside: translate.Beside) -> t.Optional[images_model.Snapshot]:
    if request.import_as is None:
        return None
    return seen.snapshot([mkosi_plan.wanted_image(request, beside, with_source=False)])


def remains(request: Request) -> Remains:
    """Look for it. Needs neither mkosi nor a valid configuration."""
    record = host.read_record(request.directory)
    roots = {os.path.dirname(path) for path in record.outputs}
    roots |= {request.directory, machined.MACHINES_DIRECTORY}
    stages = [mkosi_build.stage_of(request.directory, root) for root in sorted(roots)]
    images = None
    if request.import_as is not None:
        images = seen.snapshot([wanted.Wanted(request.import_as, state="absent")])
    return Remains(
        record=record,
        recorded=host.is_recorded(request.directory),
        files=tuple(host.present(request.directory, record.files)),
        outputs=tuple(filter(os.path.lexists, record.outputs)),
        stages=tuple(filter(os.path.lexists, stages)),
        images=images,
    )


# --- clean: what there would be -------------------------------------------------------------


def _caches(
    summary: mkosi_summary.Summary, view: str, directory: str, number: int
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
        package, cache = path("PackageCacheDirectory"), path("CacheDirectory")
        build = path("BuildSubdirectory") or path("BuildDirectory")
    kept = glob.glob(f"{glob.escape(cache)}/*.cache*") if cache else []
    # The lists of packages and their keys: with the images up to mkosi 25, then with the packages.
    lists = [one for one in kept if number >= table.LEAVES_PACKAGES and one.endswith(_LISTS)]
    images = [glob.escape(one) for one in kept if one not in lists]
    return {
        "incremental": tuple([f"{glob.escape(build)}/*"] if build else []) + tuple(images),
        "all": tuple(glob.escape(one) for one in lists) + _packages(package, summary.old),
        "packages": _packages(package, summary.old) if number >= table.LEAVES_PACKAGES else (),
    }


_LISTS = (".metadata.cache", ".keyring.cache")


def _packages(package: t.Optional[str], old: bool) -> tuple[str, ...]:
    """mkosi 14 empties its cache; newer ones leave the two directories in theirs."""
    below = ("*",) if old else ("cache/*", "lib/*")
    return tuple(f"{glob.escape(package)}/{one}" for one in below) if package else ()


def _to_clean(
    record: host.Record,
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
    for level in ("incremental", "all"):
        if any(glob.glob(pattern) for pattern in caches[level]):
            found.append(level)
    return tuple(found)


# --- apply ----------------------------------------------------------------------------------


def _write(step: Step) -> None:
    file: mkosi_files.File = step.arguments["file"]
    files.write(step.subject, file.text, mode=file.mode)
    if step.arguments["owner"]:
        os.chown(step.subject, step.arguments["owner"], -1)


def _remove(step: Step) -> None:
    files.remove(step.subject)
    directory = os.path.dirname(step.subject)
    while os.path.basename(directory).startswith("mkosi.") or "/mkosi." in directory:
        files.remove_empty_directory(directory)
        if os.path.isdir(directory):
            break
        directory = os.path.dirname(directory)


def _run_build(step: Step) -> None:
    build: mkosi_build.Build = step.arguments["build"]
    products = mkosi_build.run(build)
    record: host.Record = step.arguments["record"]
    kept = tuple(products) if build.destination else ()
    for path in set(record.outputs) - set(kept):
        mkosi_build.remove(path)
    host.write_record(dataclasses.replace(record, outputs=kept))
    if build.destination:
        mkosi_build.sweep(build.directory, build.stage)


def _import(step: Step) -> None:
    """Hand what was built to the images' room, and clear the stage."""
    build: mkosi_build.Build = step.arguments["build"]
    products = (
        host.read_record(build.directory).outputs
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
        act.VERBS[step.verb](dataclasses.replace(step, arguments=arguments))
    finally:
        if not build.destination:
            mkosi_build.sweep(build.directory, build.stage)


def _clean(step: Step) -> None:
    mkosi_build.clean(step.arguments["build"], step.arguments["levels"])
    for pattern in step.arguments["packages"]:
        for path in glob.glob(pattern):
            mkosi_build.remove(path)
    for path in host.read_record(step.subject).outputs:
        mkosi_build.remove(path)
    host.write_record(step.arguments["record"])


def _forget(step: Step) -> None:
    for output in host.read_record(step.subject).outputs:
        if output.startswith(f"{step.subject}/"):
            files.remove_empty_directory(os.path.dirname(output))
    files.remove_empty_directory(step.subject)
    host.forget(step.subject)


VERBS: t.Mapping[str, t.Callable[[Step], None]] = {
    **act.VERBS,
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


def claim(request: Request, seen: Snapshot) -> None:
    """Say which files are ours before they are written: a killed run must not disown them."""
    ours = tuple(sorted({*seen.record.files, *seen.files}))
    if request.state == "built" and ours != seen.record.files:
        host.write_record(dataclasses.replace(seen.record, files=ours))


def settle(request: Request, seen: Snapshot) -> None:
    """And afterwards, which are left."""
    record = host.read_record(request.directory)
    ours = tuple(sorted(seen.files))
    if request.state == "built" and record.files != ours and record.salt == seen.record.salt:
        host.write_record(dataclasses.replace(record, files=ours))


def tell(request: Request, seen: Snapshot) -> dict[str, t.Any]:
    """A build as the module returns it."""
    return {
        "directory": request.directory,
        "mkosi": seen.mkosi.text,
        "format": seen.format,
        "digest": seen.digest,
        "outputs": list(host.read_record(request.directory).outputs),
        "translated": list(seen.warnings),
        "image": request.import_as,
        "drift": mkosi_plan.held_back(request, seen),
    }
