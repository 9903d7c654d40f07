# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What images say they are. Private to the collection.

machined is not asked: it opens these files itself and waits with whatever it finds there, a FIFO
for example, until its watchdog ends it after three minutes, and every machine's call with it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import typing as t

from .._core import beneath, run
from .._core.plan import Failure
from .._systemd.image_classes import MACHINE, ImageClass
from .._systemd.machined import Image

TIMEOUT = 30

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def of(image: Image, kind: ImageClass) -> dict[str, str]:
    """The fields of its release file; none when there is no such file.

    A Failure names what is there instead of a file that can be read.
    """
    if image.type in ("directory", "subvolume"):
        return _of_tree(
            os.path.realpath(image.path), [p.format(name=image.name) for p in kind.release]
        )
    return _of_disk(image.path) if kind is MACHINE else {}


def _of_tree(path: str, places: t.Sequence[str]) -> dict[str, str]:
    with beneath.image(path) as root:
        return in_root(root, places)


def in_root(root: beneath.Root, places: t.Sequence[str]) -> dict[str, str]:
    """The fields of the first of these files that there is; none when there is none."""
    for place in places:
        text = root.read_text(place)
        if text is not None:
            return fields_of(text)
    return {}


def _of_disk(path: str) -> dict[str, str]:
    """systemd-dissect looks into it as machined would; when it is stuck, nothing else is."""
    program = run.find("systemd-dissect")
    if program is None:
        return {}
    try:
        said = run.run([program, "--json=short", "--", path], timeout=TIMEOUT).stdout
    except run.CommandFailed as failed:
        if failed.result.rc >= 0:
            return {}  # without partitions, or of a kind that it does not know
        raise Failure(
            f"{path}: systemd-dissect could not look into it within {TIMEOUT} s. What should be a "
            "file of its /etc may be a FIFO or a device"
        ) from None
    try:
        lines = json.loads(said).get("osRelease") or []
    except (ValueError, AttributeError):
        return {}
    # They are unquoted already.
    pairs = (line.partition("=") for line in lines if isinstance(line, str))
    return {key: value for key, _equals, value in pairs if _NAME.fullmatch(key)}


def fields_of(text: str) -> dict[str, str]:
    """The fields of an os-release file; what is no text of UTF-8 is replaced in them."""
    found = {}
    plain = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    # Not splitlines(), which also parts at what only looks like the end of a line.
    for line in plain.split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and _NAME.fullmatch(key):
            try:
                found[key] = "".join(shlex.split(value))
            except ValueError:
                continue  # a quote that is not closed; systemd leaves the line out as well
    return found
