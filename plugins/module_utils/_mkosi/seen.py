# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Looks at mkosi directories. Private to the collection.

What is built is known by a digest of all that goes into it. The digest of what is wanted is
computed before anything is changed; where it equals that of what is there, nothing is done.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import typing as t

from .._core.plan import Failure
from .._images import model as images_model
from .._images import seen as images_seen
from .._images import wanted as images_wanted
from .._systemd import machined
from . import build as mkosi_build
from . import configuration, digest, formats, ground, host, secret, table, view, wanted, within
from . import files as mkosi_files
from . import record as mkosi_record
from . import summary as mkosi_summary
from .builder import Builder
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
    secrets: tuple[str, ...] = ()
    """Words that mkosi may say, and that are not told."""


@dataclasses.dataclass(frozen=True)
class Remains:
    """What the module has left in a directory, for taking it away."""

    record: Record
    recorded: bool
    files: tuple[str, ...]
    outputs: tuple[str, ...]
    stages: tuple[str, ...]
    images: t.Optional[images_model.Snapshot] = None


def snapshot(request: Request, builder: Builder) -> Snapshot:
    mkosi = host.version()
    if request.user and mkosi.number <= table.OLDEST:
        raise Failure(
            f"user {request.user}: mkosi {mkosi.number} builds as root alone; leave user out"
        )
    _check_ground(request.directory, builder)
    record = mkosi_record.read(request.directory)

    def read(path: str) -> t.Optional[str]:
        return t.cast("t.Optional[str]", builder.call(within.text_of, path))

    told = configuration.configuration(request, mkosi, record, read)
    layout = mkosi_files.layout(request.contents, told.written, mkosi.number)
    if request.root_password is not None:
        layout.update(mkosi_files.root_password(told.beside, mkosi.number))
    present = _present(request.directory, builder, layout, record)
    destination = _destination(request, told.settings, builder)
    _check_destination(request, destination, builder)
    secrets = _secrets(request, told)
    examined = _examined(request, builder, mkosi, record, told, layout, secrets)
    summary, caches = examined.summary, examined.caches
    output = _output_name(summary)
    stage = mkosi_build.stage_of(request.directory, _stage_root(request, destination))
    return Snapshot(
        mkosi=mkosi,
        record=record,
        files=layout,
        present=present,
        owner=builder.account.uid,
        warnings=told.written.warnings if told.written else (),
        beside=told.beside,
        output=output,
        format=summary.format,
        compression=_compression(summary),
        digest=examined.digest,
        destination=destination,
        outputs_there=_outputs_there(record, destination, builder),
        stage=stage,
        stage_left=bool(builder.call(within.there, [stage])),
        to_clean=_to_clean(record, destination, output, caches, builder),
        packages=caches["packages"],
        images=_images(request, told.beside),
        secrets=secrets,
    )


def _secrets(request: Request, told: configuration.Configuration) -> tuple[str, ...]:
    words = {request.root_password, told.beside.root_password}
    words |= {user.password for user in request.contents.users}
    words |= set(secret.values_of(told.settings))
    return tuple(sorted(word for word in words if word and len(word) > 5))


def _check_ground(directory: str, builder: Builder) -> None:
    found = ground.look(directory)
    ground.check(found, builder.account)
    if found.there:
        builder.call(ground.check_entries, directory, builder.account.uid)


def _check_destination(request: Request, destination: t.Optional[str], builder: Builder) -> None:
    if destination is not None and destination != os.path.normpath(request.directory):
        found = ground.look(destination)
        ground.check(found, builder.account, "OutputDirectory", danger=ground.WRITE)


@dataclasses.dataclass(frozen=True)
class _Examined:
    """What mkosi makes of the directory as it is wanted."""

    summary: mkosi_summary.Summary
    digest: str
    caches: t.Mapping[str, tuple[str, ...]]


def _examined(
    request: Request,
    builder: Builder,
    mkosi: host.Version,
    record: Record,
    told: configuration.Configuration,
    layout: mkosi_files.Layout,
    secrets: t.Sequence[str],
) -> _Examined:
    directory, settings, beside = request.directory, told.settings, told.beside
    unwanted = sorted(set(record.files) - set(layout))
    here = builder.call(view.make, host.identity(directory), directory, layout, unwanted)
    try:
        with host.without_new_directories(_old_caches(directory, settings, mkosi)):
            summary = host.understood(builder, directory, here, mkosi.number, secrets)
        _refuse_losses(settings, summary, mkosi)
        essence = [
            *mkosi_summary.essence(summary, here, directory),
            *mkosi_summary.untold(settings, summary, beside.qcow2, beside.compress_qcow2),
        ]
        head = f"{record.salt}\n{mkosi.text}\n{json.dumps(essence, sort_keys=True)}"
        outside = [
            path for path in mkosi_summary.paths(summary) if not path.startswith(f"{here}/mkosi.")
        ]
        sum_ = builder.call(digest.of, head, here, directory, outside, patience=digest.PATIENCE)
        caches = _caches(summary, here, directory, mkosi.number, builder)
        return _Examined(summary, str(sum_), caches)
    finally:
        builder.call(view.remove_room, here)


