# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Machines and images as systemd-machined knows them. Private to the collection."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing as t

from .._core.lines import lines_of
from .._core.plan import Failure
from .._core.run import find, run
from . import bus, image_classes

MACHINES_DIRECTORY = image_classes.MACHINE.root
NAME_LIMIT = 64
# What it is called while machined clones it: .#.nspawn-machined-new.NAME.new.raw and 16 more.
IMAGE_NAME_LIMIT = 255 - 47
# machined's word for "nobody knows" and "no limit": the largest number of 64 bits.
UNKNOWN = 2**64 - 1

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


@dataclasses.dataclass(frozen=True)
class Image:
    """An image that systemd finds. Times are in microseconds since 1970, 0 when unknown."""

    name: str
    type: str
    read_only: bool
    created: int
    modified: int
    usage: t.Optional[int]
    path: str
    image_class: str = image_classes.MACHINE.name


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine that is registered, so it runs or is about to."""

    name: str
    machine_class: str
    service: str
    unit: str
    leader: int
    state: str
    root: str
    started: int
    """In microseconds of the clock that C(time.monotonic) tells in seconds."""
    identity: str = ""
    """Its machine ID; none before it has told machined."""


# --- names ----------------------------------------------------------------------------------


def check_name(name: str, what: str = "machine") -> None:
    """Refuse what systemd does not accept as the name of a machine."""
    if name == ".host":
        raise Failure(
            f"{what} name '.host': that is the host itself, which this collection leaves alone"
        )
    wrong = _wrong_with(name)
    if wrong:
        raise Failure(
            f"{what} name {name!r}: {wrong}. Expected at most {NAME_LIMIT} letters (a-z), digits, "
            "hyphens and dots; neither the name nor a part between dots may be empty or begin or "
            "end with a hyphen"
        )


def _wrong_with(name: str) -> t.Optional[str]:
    if not name:
        return "it is empty"
    if len(name) > NAME_LIMIT:
        return f"it has {len(name)} characters"
    strange = sorted(set(re.findall(r"[^A-Za-z0-9.-]", name)))
    if strange:
        return "it contains " + " and ".join(repr(character) for character in strange)
    for label in name.split("."):
        if not label:
            return "a part of it is empty (a dot at its beginning or end, or two together)"
        if not _LABEL.fullmatch(label):
            return (
                "it begins or ends with a hyphen"
                if label == name
                else (f"its part {label!r} begins or ends with a hyphen")
            )
    return None


def check_image_name(name: str) -> None:
    """Refuse what cannot be an image's name; wider than a machine's, as templates never run."""
    wrong = None
    if not name:
        wrong = "it is empty"
    elif len(os.fsencode(name)) > IMAGE_NAME_LIMIT:
        wrong = f"it has more than {IMAGE_NAME_LIMIT} bytes"
    elif "/" in name or not name.isprintable():
        wrong = "it contains a slash or a control character"
    elif name[0] in ".-":
        wrong = f"it begins with {name[0]!r}"
    if wrong:
        raise Failure(
            f"image name {name!r}: {wrong}. Expected a file name that begins with neither a dot "
            "nor a hyphen; letters, digits, hyphens and dots if a machine shall run from it"
        )


def unit_of(name: str) -> str:
    """The unit that runs a machine. The template takes %i: the name stays as it is."""
    return f"systemd-nspawn@{name}.service"


def machine_of(unit: str) -> t.Optional[str]:
    """The machine that a unit runs; nothing when it is another unit, or the template itself."""
    name = unit[len("systemd-nspawn@") : -len(".service")]
    return name if name and unit == unit_of(name) else None


# --- what there is --------------------------------------------------------------------------


def is_installed() -> bool:
    return find("machinectl") is not None


def require() -> None:
    """Refuse to change a host that machined is not on. It can be looked at: it has no machines."""
    if not is_installed():
        raise Failure(
            "systemd-machined is not on this host: install systemd-container (a part of systemd on "
            "Arch), or let the role nspawn.machined.host do it"
        )


@functools.cache
def systemd_version() -> int:
    """The version of systemd on this host, without what a distribution appends to it."""
    first = run(["systemctl", "--version"]).stdout.split("\n", 1)[0]
    found = re.match(r"systemd (\d+)", first)
    if not found:
        raise Failure(f"systemctl --version said {first!r}; expected 'systemd' and a number")
    return int(found.group(1))


def images() -> dict[str, Image]:
    """All images, without hidden ones and the host's own tree."""
    if not is_installed():
        return {}
    (rows,) = bus.call(bus.MACHINED, "ListImages")
    return {row[0]: _image(row) for row in rows if not row[0].startswith(".")}


def _image(row: t.Sequence[t.Any]) -> Image:
    name, kind, read_only, created, modified, usage = row[:6]
    return Image(
        name=name,
        type=kind,
        read_only=read_only,
        created=_known(created) or 0,
        modified=_known(modified) or 0,
        usage=_known(usage),
        path=image_path(name, kind),
    )


def _known(number: int) -> t.Optional[int]:
    return None if number >= UNKNOWN else number


def image_path(name: str, kind: str = "directory") -> str:
    """Where an image lies. ListImages does not tell, and asking each one costs a process."""
    file = f"{name}.raw" if kind == "raw" else name
    for directory in image_classes.MACHINE.directories:
        path = os.path.join(directory, file)
        if os.path.lexists(path):
            return path
    return os.path.join(MACHINES_DIRECTORY, file)


def registered() -> list[str]:
    """The names of all machines but the host itself."""
    if not is_installed():
        return []
    (rows,) = bus.call(bus.MACHINED, "ListMachines")
    return [row[0] for row in rows if not row[0].startswith(".")]


def kill_leader(name: str, number: int) -> None:
    """Send a signal to the first process of a machine."""
    bus.call(bus.MACHINED, "KillMachine", "ssi", name, "leader", str(number))


def machines(names: t.Optional[t.Sequence[str]] = None) -> dict[str, Machine]:
    """Registered machines, all or those named, in two processes however many there are."""
    wanted = registered() if names is None else names
    if not wanted:
        return {}
    # One that is not there makes machinectl exit with 1; it tells the others.
    shown = run(["machinectl", "show", "--", *wanted], check=False).stdout
    found = [_machine(block) for block in shown.split("\n\n") if block.strip()]
    return {machine.name: machine for machine in found}


def _machine(block: str) -> Machine:
    fields = dict(line.partition("=")[::2] for line in lines_of(block) if "=" in line)
    return Machine(
        name=fields["Name"],
        machine_class=fields.get("Class", ""),
        service=fields.get("Service", ""),
        unit=fields.get("Unit", ""),
        leader=int(fields.get("Leader") or 0),
        state=fields.get("State", ""),
        root=fields.get("RootDirectory", ""),
        started=int(fields.get("TimestampMonotonic") or 0),
        identity=fields.get("Id", ""),
    )
