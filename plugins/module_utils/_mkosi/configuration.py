# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What mkosi is told of one directory, in the words of the mkosi that is installed.

Private to the collection. It comes from the arguments or, without any, from the directory's own
file.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import typing as t

from .._core.plan import Failure
from .._images import formats as images_formats
from .._systemd import machined
from . import files as mkosi_files
from . import formats, host, table, translate
from . import text as mkosi_text
from .record import Record
from .text import Settings
from .translate import Beside, Translated
from .wanted import Request


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What mkosi is told, and what has no place in it."""

    settings: Settings
    written: t.Optional[Translated]
    """What the module writes of it; nothing when the file is a person's own."""
    beside: Beside


Read = t.Callable[[str], t.Optional[str]]
"""Gives the text of a file, as whoever builds may read it."""


def configuration(
    request: Request, mkosi: host.Version, record: Record, read: Read
) -> Configuration:
    sections, ours = request.config, True
    if sections is None:
        sections, ours = _of_directory(request.directory, record, read)
    sections = _with_password(sections, request.root_password)
    if ours:
        sections = formats.without_el_torito(
            _with_defaults(sections, request), mkosi.number, request.contents.repart
        )
    translated = translate.translate(
        sections,
        mkosi.number,
        machine=platform.machine(),
        compression="zstd" if images_formats.reads_zstd(machined.systemd_version()) else "gz",
        own_repart=bool(request.contents.repart),
        qcow2=request.qcow2,
    )
    if not ours:
        _check_own(request.directory, translated, mkosi)
    return Configuration(
        settings=translated.settings,
        written=translated if ours else None,
        beside=translated.beside,
    )


def _of_directory(directory: str, record: Record, read: Read) -> tuple[Settings, bool]:
    """The configuration that stands in the directory; an old one is translated into a new file."""
    new = os.path.join(directory, mkosi_files.CONFIGURATION)
    old = os.path.join(directory, mkosi_files.OLD_CONFIGURATION)
    text = None if mkosi_files.CONFIGURATION in record.files else read(new)
    if text is not None:
        parsed = mkosi_text.parse(text, new)
        return {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()}, False
    text = read(old)
    if text is None:
        raise Failure(
            f"{directory} has neither mkosi.conf nor mkosi.default of its own; give config"
        )
    parsed = mkosi_text.parse(text, old)
    return {s: {k: tuple(v) for k, v in keys.items()} for s, keys in parsed.items()}, True


def _check_own(directory: str, translated: Translated, mkosi: host.Version) -> None:
    """A person's own file is looked through for what would be lost, and left alone."""
    if translated.warnings:
        raise Failure(
            f"{directory}/mkosi.conf is not written for mkosi {mkosi.number}: "
            + "; ".join(translated.warnings)
            + ". Give its contents as config, or its text, and it is written anew"
        )
    if translated.beside.root_password_hashed and mkosi.number <= table.OLDEST:
        raise Failure(
            f"root_password is a hash, of which {directory}/mkosi.conf would have to"
            " tell mkosi 14. Give its contents as config, and it is written anew"
        )


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