def _refuse_losses(sections: Settings, summary: mkosi_summary.Summary, mkosi: host.Version) -> None:
    missing = mkosi_summary.lost(sections, summary)
    if missing:
        raise Failure(
            f"mkosi {mkosi.text} did not understand all of the configuration, and nothing was"
            f" built: {'; '.join(missing)}"
        )


def _destination(request: Request, sections: Settings, builder: Builder) -> t.Optional[str]:
    for keys in sections.values():
        if keys.get("OutputDirectory"):
            return os.path.normpath(os.path.join(request.directory, keys["OutputDirectory"][-1]))
    own = os.path.join(os.path.normpath(request.directory), "mkosi.output")
    if builder.call(within.is_directory, own):
        return own
    return None if request.import_as else os.path.normpath(request.directory)


def _old_caches(directory: str, sections: Settings, mkosi: host.Version) -> list[str]:
    if mkosi.number > table.OLDEST:
        return []
    values = (keys.get(name) for keys in sections.values() for name in ("Cache", "BuildDirectory"))
    return [os.path.normpath(os.path.join(directory, value[-1])) for value in values if value]


def _outputs_there(record: Record, destination: t.Optional[str], builder: Builder) -> bool:
    """Whether all that the last build left lies where it would lie now."""
    if not record.outputs or {os.path.dirname(path) for path in record.outputs} != {destination}:
        return False
    return len(builder.call(within.there, list(record.outputs))) == len(record.outputs)


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


def remains(request: Request, builder: Builder) -> Remains:
    """Read what there is to take away. Needs neither mkosi nor a valid configuration."""
    record = mkosi_record.read(request.directory)
    roots = {os.path.dirname(path) for path in record.outputs} | {request.directory}
    for found in map(ground.look, sorted(roots)):
        if found.there:
            ground.check(found, builder.account, danger=ground.WRITE)
    if builder.is_root:
        roots.add(machined.MACHINES_DIRECTORY)
    stages = [mkosi_build.stage_of(request.directory, root) for root in sorted(roots)]
    images = None
    if request.import_as is not None:
        images = images_seen.snapshot([images_wanted.Wanted(request.import_as, state="absent")])
    return Remains(
        record=record,
        recorded=mkosi_record.exists(request.directory),
        files=tuple(_present(request.directory, builder, {}, record)),
        outputs=tuple(builder.call(within.there, list(record.outputs))),
        stages=tuple(builder.call(within.there, stages)),
        images=images,
    )


def _present(
    directory: str, builder: Builder, layout: mkosi_files.Layout, record: Record
) -> dict[str, tuple[str, int, int]]:
    """Text, mode and owner of what we write or wrote, where it is there."""
    sizes = dict.fromkeys(record.files, 0)
    sizes.update({path: len(os.fsencode(file.text)) for path, file in layout.items()})
    found = builder.call(
        within.present, directory, builder.account.uid, dict(sorted(sizes.items()))
    )
    return {path: (text, mode, owner) for path, (text, mode, owner) in found.items()}


# --- clean: what there would be -------------------------------------------------------------


def _caches(
    summary: mkosi_summary.Summary, here: str, directory: str, number: int, builder: Builder
) -> dict[str, tuple[str, ...]]:
    """The globs that would find something to clean, by level."""
    main = summary.main

    def path(name: str) -> t.Optional[str]:
        value = main.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        return value.replace(here, directory) if isinstance(value, str) else None

    if summary.old:
        package, build, cache = path("Package Cache"), path("Build Directory"), None
        package = package if package and package.startswith("/") else None
        build = build if build and build.startswith("/") else None
    else:
        package, cache = path("PackageCacheDirectory"), path("CacheDirectory")
        build = path("BuildSubdirectory") or path("BuildDirectory")
    kept = builder.call(within.found_by, [f"{glob.escape(cache)}/*.cache*"]) if cache else []
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
    builder: Builder,
) -> tuple[str, ...]:
    """The levels that would find something."""
    outputs = [glob.escape(path) for path in record.outputs]
    if destination:
        own = os.path.join(glob.escape(destination), glob.escape(output))
        outputs += [own, f"{own}.*"]
    patterns = {"outputs": outputs, **{level: list(caches[level]) for level in _CACHED}}
    return tuple(level for level in patterns if builder.call(within.found_by, patterns[level]))


_CACHED = ("incremental", "all")
