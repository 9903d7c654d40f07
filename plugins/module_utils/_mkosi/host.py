# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""mkosi on this host: its version, what it makes of a directory, and the digest of that.

Private to the collection. Only looks; building stands in C(_mkosi.build).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import shutil
import stat
import typing as t

from .._core import files as core_files
from .._core import run
from .._core.plan import Failure
from . import summary as mkosi_summary
from . import table
from .files import Layout

RUNTIME_DIRECTORY = "/run/nspawn.machined"
SUMMARY_TIMEOUT = 120

# mkosi's own output, caches and workspaces do not decide what it makes.
_PRODUCTS = re.compile(r"mkosi\.(output|cache|pkgcache|builddir|workspace|tools|private)\b.*")


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
    said = run.run(["mkosi", "--version"]).stdout.strip()
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


# --- the directory as it would be -----------------------------------------------------------


@contextlib.contextmanager
def room(directory: str) -> t.Iterator[str]:
    """An empty directory for a moment. Needs the lock: its name is always the same, so that what a
    killed run left of it goes with the next.
    """
    os.makedirs(RUNTIME_DIRECTORY, mode=0o755, exist_ok=True)
    place = os.path.join(RUNTIME_DIRECTORY, f"mkosi-view-{identity(directory)}")
    shutil.rmtree(place, ignore_errors=True)
    os.mkdir(place, 0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def view(directory: str, wanted: Layout, unwanted: t.AbstractSet[str]) -> t.Iterator[str]:
    """A directory that looks as this one will, without touching it: for mkosi to read.

    What is wanted stands in it as files, all else as links to what is there.
    """
    with room(directory) as place:
        _populate(place, directory, {path: wanted[path] for path in wanted}, unwanted)
        yield place


def elsewhere(place: str, number: int) -> list[str]:
    """mkosi 14, asked for anything, makes a directory of the distribution's name for outputs."""
    return [f"--output-dir={place}"] if number <= table.OLDEST else []


def _populate(
    place: str, real: str, wanted: Layout, unwanted: t.AbstractSet[str], inside: str = ""
) -> None:
    here = {path.split("/", 1)[0] for path in wanted}
    try:
        names = set(os.listdir(real))
    except (FileNotFoundError, NotADirectoryError):
        names = set()
    below = {path.split("/", 1)[0] for path in unwanted if "/" in path}
    for name in sorted(names | here):
        target = os.path.join(place, name)
        parts = {p.split("/", 1)[1]: f for p, f in wanted.items() if p.startswith(f"{name}/")}
        gone = {p.split("/", 1)[1] for p in unwanted if p.startswith(f"{name}/")}
        if name in wanted:
            with open(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
                stream.write(wanted[name].text)
            os.chmod(target, wanted[name].mode)
        elif parts or name in below:
            os.mkdir(target)
            _populate(target, os.path.join(real, name), parts, gone, f"{inside}{name}/")
            if not os.listdir(target):
                os.rmdir(target)
        elif name in unwanted:
            continue
        elif not inside and _PRODUCTS.fullmatch(name):
            # mkosi 14 makes directories in its caches when it is only asked what it would do.
            if os.path.isdir(os.path.join(real, name)):
                os.mkdir(target)
        else:
            os.symlink(os.path.join(real, name), target)


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


def understood(place: str, number: int) -> mkosi_summary.Summary:
    """Ask mkosi what it makes of a directory."""
    argv = ["mkosi", "--directory", place]
    argv += (
        ["--json", "summary"] if number > table.OLDEST else [*elsewhere(place, number), "summary"]
    )
    try:
        # Terminal and history of whoever runs the playbook must not change the answer.
        said = run.run(
            argv, cwd=place, timeout=SUMMARY_TIMEOUT, environment={"TERM": "dumb", "NO_COLOR": "1"}
        )
    except run.CommandFailed as failed:
        said_ = failed.result.stderr.strip() or failed.result.stdout.strip()
        reason = "; ".join(said_.splitlines()[-5:]).replace(f"{place}/", "")
        raise Failure(f"mkosi {number} refuses the configuration: {reason}") from None
    try:
        if number > table.OLDEST:
            return mkosi_summary.from_json(said.stdout)
        return mkosi_summary.from_text(said.stdout or said.stderr)
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"mkosi {number} summary cannot be read: {error}") from None


# --- the digest -----------------------------------------------------------------------------


def digest(
    summary: mkosi_summary.Summary,
    untold: t.Sequence[t.Any],
    place: str,
    directory: str,
    mkosi: Version,
    salt: str,
) -> str:
    """What a build is made from: the summary, what it does not tell, and all that a build reads.

    Salted, so that it tells nobody a password who tries some.
    """
    sum_ = hashlib.sha256(f"{salt}\n{mkosi.text}\n".encode())
    essence = [*mkosi_summary.essence(summary, place, directory), *untold]
    sum_.update(json.dumps(essence, sort_keys=True).encode("utf-8", "surrogateescape"))
    own = sorted(
        os.path.join(place, name)
        for name in os.listdir(place)
        if name.startswith("mkosi.")
        and not _PRODUCTS.fullmatch(name)
        # Its meaning is in the summary; comments and order do not build anything anew.
        and name not in ("mkosi.conf", "mkosi.default")
    )
    outside = [
        path for path in mkosi_summary.paths(summary) if not path.startswith(place + "/mkosi.")
    ]
    for path in own + outside:
        for line in _lines(path, place, directory):
            sum_.update(line)
    return f"sha256:{sum_.hexdigest()}"


def _lines(path: str, place: str, directory: str) -> t.Iterator[bytes]:
    """A tree as lines of text: names, kinds, modes and contents, not owners and times."""
    name = path.replace(place, directory, 1)
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        yield f"{name} missing\n".encode("utf-8", "surrogateescape")
        return
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(path)
        # A link of the view stands for what it points to; any other is a link in a tree.
        if path.startswith(f"{place}/") and target == name:
            yield from _lines(target, place, directory)
            return
        yield f"{name} -> {target}\n".encode("utf-8", "surrogateescape")
        return
    yield f"{name} {status.st_mode:o}\n".encode("utf-8", "surrogateescape")
    if stat.S_ISDIR(status.st_mode):
        for entry in sorted(os.listdir(path)):
            yield from _lines(os.path.join(path, entry), place, directory)
    elif stat.S_ISREG(status.st_mode):
        yield _contents(path)


def _contents(path: str) -> bytes:
    sum_ = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            sum_.update(chunk)
    return sum_.digest()
