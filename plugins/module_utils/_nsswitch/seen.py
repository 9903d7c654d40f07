# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a system has of nsswitch.conf: the host's, a machine's, or that of an image.

Private to the collection. Only reads, and nothing that lies in the system leads out of it.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._core import beneath
from . import authselect

PATH = "/etc/nsswitch.conf"
VENDOR = "/usr/etc/nsswitch.conf"
_LIBRARIES = ("/usr/lib64", "/usr/lib", "/lib64", "/lib")


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The files of one system that say whom glibc asks."""

    text: t.Optional[str] = None
    """Of the file in /etc."""
    vendor: t.Optional[str] = None
    """Of the file in /usr/etc, which counts when there is none in /etc."""
    profile: t.Optional[authselect.Profile] = None
    """What makes the file, where authselect does."""
    libraries: frozenset[str] = frozenset()
    """Those of the services that could be asked: their libraries are there."""

    @property
    def effective(self) -> t.Optional[str]:
        return self.vendor if self.text is None else self.text

    @property
    def path(self) -> t.Optional[str]:
        """The file that counts."""
        if self.text is not None:
            return PATH
        return None if self.vendor is None else VENDOR


def snapshot(root: beneath.Root, services: t.Iterable[str] = ()) -> Snapshot:
    """Look; O(services) are those whose libraries are looked for."""
    text = root.read_text(PATH)
    return Snapshot(
        text=text,
        vendor=root.read_text(VENDOR),
        profile=_profile(root, text),
        libraries=frozenset(name for name in services if has_library(root, name)),
    )


def _profile(root: beneath.Root, text: t.Optional[str]) -> t.Optional[authselect.Profile]:
    configuration = root.read_text(authselect.CONFIGURATION)
    if configuration is None:
        return None
    same = _is_link_to(root, authselect.PATH)
    if not same and not authselect.is_its_work(text):
        # Left there by somebody who has gone without it since.
        return None
    profile = authselect.profile_of(configuration)
    for path in authselect.templates(profile.name):
        template = root.read_text(path)
        if template is not None:
            return dataclasses.replace(profile, template=template)
    return profile


def _is_link_to(root: beneath.Root, path: str) -> bool:
    """Whether /etc/nsswitch.conf is that file under another name."""
    mine, other = root.stat(PATH), root.stat(path)
    return (
        mine is not None
        and other is not None
        and (mine.st_dev, mine.st_ino) == (other.st_dev, other.st_ino)
    )


def has_library(root: beneath.Root, service: str) -> bool:
    """Whether glibc of that system can load what asks a service; C(files) is built in."""
    return service in ("files", "dns", "compat") or in_libraries(root, f"libnss_{service}.so.2")


def in_libraries(root: beneath.Root, name: str) -> bool:
    """Whether something is in one of the folders in which systems have their libraries."""
    if any(root.exists(f"{place}/{name}") for place in _LIBRARIES):
        return True
    folders = root.listing("/usr/lib") or []
    return any(
        root.exists(f"/usr/lib/{folder}/{name}") for folder in folders if "-linux-" in folder
    )
