# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The classes of images, as systemd has them: what each is called, and where it lies.

Private to the collection. Pure. Each class has its own names: a machine and a system extension
may both be called C(web). So an image is known by its key, which is its name for a machine, and
C(CLASS/NAME) for the others. No name contains a slash.
"""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class ImageClass:
    """What is different from class to class."""

    name: str
    directories: tuple[str, ...]
    """In systemd's own order: the first one that has the name wins."""
    root: str
    """The one among them that images are made in."""
    since: int
    """The first version of systemd that knows it."""
    release: tuple[str, ...]
    """Where an image says what it is; V({name}) is that of the image."""
    use: str
    """What keeps an image from being changed; V({user}) is who or what uses it."""
    way_out: str
    forced: t.Optional[str] = None
    """What O(force) does about it; nothing when it can do nothing."""

    def key(self, name: str) -> str:
        return name if self is MACHINE else f"{self.name}/{name}"

    @property
    def mark(self) -> str:
        """What keeps the files apart that we keep for images of this class."""
        return "" if self is MACHINE else f"-{self.name}"


MACHINE = ImageClass(
    name="machine",
    directories=(
        "/etc/machines",
        "/run/machines",
        "/var/lib/machines",
        "/var/lib/container",
        "/usr/local/lib/machines",
        "/usr/lib/machines",
    ),
    root="/var/lib/machines",
    since=0,
    release=("etc/os-release", "usr/lib/os-release"),
    use="machine {user} runs from it",
    way_out="Stop the machine first (nspawn.machined.machine with state: stopped)",
    forced="stops it meanwhile",
)
PORTABLE = ImageClass(
    name="portable",
    directories=(
        "/etc/portables",
        "/run/portables",
        "/var/lib/portables",
        "/usr/local/lib/portables",
        "/usr/lib/portables",
    ),
    root="/var/lib/portables",
    since=239,
    release=("etc/os-release", "usr/lib/os-release"),
    use="its services are {user}",
    way_out="Detach it first (portablectl detach)",
)
# None below /usr, which they extend: 252 looks there as well, and later ones do not.
SYSEXT = ImageClass(
    name="sysext",
    directories=("/etc/extensions", "/run/extensions", "/var/lib/extensions"),
    root="/var/lib/extensions",
    since=248,
    release=("usr/lib/extension-release.d/extension-release.{name}",),
    use="it is merged into {user}",
    way_out="Unmerge it first (systemd-sysext unmerge)",
    forced="merges the new one",
)
CONFEXT = ImageClass(
    name="confext",
    directories=(
        "/run/confexts",
        "/var/lib/confexts",
        "/usr/local/lib/confexts",
        "/usr/lib/confexts",
    ),
    root="/var/lib/confexts",
    since=254,
    release=("etc/extension-release.d/extension-release.{name}",),
    use="it is merged into {user}",
    way_out="Unmerge it first (systemd-confext unmerge)",
    forced="merges the new one",
)
CLASSES: t.Mapping[str, ImageClass] = {
    one.name: one for one in (MACHINE, PORTABLE, SYSEXT, CONFEXT)
}


def key_of(class_name: str, name: str) -> str:
    """The key of an image; of a class that is not known, too."""
    known = CLASSES.get(class_name)
    return known.key(name) if known else f"{class_name}/{name}"


def split(key: str) -> tuple[ImageClass, str]:
    """Class and name of the image that has this key."""
    before, slash, after = key.partition("/")
    return (CLASSES[before], after) if slash else (MACHINE, key)
