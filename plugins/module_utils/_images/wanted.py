# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What images shall be, from the arguments of their modules; what cannot be meant is refused.

Private to the collection. Pure.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._core.plan import Failure
from .._systemd import image_classes, machined
from .._systemd.image_classes import MACHINE, ImageClass
from . import addresses
from .addresses import Address
from .patience import LEAST_RATE

DEFAULT_TIMEOUT = 1800
VERIFICATIONS = ("signature", "checksum", "none")
FORMATS = ("auto", "tar", "raw", "directory")
SOURCES = ("url", "path", "clone_from", "rename_from")
NO_LIMIT = machined.UNKNOWN

_CHECKSUM = re.compile(r"sha256:([0-9a-fA-F]{64})")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One image as it shall be. Nothing where it shall be left as it is."""

    name: str
    state: str = "present"
    image_class: str = MACHINE.name
    url: t.Optional[str] = None
    path: t.Optional[str] = None
    clone_from: t.Optional[str] = None
    rename_from: t.Optional[str] = None
    format: str = "auto"
    verify: t.Optional[str] = None
    checksum: t.Optional[str] = None
    read_only: t.Optional[bool] = None
    limit: t.Optional[int] = None
    update: bool = False
    force: bool = False
    timeout: float = DEFAULT_TIMEOUT
    least_rate: int = LEAST_RATE
    """Bytes a second that a server has to send; 0 takes any."""
    address: t.Optional[Address] = None
    """What O(url) is in full, with what only its server may see."""
    digest: t.Optional[str] = None
    """What a build on this host was made from; then the path is the build's output."""
    upload: t.Optional[t.Mapping[str, t.Any]] = None
    """O(path) is on the controller: what it is there, and where it was uploaded to."""

    @property
    def kind(self) -> ImageClass:
        return image_classes.CLASSES[self.image_class]

    @property
    def key(self) -> str:
        """What tells it from images of other classes that have its name."""
        return self.kind.key(self.name)

    @property
    def parent(self) -> t.Optional[str]:
        """The key of the image that it is cloned from."""
        return None if self.clone_from is None else self.kind.key(self.clone_from)

    @property
    def verification(self) -> str:
        """A checksum that is given says more than one that is fetched."""
        return self.verify or ("checksum" if self.checksum else "signature")


def wanted(arguments: t.Mapping[str, t.Any]) -> Wanted:
    """One image from the arguments of the module C(image); wrong ones are refused here."""
    known = {field.name for field in dataclasses.fields(Wanted)} - {"address"}
    given = {key: value for key, value in arguments.items() if key in known and value is not None}
    given.update(_address(arguments))
    if arguments.get("class") is not None:
        given["image_class"] = arguments["class"]
    if "limit" in given:
        given["limit"] = size_of(str(given["limit"]))
    if "least_rate" in given:
        rate = size_of(str(given["least_rate"]), "least_rate")
        given["least_rate"] = 0 if rate == NO_LIMIT else rate
    if "checksum" in given:
        given["checksum"] = literal_checksum(given["checksum"])
    image = Wanted(**given)
    check(image)
    return image


def _address(arguments: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A URL in full, and what may be shown of it; the controller keeps the two apart already."""
    url = arguments.get("url")
    headers = {str(name): _text(value) for name, value in (arguments.get("headers") or {}).items()}
    full = arguments.get("_address") or url
    addresses.check_headers(full, headers)
    if full is None:
        return {}
    addresses.check(full)
    address = addresses.of(full, headers)
    return {"url": address.shown, "address": address}


def _text(value: t.Any) -> t.Any:
    """Numbers are written without quotes."""
    return str(value) if isinstance(value, (int, float)) else value


def check(image: Wanted) -> None:
    """Refuse what cannot be meant."""
    machined.check_image_name(image.name)
    named = [source for source in SOURCES if getattr(image, source) is not None]
    if len(named) > 1:
        raise Failure(f"image {image.key}: {' and '.join(named)} are given; expected one source")
    if image.state == "absent" and named:
        raise Failure(f"image {image.key}: state absent takes no source, but {named[0]} is given")
    if image.url is not None:
        addresses.check(image.url)
    if image.path is not None and not image.path.startswith("/"):
        raise Failure(f"image {image.key}: path {image.path!r} is not absolute")
    if image.checksum and not (image.url or image.path):
        raise Failure(f"image {image.key}: checksum belongs to url or path")
    if image.verify and not image.url:
        raise Failure(f"image {image.key}: verify belongs to url; a path takes checksum")
    if image.verify == "none" and image.checksum:
        raise Failure(f"image {image.key}: verify none contradicts checksum; leave one out")
    if image.url is not None and image.format == "directory":
        raise Failure(f"image {image.key}: a URL gives a tar or a raw image, no directory")
    if image.timeout <= 0:
        raise Failure(f"image {image.key}: timeout {image.timeout:g} is not above 0")
    for other in (image.clone_from, image.rename_from):
        if other is not None:
            machined.check_image_name(other)
            if other == image.name:
                raise Failure(f"image {image.key}: its source is itself")
    if image.kind is not MACHINE:
        _check_class(image)


def _check_class(image: Wanted) -> None:
    """Refuse what only images of machines can have."""
    kind = image.kind
    if image.limit is not None:
        raise Failure(
            f"image {image.key}: a limit is set by machined, which knows images of machines alone. "
            f"Leave it out for class {kind.name}"
        )
    if image.rename_from is not None:
        raise Failure(
            f"image {image.key}: systemd knows an image of class {kind.name} by a name that is "
            f"written inside it as well, so it is not renamed. Make {image.name} from its own "
            f"source, and remove {image.rename_from}"
        )
    for ending in (f".{kind.name}", ".v"):
        if image.name.endswith(ending):
            raise Failure(
                f"image {image.key}: systemd 256 and later do not take {ending!r} at the end for a "
                "part of the name. Leave it out"
            )


def check_all(images: t.Sequence[Wanted]) -> None:
    """Refuse images that contradict each other."""
    keys = [image.key for image in images]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise Failure(f"images: {', '.join(twice)} stands more than once; expected each name once")
    for image in images:
        if image.rename_from in keys:
            raise Failure(
                f"image {image.key} is renamed from {image.rename_from}, which is wanted under "
                "that name as well. Do one of them in a call of its own"
            )


def size_of(text: str, what: str = "limit") -> int:
    """A size as systemd spells it, with K, M, G, T or P; V(none) is no limit."""
    if text == "none":
        return NO_LIMIT
    number, unit = text.rstrip("KMGTP"), text[len(text.rstrip("KMGTP")) :]
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size <= 0:
        raise Failure(f"{what} {text!r}: expected a size such as 10G (K, M, G, T, P), or none")
    return size


def literal_checksum(checksum: str) -> str:
    """A checksum as a user gives it, in the one spelling that is kept."""
    found = _CHECKSUM.fullmatch(checksum)
    if not found:
        raise Failure(f"checksum {checksum!r}: expected sha256: and 64 hexadecimal digits")
    return f"sha256:{found.group(1).lower()}"
