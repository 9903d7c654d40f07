# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""D-Bus through C(busctl --json=short): typed, and alike on systemd 252 to 262.

Private to the collection. machinectl's own output is meant for people and is not read.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from .._core.lines import lines_of
from .._core.plan import Failure
from .._core.run import CommandFailed, run


@dataclasses.dataclass(frozen=True)
class Service:
    """A bus name with its main object and interface."""

    name: str
    path: str
    interface: str


SYSTEMD = Service(
    "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
)
MACHINED = Service(
    "org.freedesktop.machine1", "/org/freedesktop/machine1", "org.freedesktop.machine1.Manager"
)
IMPORTD = Service(
    "org.freedesktop.import1", "/org/freedesktop/import1", "org.freedesktop.import1.Manager"
)
PORTABLED = Service(
    "org.freedesktop.portable1", "/org/freedesktop/portable1", "org.freedesktop.portable1.Manager"
)


class CallFailed(Failure):
    """A method call that the other side refused."""


def call(
    service: Service,
    method: str,
    signature: str = "",
    *arguments: str,
    path: t.Optional[str] = None,
    interface: t.Optional[str] = None,
    timeout: float = 60,
    keep: t.Sequence[int] = (),
) -> list[t.Any]:
    """Call a method and return its return values.

    O(keep) are descriptors that last as long as the call, also when we are killed meanwhile.
    """
    argv = ["busctl", "--json=short", f"--timeout={timeout:g}", "call", "--"]
    argv += [service.name, path or service.path, interface or service.interface, method]
    if signature:
        argv += [signature, *arguments]
    answer = _busctl(argv, timeout, keep)
    return t.cast("list[t.Any]", answer.get("data", []))


def properties(
    service: Service, *names: str, path: t.Optional[str] = None, interface: t.Optional[str] = None
) -> dict[str, t.Any]:
    """Read properties of an object: those named, or all of the interface."""
    where = (path or service.path, interface or service.interface)
    if not names:
        (everything,) = call(
            service,
            "GetAll",
            "s",
            where[1],
            path=where[0],
            interface="org.freedesktop.DBus.Properties",
        )
        return {name: value["data"] for name, value in everything.items()}
    argv = ["busctl", "--json=short", "get-property", "--", service.name, *where, *names]
    lines = lines_of(run(argv).stdout)
    return {name: json.loads(line)["data"] for name, line in zip(names, lines)}


def object_path(prefix: str, name: str) -> str:
    """The path under which systemd files an object of this name."""
    escaped = re.sub(rb"[^a-zA-Z0-9]|^[0-9]", lambda m: b"_%02x" % m.group()[0], name.encode())
    return f"{prefix}/{escaped.decode() or '_'}"


def _busctl(argv: t.Sequence[str], timeout: float, keep: t.Sequence[int]) -> dict[str, t.Any]:
    try:
        stdout = run(argv, timeout=timeout + 5, keep=keep).stdout
    except CommandFailed as error:
        said = error.result.stderr.strip()
        if said.startswith("Call failed: "):
            raise CallFailed(said[len("Call failed: ") :], cmd=list(argv)) from None
        raise
    return t.cast("dict[str, t.Any]", json.loads(stdout)) if stdout.strip() else {}
