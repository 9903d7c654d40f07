# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who keeps the images of a class: machined those of machines, systemd's directories the others.

Private to the collection. machined's D-Bus knows machines alone. For the other classes
C(_Directories) looks and acts as systemd's own code does: it looks in the same directories,
leaves out hidden names, and takes directories, subvolumes, block devices and C(*.raw) for images.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import struct
import typing as t

from .._core import files, run, trees
from .._core.plan import Failure
from .._settings import nspawn_file
from .._systemd import bus, machined
from .._systemd.image_classes import MACHINE, PORTABLE, ImageClass
from .._systemd.machined import Image
from . import staging, transfer
from .identity import identity_of

REMOVE_TIMEOUT = 600
# Hidden from machinectl list-images. A directory takes long to remove, and half of one must not
# look like an image.
REMOVED_PREFIX = ".nspawn-machined-old."

_IMAGE_INTERFACE = "org.freedesktop.machine1.Image"
_IMAGE_PATHS = "/org/freedesktop/machine1/image"
_DETACHED = ("detached", "unknown")

# From linux/stat.h, for the time of birth, which Python does not offer.
_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_SIZE = 256
_STATX_BTIME_OFFSET = 80


class Keeper(t.Protocol):
    """Knows the images of one class, by their names, and changes them."""

    kind: ImageClass
    unfinished: tuple[str, ...]
    """What the hidden names begin with that a killed run leaves in the class's directory."""

    def images(self) -> dict[str, Image]:
        """All images, without hidden ones."""

    def find(self, name: str) -> t.Optional[Image]:
        """The image of this name; nothing when there is none."""

    def users(self, there: t.Mapping[str, Image]) -> dict[str, str]:
        """Who or what uses an image, for those that are used."""

    def sizes(self, image: Image) -> dict[str, t.Optional[int]]:
        """How much an image takes and may take."""

    def remove(self, name: str) -> None: ...

    def clear(self, name: str) -> None:
        """Finish the removal of an image that was cut off."""

    def set_read_only(self, name: str, wanted: bool) -> None: ...

    def stop(self, user: str) -> None:
        """Keep a user from an image for a while."""

    def start(self, user: str) -> None:
        """Give it the image, or what has replaced it, again."""


def of(kind: ImageClass) -> Keeper:
    return _Machined() if kind is MACHINE else _Directories(kind)


# --- machined -------------------------------------------------------------------------------


class _Machined:
    """Images of machines, through machined."""

    kind = MACHINE
    unfinished: tuple[str, ...] = (staging.PREFIX, REMOVED_PREFIX)

    def images(self) -> dict[str, Image]:
        return machined.images()

    def find(self, name: str) -> t.Optional[Image]:
        return self.images().get(name)

    def users(self, there: t.Mapping[str, Image]) -> dict[str, str]:
        by_path = {image.path: name for name, image in there.items()}
        return {
            by_path.get(machine.root, name): name for name, machine in machined.machines().items()
        }

    def sizes(self, image: Image) -> dict[str, t.Optional[int]]:
        path = bus.object_path(_IMAGE_PATHS, image.name)
        found = bus.properties(bus.MACHINED, path=path, interface=_IMAGE_INTERFACE)
        return {
            ours: None if found[theirs] >= machined.UNKNOWN else found[theirs]
            for ours, theirs in (
                ("usage", "Usage"),
                ("limit", "Limit"),
                ("usage_exclusive", "UsageExclusive"),
                ("limit_exclusive", "LimitExclusive"),
            )
        }

    def remove(self, name: str) -> None:
        path = os.path.join(self.kind.root, name)
        gone = name
        if os.path.isdir(path) and not os.path.islink(path) and not _is_subvolume(path):
            gone = f"{REMOVED_PREFIX}{name}"
            call("RenameImage", "ss", name, gone)
        call("RemoveImage", "s", gone, timeout=REMOVE_TIMEOUT)
        # machined takes the settings along.
        files.remove_empty_directory(nspawn_file.DIRECTORY)

    def clear(self, name: str) -> None:
        half = f"{REMOVED_PREFIX}{name}"
        if half in os.listdir(self.kind.root):
            call("RemoveImage", "s", half, timeout=REMOVE_TIMEOUT)

    def set_read_only(self, name: str, wanted: bool) -> None:
        call("MarkImageReadOnly", "sb", name, "yes" if wanted else "no")
        found = self.find(name)
        if found is None or found.read_only != wanted:
            raise Failure(
                f"image {name}: machined did not make it {'read-only' if wanted else 'writable'}, "
                "though it said so; the file system below it may not know such a flag"
            )

    def stop(self, user: str) -> None:
        run.run(["systemctl", "stop", "--", machined.unit_of(user)], timeout=180)

    def start(self, user: str) -> None:
        run.run(["systemctl", "start", "--", machined.unit_of(user)], timeout=180)


def call(
    method: str,
    signature: str,
    *arguments: str,
    timeout: float = 60,
    keep: t.Sequence[int] = (),
) -> None:
    """Have machined do something to an image, the first argument."""
    try:
        bus.call(bus.MACHINED, method, signature, *arguments, timeout=timeout, keep=keep)
    except bus.CallFailed as failed:
        raise Failure(
            f"machined refused {method} of image {arguments[0]}: {failed.message}"
        ) from None


def limit_of(name: str) -> t.Optional[int]:
    """The most that an image may take, or nothing when there is no limit."""
    path = bus.object_path(_IMAGE_PATHS, name)
    found = bus.properties(bus.MACHINED, "Limit", path=path, interface=_IMAGE_INTERFACE)
    limit = t.cast("int", found["Limit"])
    return None if limit >= machined.UNKNOWN else limit


