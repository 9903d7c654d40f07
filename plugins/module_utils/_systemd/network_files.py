# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which of networkd's files a link of a machine gets, and whose that is.

Private to the collection. networkd takes the first file, in the order of their names, whose section
[Match] fits. One that fits every Ethernet link takes those of machines as well if its name comes
first, and nothing says so: machines are left without addresses.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
import typing as t

from .._core import files, ini
from .._core.plan import Failure
from .._core.run import run

# What hides what, if it has the same name.
DIRECTORIES = (
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
)
LEAVE_OUT = "Name=!ve-* vz-* vb-*"
MASKED = "/dev/null"


@dataclasses.dataclass(frozen=True)
class Link:
    """A link as networkd sees it when it looks for its file."""

    name: str
    kind: str
    type: str


# The host's side of machines: a machine's own link, and the bridge of those that share a zone.
LINKS: t.Mapping[str, Link] = {
    "80-container-ve.network": Link("ve-machine", "veth", "ether"),
    "80-container-vz.network": Link("vz-machines", "bridge", "bridge"),
}

# These depend on the host: to say that they hold is to say that they may.
_OF_HOST = frozenset(
    (
        "Host",
        "Virtualization",
        "KernelCommandLine",
        "KernelVersion",
        "Version",
        "Credential",
        "Architecture",
        "Firmware",
    )
)


@dataclasses.dataclass(frozen=True)
class File:
    """A file of networkd's, with its drop-ins."""

    path: str
    texts: tuple[str, ...]

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def is_masked(self) -> bool:
        return not any(self.texts)


# --- seen -----------------------------------------------------------------------------------


def there(directories: t.Sequence[str] = DIRECTORIES) -> tuple[File, ...]:
    """The files that count, in the order in which networkd tries them."""
    found: dict[str, str] = {}
    for directory in directories:
        for name in _listed(directory):
            if name.endswith(".network"):
                found.setdefault(name, os.path.join(directory, name))
    return tuple(
        File(path, (_text(path), *map(_text, _drop_ins(name, directories))))
        for name, path in sorted(found.items())
    )


def _drop_ins(name: str, directories: t.Sequence[str]) -> list[str]:
    found: dict[str, str] = {}
    for directory in directories:
        for one in _listed(os.path.join(directory, f"{name}.d")):
            if one.endswith(".conf"):
                found.setdefault(one, os.path.join(directory, f"{name}.d", one))
    return [path for _name, path in sorted(found.items())]


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _text(path: str) -> str:
    """An empty one and a link to /dev/null hide the files of that name."""
    if os.path.realpath(path) == MASKED:
        return ""
    return files.read(path) or ""


def in_force() -> dict[str, str]:
    """The files that links were set up from, by the links' names, where networkd runs."""
    said = run(["networkctl", "--json=short", "status", "--all"], check=False)
    if said.rc:
        return {}
    links = json.loads(said.stdout).get("Interfaces", [])
    return {link["Name"]: link["NetworkFile"] for link in links if link.get("NetworkFile")}


# --- what is told ---------------------------------------------------------------------------


def surprises(
    names: t.Iterable[str], found: t.Sequence[File], links: t.Mapping[str, str]
) -> t.Iterator[str]:
    """Who takes the links away that these files are for; O(links): the files in force by links."""
    told: set[str] = set()
    for name in names:
        link = LINKS.get(name)
        if link is None:
            continue
        pattern = f"{link.name[:3]}*"
        takers = [one for one in found if one.name < name and takes(one, link)]
        for file in takers[:1]:
            told.add(file.path)
            yield _taken(file.path, pattern, name, _has_name(file))
        if any(one.name == name and one.is_masked for one in found):
            yield (
                f"{name} is masked, so what is set for {pattern} has no effect and machines get no"
                f" addresses from networkd: remove the empty file or link of that name"
            )
        for one, path in sorted(links.items()):
            if one.startswith(pattern[:3]) and os.path.basename(path) != name and path not in told:
                told.add(path)
                yield _taken(path, one, name, False)


def _taken(path: str, what: str, name: str, has_name: bool) -> str:
    how = "making its Name= the line" if has_name else "giving its section [Match] the line"
    return (
        f"{path} takes links of machines ({what}) before {name} does, so they get no addresses and"
        f" no DHCP server. Let it leave them out, by {how} {LEAVE_OUT}"
    )


def _has_name(file: File) -> bool:
    return bool(_match(file).get("Name"))


def takes(file: File, link: Link) -> bool:
    """Whether networkd would set this link up from that file."""
    match = _match(file)
    return bool(match) and all(_holds(key, values, link) for key, values in match.items())


def _match(file: File) -> dict[str, tuple[str, ...]]:
    """The words of each key in [Match]; what no parser of ours can read matches nothing."""
    found: dict[str, tuple[str, ...]] = {}
    for text in file.texts:
        try:
            given = ini.parse(text, file.path).get("Match", {})
        except Failure:
            continue
        for key, values in given.items():
            for value in values:
                # An empty assignment takes back what was said before it.
                found[key] = (*found.get(key, ()), *value.split()) if value.split() else ()
    return {key: words for key, words in found.items() if words}


def _holds(key: str, words: t.Sequence[str], link: Link) -> bool:
    if key in _OF_HOST:
        return True
    known = {"Name": link.name, "Kind": link.kind, "Driver": link.kind, "Type": link.type}
    is_not = words[0].startswith("!")
    patterns = [word.lstrip("!") for word in words] if is_not else words
    if key not in known:
        # By addresses, paths and properties of hardware no link of a machine is meant.
        return is_not
    return any(fnmatch.fnmatchcase(known[key], pattern) for pattern in patterns) != is_not
