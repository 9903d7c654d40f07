# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What of the host a machine shall see: directories, files and sockets, as they are declared.

Private to the collection. Pure.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from .._core.plan import Failure
from .._core.printable import printable
from .._settings import nspawn_file

MAPPINGS = ("none", "idmap", "rootidmap", "owneridmap")
SINCE: t.Mapping[str, int] = {"owneridmap": 256}
"""The version of systemd that brought a mapping; the others are older than what is supported."""
ENGINE_SOCKET = "/run/docker.sock"
DEFAULT_MODE = 0o755
"""Of a directory that is made for a machine."""


@dataclasses.dataclass(frozen=True)
class Share:
    """A path of the host that is shown in a machine."""

    source: str
    destination: str
    read_only: bool = False
    mapping: str = "none"
    """auto: C(idmap) where the machine has private users, and none where it has not."""
    create: bool = False
    owner: t.Optional[str] = None
    group: t.Optional[str] = None
    mode: t.Optional[int] = None
    force: bool = False
    socket: bool = False
    """A socket is expected there."""

    def line(self, private: bool) -> str:
        """The value of C(Bind=); O(private): the machine has users of its own."""
        mapping = self.mapping
        if mapping == "auto":
            mapping = "idmap" if private else "none"
        words = [_protected(self.source)]
        if self.destination != self.source or mapping != "none":
            words.append(_protected(self.destination))
        if mapping != "none":
            words.append(mapping)
        return ":".join(words)


def _protected(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:")


# --- from arguments -------------------------------------------------------------------------


def shares_in(entry: t.Mapping[str, t.Any], here: str) -> tuple[Share, ...]:
    """What one entry of C(machines) shows of the host."""
    shares = [_share(one, here) for one in entry.get("binds") or ()]
    if entry.get("docker_socket"):
        shares.append(engine_of(entry["docker_socket"], here))
    seen: dict[str, Share] = {}
    for share in shares:
        other = seen.setdefault(share.destination, share)
        if other is not share:
            raise Failure(
                f"{here}: {other.source} and {share.source} shall both be shown at"
                f" {share.destination}; give one of them another dest"
            )
    return tuple(shares)


def _share(raw: t.Mapping[str, t.Any], here: str) -> Share:
    source = _path(raw["src"], f"{here}, binds, src")
    what = f"{here}, binds, {printable(source)}"
    destination = _path(raw.get("dest") or source, f"{what}, dest")
    if destination == "/":
        raise Failure(f"{what}: dest: /: expected a path below the root of the machine")
    create = bool(raw.get("create"))
    for word in ("owner", "group", "mode"):
        if raw.get(word) is not None and not create:
            raise Failure(
                f"{what}: {word} is for a directory that is made; say create: true, or leave"
                f" {word} out"
            )
    mode = raw.get("mode")
    return Share(
        source,
        destination,
        read_only=bool(raw.get("read_only")),
        mapping=raw.get("mapping") or "none",
        create=create,
        owner=raw.get("owner"),
        group=raw.get("group"),
        mode=None if mode is None else _mode(mode, what),
        force=bool(raw.get("force")),
    )


def engine_of(raw: t.Mapping[str, t.Any], here: str) -> Share:
    """The socket of Docker or Podman."""
    what = f"{here}, docker_socket"
    if not raw.get("accept_root_on_host"):
        raise Failure(
            f"{what}: whoever may use this socket is root of the host: with it a container can be"
            " started that has all of the host's files. Say accept_root_on_host: true when all"
            " members of the group in that machine may be that"
        )
    path = _path(raw.get("path") or ENGINE_SOCKET, f"{what}, path")
    inside = _path(raw.get("dest") or path, f"{what}, dest")
    return Share(path, inside, mapping="auto", force=True, socket=True)


def _path(path: str, what: str) -> str:
    if not path.startswith("/"):
        raise Failure(f"{what}: {printable(path)!r}: expected an absolute path")
    if re.search(r"[\x00-\x1f\x7f]", path):
        raise Failure(f"{what}: {printable(path)!r}: a path with control characters is not taken")
    if ".." in path.split("/"):
        raise Failure(f"{what}: {printable(path)!r}: expected a path without ..")
    return posixpath.normpath("/" + path.lstrip("/"))


def _mode(mode: str, what: str) -> int:
    if not re.fullmatch(r"0?[0-7]{3,4}", mode):
        raise Failure(f'{what}: mode: {mode!r}: expected octal digits in quotes, such as "0750"')
    return int(mode, 8)


# --- as settings ----------------------------------------------------------------------------


def lines_of(shares: t.Sequence[Share], *, private: bool) -> tuple[str, ...]:
    return tuple(share.line(private) for share in shares)


def added(
    settings: nspawn_file.Settings,
    shares: t.Sequence[Share],
    *,
    private: bool,
    old: t.Collection[str] = (),
) -> nspawn_file.Settings:
    """The keys for shares, with what O(settings) say of the same keys, but without O(old) ones."""
    lines: dict[str, tuple[str, ...]] = {}
    gone = set(old) - set(lines_of(shares, private=private))
    for key in ("Bind", "BindReadOnly"):
        there = settings.values_of("Files", key)
        left = tuple(value for value in there if value not in gone)
        ours = lines_of([one for one in shares if _key(one) == key], private=private)
        values = tuple(dict.fromkeys((*left, *ours)))
        if values != there:
            lines[key] = values
    return nspawn_file.Settings({"Files": lines} if lines else {})


def _key(share: Share) -> str:
    return "BindReadOnly" if share.read_only else "Bind"
