# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""mkosi on this host: its version, and what it makes of a directory.

Private to the collection. Only looks; building stands in C(_mkosi.build).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import re
import typing as t

from .._core import files as core_files
from .._core import run
from .._core.lines import said_lines
from .._core.plan import Failure
from .._core.printable import printable
from . import secret, table
from . import summary as mkosi_summary
from .builder import Builder

SUMMARY_TIMEOUT = 120


@dataclasses.dataclass(frozen=True)
class Version:
    number: int
    text: str


def is_installed() -> bool:
    return run.find("mkosi") is not None


@functools.cache
def version() -> Version:
    """The installed mkosi; refuse one that the collection cannot drive."""
    if not is_installed():
        raise Failure(
            "mkosi is not installed on this host; install it, or let the role"
            " nspawn.machined.mkosi do it"
        )
    said = run.run(["mkosi", "--version"], cwd="/").stdout.strip()
    found = re.search(r"mkosi (\d+)(\S*)", said)
    if not found:
        raise Failure(f"mkosi --version said {said!r}; expected 'mkosi' and a number")
    number = int(found.group(1))
    if number < table.OLDEST or table.OLDEST < number < table.FIRST_MODERN:
        raise Failure(
            f"this host has mkosi {number}; expected {table.OLDEST}, or at least"
            f" {table.FIRST_MODERN}"
        )
    return Version(number, found.group(1) + found.group(2))


def identity(directory: str) -> str:
    """A name for a directory that is a file name and a unit's name as well."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", directory).strip("-")[-60:].lstrip("-") or "root"
    return f"{readable}-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:8]}"


# --- what mkosi 14 makes when it is asked --------------------------------------------------


def elsewhere(place: str, number: int) -> list[str]:
    """mkosi 14, asked for anything, makes a directory of the distribution's name for outputs."""
    return [f"--output-dir={place}"] if number <= table.OLDEST else []


@contextlib.contextmanager
def without_new_directories(paths: t.Iterable[str]) -> t.Iterator[None]:
    """mkosi 14, asked for anything, makes its caches, and in each one with the distribution's name.

    Here they go again.
    """
    before = {path: _entries(path) for path in paths}
    missing = [above for path in before for above in _above(path) if not os.path.lexists(above)]
    try:
        yield
    finally:
        for path, there in before.items():
            for entry in _entries(path) - there:
                _remove_if_empty(os.path.join(path, entry))
        for path in sorted(missing, key=len, reverse=True):
            _remove_if_empty(path)


def _entries(path: str) -> t.AbstractSet[str]:
    try:
        return set(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _above(path: str) -> t.Iterator[str]:
    while path.strip("/"):
        yield path
        path = os.path.dirname(path)


def _remove_if_empty(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        core_files.remove_empty_directory(path)


# --- what mkosi understands -------------------------------------------------------------------


def understood(
    builder: Builder, directory: str, place: str, number: int, secrets: t.Sequence[str]
) -> mkosi_summary.Summary:
    """Ask mkosi what it makes of a directory, of which O(place) is a view.

    It may run what lies there to find out: C(mkosi.configure), C(mkosi.version) and others.
    """
    argv = ["mkosi", "--directory", place]
    argv += (
        ["--json", "summary"] if number > table.OLDEST else [*elsewhere(place, number), "summary"]
    )
    try:
        said = builder.run(
            argv,
            f"nspawn-machined-look-{identity(directory)}",
            cwd=place,
            timeout=SUMMARY_TIMEOUT,
            # Terminal and history of whoever runs the playbook must not change the answer.
            environment={"TERM": "dumb", "NO_COLOR": "1"},
        )
    except run.CommandFailed as failed:
        raise Failure(secret.without(secrets, _refusal(failed, place, number))) from None
    try:
        if number > table.OLDEST:
            return mkosi_summary.from_json(said.stdout)
        return mkosi_summary.from_text(said.stdout or said.stderr)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Failure(f"mkosi {number} summary cannot be read: {error}") from None


def _refusal(failed: run.CommandFailed, place: str, number: int) -> str:
    if failed.result.rc == -1:
        return (
            f"mkosi {number} did not tell within {SUMMARY_TIMEOUT:g} s what it makes of the"
            " configuration; look for what it waits for: a FIFO, or a script that does not end"
        )
    said = failed.result.stderr.strip() or failed.result.stdout.strip()
    reason = "; ".join(said_lines(said)[-5:]).replace(f"{place}/", "")
    return f"mkosi {number} refuses the configuration: {printable(reason)}"