def _is_subvolume(path: str) -> bool:
    return identity_of(path).startswith("subvolume:")


# --- directories ----------------------------------------------------------------------------


class _Directories:
    """Images of a class that machined does not know."""

    unfinished: tuple[str, ...] = (staging.PREFIX,)

    def __init__(self, kind: ImageClass) -> None:
        self.kind = kind

    def images(self) -> dict[str, Image]:
        found: dict[str, Image] = {}
        for directory in self.kind.directories:
            for image in images_in(directory, self.kind):
                found.setdefault(image.name, image)
        return found

    def find(self, name: str) -> t.Optional[Image]:
        for directory in self.kind.directories:
            for file in (name, f"{name}.raw"):
                image = _image(os.path.join(directory, file), self.kind)
                if image and image.name == name:
                    return image
        return None

    def users(self, there: t.Mapping[str, Image]) -> dict[str, str]:
        if not there:
            return {}
        return _attached() if self.kind is PORTABLE else self._merged()

    def _merged(self) -> dict[str, str]:
        if not run.find(self._program):
            return {}
        said = run.run([self._program, "--json=short", "status"]).stdout
        return merged(json.loads(said))

    @property
    def _program(self) -> str:
        return f"systemd-{self.kind.name}"

    def sizes(self, image: Image) -> dict[str, t.Optional[int]]:
        limit = os.stat(image.path).st_size if image.type == "raw" else None
        return {
            "usage": image.usage,
            "limit": limit,
            "usage_exclusive": image.usage,
            "limit_exclusive": limit,
        }

    def remove(self, name: str) -> None:
        image = self._present(name)
        aside = staging.directory_of(self.kind.key(name), self.kind.root)
        # What is under a name that systemd does not take for an image may go slowly.
        trees.make_writable(image.path)
        os.makedirs(aside, mode=0o700, exist_ok=True)
        os.rename(image.path, os.path.join(aside, "old"))
        self.clear(name)

    def clear(self, name: str) -> None:
        staging.sweep(self.kind.key(name), self.kind.root)

    def set_read_only(self, name: str, wanted: bool) -> None:
        image = self._present(name)
        trees.set_read_only(os.path.realpath(image.path), image.type, wanted)

    def _present(self, name: str) -> Image:
        image = self.find(name)
        if image is None:
            raise Failure(f"image {self.kind.key(name)} has gone meanwhile")
        return image

    def stop(self, user: str) -> None:
        """What is merged stays so until the new one is."""

    def start(self, user: str) -> None:
        run.run([self._program, "refresh"], timeout=180)


def images_in(directory: str, kind: ImageClass) -> list[Image]:
    """The images of one directory; a tree wins over a raw image of the same name."""
    try:
        files = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = (_image(os.path.join(directory, file), kind) for file in files if file[0] != ".")
    return [image for image in found if image]


def _image(path: str, kind: ImageClass) -> t.Optional[Image]:
    """What a file or directory is as an image; nothing when it is none, or has just gone."""
    try:
        return _look_at(path, os.path.realpath(path), kind)
    except OSError:
        return None


def _look_at(path: str, real: str, kind: ImageClass) -> t.Optional[Image]:
    """systemd follows links here."""
    status = os.stat(real)
    # portabled links to an image from a directory that comes first, when it attaches it.
    own = os.path.join(kind.root, os.path.basename(path))
    name, modified, usage = os.path.basename(path), 0, None
    if stat.S_ISDIR(status.st_mode):
        what = "subvolume" if _is_subvolume(real) else "directory"
    elif stat.S_ISREG(status.st_mode) and name.endswith(".raw"):
        what, name = "raw", name[: -len(".raw")]
        modified, usage = status.st_mtime_ns // 1000, status.st_blocks * 512
    elif stat.S_ISBLK(status.st_mode):
        what = "block"
    else:
        return None
    return Image(
        name=name,
        type=what,
        read_only=trees.is_read_only(real, what),
        created=0 if what == "block" else _born(real),
        modified=modified,
        usage=usage,
        path=own if os.path.realpath(own) == real else path,
        image_class=kind.name,
    )


def _born(path: str) -> int:
    """When a file was made, in microseconds since 1970; 0 when the file system does not know."""
    libc = ctypes.CDLL(None)
    found = ctypes.create_string_buffer(_STATX_SIZE)
    arguments = (_AT_FDCWD, os.fsencode(path), 0, ctypes.c_uint(_STATX_BTIME), found)
    if not hasattr(libc, "statx") or libc.statx(*arguments) != 0:
        return 0
    (mask,) = struct.unpack_from("=I", found)
    seconds, nanoseconds = struct.unpack_from("=qI", found, _STATX_BTIME_OFFSET)
    return t.cast("int", seconds * 1_000_000 + nanoseconds // 1000) if mask & _STATX_BTIME else 0


def merged(hierarchies: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """Extensions that are merged, and into what, from what C(systemd-sysext status) says."""
    found: dict[str, str] = {}
    for row in hierarchies:
        names = row["extensions"]
        # Where nothing is merged it says "none", which is no list.
        for name in names if isinstance(names, list) else []:
            before = found.get(name)
            found[name] = f"{before} and {row['hierarchy']}" if before else row["hierarchy"]
    return found


def _attached() -> dict[str, str]:
    """Portable services that are attached, and how."""
    if not transfer.find_program("systemd-portabled"):
        return {}
    (rows,) = bus.call(bus.PORTABLED, "ListImages")
    return {row[0]: row[6] for row in rows if row[6] not in _DETACHED}
