# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Looks at mkosi directories. Private to the collection.

What is built is known by a digest of all that goes into it. The digest of what is wanted is
computed before anything is changed; where it equals that of what is there, nothing is done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import stat
import typing as t

from .._core import files as core_files
from .._core.plan import Failure
from .._images import model as images_model
from .._images import seen as images_seen
from .._images import wanted as images_wanted
from .._systemd import machined
from . import build as mkosi_build
from . import configuration, formats, host, table, wanted
from . import files as mkosi_files
from . import record as mkosi_record
from . import summary as mkosi_summary
from .record import Record
from .text import Settings
from .translate import Beside
from .wanted import Request

_COMPRESSION_ENDINGS = {"zstd": "zst", "xz": "xz", "gz": "gz", "bz2": "bz2", "lz4": "lz4"}


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A mkosi directory as it is, and what mkosi would make of it as it is wanted."""

    mkosi: host.Version
    record: Record
    files: mkosi_files.Layout
    """What the module writes."""
    present: t.Mapping[str, tuple[str, int, int]]
    """Text, mode and owner of what it writes or wrote."""
    owner: int
    """The user who may read secret files."""
    warnings: tuple[str, ...]
    beside: Beside
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

    record: Record
    recorded: bool
    files: tuple[str, ...]
    outputs: tuple[str, ...]
    stages: tuple[str, ...]
    images: t.Optional[images_model.Snapshot] = None


def snapshot(request: Request) -> Snapshot:
    mkosi = host.version()
    if request.user and mkosi.number <= table.OLDEST:
        raise Failure(
            f"user {request.user}: mkosi {mkosi.number} builds as root alone; leave user out"
        )
    record = mkosi_record.read(request.directory)
    told = configuration.configuration(request, mkosi, record)
    settings, written, beside = told.settings, told.written, told.beside
    layout = mkosi_files.layout(request.contents, written, mkosi.number)
    if request.root_password is not None:
        layout.update(mkosi_files.root_password(beside, mkosi.number))
    unwanted = frozenset(record.files) - set(layout)
    with host.view(request.directory, layout, unwanted) as view:
        with host.without_new_directories(_old_caches(request.directory, settings, mkosi)):
            summary = host.understood(view, mkosi.number)
        _refuse_losses(settings, summary, mkosi)
        untold = mkosi_summary.untold(settings, summary, beside.qcow2, beside.compress_qcow2)
        digest = host.digest(summary, untold, view, request.directory, mkosi, record.salt)
        caches = _caches(summary, view, request.directory, mkosi.number)
    destination = _destination(request, settings)
    output = _output_name(summary)
    stage = mkosi_build.stage_of(request.directory, _stage_root(request, destination))
    return Snapshot(
        mkosi=mkosi,
        record=record,
        files=layout,
        present=_present(request.directory, sorted({*layout, *record.files})),
        owner=mkosi_build.uid_of(request.user) if request.user else 0,
        warnings=written.warnings if written else (),
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
        images=_images(request, beside),
    )


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


def _outputs_there(record: Record, destination: t.Optional[str]) -> bool:
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


def _images(request: Request, beside: Beside) -> t.Optional[images_model.Snapshot]:
    if request.import_as is None:
        return None
    return images_seen.snapshot([wanted.image(request, beside, with_source=False)])


def remains(request: Request) -> Remains:
    """Read what there is to take away. Needs neither mkosi nor a valid configuration."""
    record = mkosi_record.read(request.directory)
    roots = {os.path.dirname(path) for path in record.outputs}
    roots |= {request.directory, machined.MACHINES_DIRECTORY}
    stages = [mkosi_build.stage_of(request.directory, root) for root in sorted(roots)]
    images = None
    if request.import_as is not None:
        images = images_seen.snapshot([images_wanted.Wanted(request.import_as, state="absent")])
    return Remains(
        record=record,
        recorded=mkosi_record.exists(request.directory),
        files=tuple(_present(request.directory, record.files)),
        outputs=tuple(filter(os.path.lexists, record.outputs)),
        stages=tuple(filter(os.path.lexists, stages)),
        images=images,
    )


def _present(directory: str, paths: t.Iterable[str]) -> dict[str, tuple[str, int, int]]:
    """Text, mode and owner of those of our files that are there."""
    found = {}
    for path in paths:
        full = os.path.join(directory, path)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            status = os.lstat(full)
            if stat.S_ISREG(status.st_mode):
                text = core_files.read(full)
                found[path] = (text or "", stat.S_IMODE(status.st_mode), status.st_uid)
            else:
                found[path] = ("", -1, status.st_uid)
    return found


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
    record: Record,
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
