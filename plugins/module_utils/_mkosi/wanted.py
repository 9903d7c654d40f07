# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What shall come out of mkosi directories, from the arguments of the module C(mkosi_image).

Private to the collection. What cannot be meant is refused here. Of the host only the files are
read that C(src) names, by whom the caller says.
"""

from __future__ import annotations

import dataclasses
import math
import os
import typing as t

from .._core.plan import Failure
from .._images import wanted as images_wanted
from .._systemd import machined
from . import files as mkosi_files
from . import text as mkosi_text
from .text import Settings
from .translate import Beside

CLEAN_LEVELS = ("outputs", "incremental", "all")
DEFAULT_TIMEOUT = 3600


@dataclasses.dataclass(frozen=True)
class Request:
    """One mkosi directory and what shall come out of it."""

    directory: str
    config: t.Optional[Settings] = None
    """Nothing: the directory has its own."""
    contents: mkosi_files.Contents = dataclasses.field(default_factory=mkosi_files.Contents)
    state: str = "built"
    clean: str = "outputs"
    force: bool = False
    import_as: t.Optional[str] = None
    update: bool = True
    read_only: t.Optional[bool] = None
    qcow2: bool = False
    root_password: t.Optional[str] = None
    user: t.Optional[str] = None
    timeout: float = DEFAULT_TIMEOUT


Read = t.Callable[[str], t.Optional[str]]
"""Gives the text of a file of the host, as whoever builds may read it."""


def request_of(entry: t.Mapping[str, t.Any], read: Read) -> Request:
    """One build from its arguments; what cannot be meant is refused here."""
    repart = {
        name: mkosi_text.normalise(sections, f"repart: {name}")
        for name, sections in entry["repart"].items()
    }
    contents = mkosi_files.Contents(
        scripts={name: _script(name, value, read) for name, value in entry["scripts"].items()},
        sandbox=_tree("sandbox_files", entry, read),
        skeleton=_tree("skeleton_files", entry, read),
        extra=_tree("extra_files", entry, read),
        repart=repart,
        users=mkosi_files.users_of(entry["users"]),
    )
    known = {field.name for field in dataclasses.fields(Request)}
    given = {key: value for key, value in entry.items() if key in known and value is not None}
    given.update(config=_sections(entry["config"]), contents=contents)
    if given.get("user") == "root":
        del given["user"]
    return Request(**given)


def check(request: Request) -> None:
    if not os.path.isabs(request.directory) or not os.path.normpath(request.directory).strip("/"):
        raise Failure(
            f"directory {request.directory!r}: expected the absolute path of a directory for the"
            " configuration, which is made when it is missing"
        )
    if not request.directory.isprintable():
        raise Failure(f"directory {request.directory!r} has a control character in it")
    if not (request.root_password or "").isprintable():
        raise Failure("root_password has a control character in it; expected one line of text")
    if request.import_as is not None:
        machined.check_image_name(request.import_as)
    if request.read_only is not None and request.import_as is None:
        raise Failure("read_only is a property of the image; name it with import_as")
    if not 0 < request.timeout < math.inf:
        raise Failure(f"timeout {request.timeout:g} is not above 0, or has no end")


def check_all(requests: t.Sequence[Request]) -> None:
    for what, values in (
        ("directory", [request.directory for request in requests]),
        ("import_as", [request.import_as for request in requests if request.import_as]),
    ):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise Failure(f"builds: the same {what} is given twice: {', '.join(twice)}")


# --- the image -----------------------------------------------------------------------------


def image(
    request: Request,
    beside: Beside,
    *,
    with_source: bool = True,
    digest: t.Optional[str] = None,
) -> images_wanted.Wanted:
    """What shall become of the output, as the room of the images wants it declared."""
    read_only = request.read_only
    if read_only is None and beside.read_only:
        read_only = True
    return images_wanted.Wanted(
        name=request.import_as or "",
        path=request.directory if with_source else None,
        read_only=read_only,
        update=request.update or request.force,
        digest=digest,
    )


# --- the arguments --------------------------------------------------------------------------


def _sections(config: t.Any) -> t.Optional[dict[str, dict[str, mkosi_text.Values]]]:
    if config is None:
        return None
    if isinstance(config, str):
        config = mkosi_text.parse(config, "config")
    if not isinstance(config, t.Mapping):
        raise Failure(
            f"config is {type(config).__name__}; expected sections with their settings, or the"
            " text of a mkosi.conf"
        )
    return mkosi_text.normalise(config)


def _script(name: str, value: t.Any, read: Read) -> mkosi_files.Script:
    text, rest = _content(f"scripts: {name}", value, ("chroot",), read)
    chroot = rest.get("chroot")
    if chroot not in (None, True, False):
        raise Failure(f"scripts: {name}: chroot is something else; expected true or false")
    return mkosi_files.Script(text, chroot)


def _tree(option: str, entry: t.Mapping[str, t.Any], read: Read) -> dict[str, mkosi_files.File]:
    files = {}
    for path, value in entry[option].items():
        what = f"{option}: {path}"
        text, rest = _content(what, value, ("mode",), read)
        files[path] = mkosi_files.File(text, _mode(what, rest.get("mode")))
    return files


def _content(
    what: str, value: t.Any, others: t.Sequence[str], read: Read
) -> tuple[str, t.Mapping[str, t.Any]]:
    """The text of a file, given as it is, as content, or as the path of a file of the host."""
    if not isinstance(value, t.Mapping):
        value = {"content": value}
    unknown = sorted(set(value) - {"content", "src", *others})
    if unknown or ("content" in value) == ("src" in value):
        raise Failure(
            f"{what}: expected a text, or a dictionary with either content or src and perhaps"
            f" {' and '.join(others)}; found {', '.join(map(str, value)) or 'nothing'}"
        )
    if "src" in value:
        return _source(what, str(value["src"]), read), value
    if not isinstance(value["content"], str):
        raise Failure(f"{what}: the content is {type(value['content']).__name__}; expected a text")
    text = value["content"]
    return text if text.endswith("\n") else f"{text}\n", value


def _source(what: str, path: str, read: Read) -> str:
    if not os.path.isabs(path):
        raise Failure(f"{what}: src {path!r} is no absolute path")
    try:
        text = read(path)
    except Failure as failure:
        raise Failure(f"{what}: {failure.message}", **failure.details) from None
    if text is None:
        raise Failure(f"{what}: this host has no file {path}")
    return text


def _mode(what: str, mode: t.Any) -> int:
    if mode is None:
        return 0o644
    try:
        number = int(mode, 8) if isinstance(mode, str) else -1
    except ValueError:
        number = -1
    if not 0 <= number <= 0o7777:
        raise Failure(f"{what}: the mode is none; expected octal digits in quotes, such as '0644'")
    return number
