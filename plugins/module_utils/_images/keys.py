# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The key ring of images: whose signatures a host accepts. Private to the collection."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._core import files, locks
from .._core.plan import Plan, Step, Verbs
from . import openpgp, verify
from .openpgp import Key

# --- what is wanted -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Keys that the ring shall have or not have."""

    keys: tuple[Key, ...]
    state: str = "present"
    exclusive: bool = False


def wanted(arguments: t.Mapping[str, t.Any]) -> Wanted:
    """From the arguments of the module C(image_keys)."""
    found = [
        key
        for number, text in enumerate(arguments["keys"], 1)
        for key in openpgp.armored_keys(text, f"keys: number {number}")
    ]
    return Wanted(tuple(found), arguments["state"], arguments["exclusive"])


# --- what is seen ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The ring in /etc, which hides the vendor's, and the vendor's."""

    path: str
    ring: t.Optional[tuple[Key, ...]]
    vendor: tuple[Key, ...] = ()


_OWN = [path for path in verify.KEYRINGS if path.startswith("/etc/")]


def things() -> list[locks.Thing]:
    """What nobody else may work on meanwhile: the ring in /etc, under either of its names."""
    return [locks.file(path) for path in _OWN]


def snapshot() -> Snapshot:
    """Read both rings."""
    # Every version up to 262 reads the name with .gpg, unless there is one with .pgp.
    path = next((path for path in _OWN if os.path.exists(path)), _OWN[-1])
    vendor = next((p for p in verify.KEYRINGS if p not in _OWN and os.path.exists(p)), None)
    return Snapshot(path, _read(path), (_read(vendor) if vendor else None) or ())


def _read(path: str) -> t.Optional[tuple[Key, ...]]:
    try:
        with open(path, "rb") as stream:
            return tuple(openpgp.ring_keys(stream.read(), path))
    except FileNotFoundError:
        return None


# --- the plan -------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    """A ring that would be as the vendor's is none of ours."""
    ring = seen.vendor if seen.ring is None else seen.ring
    if wanted.state == "absent":
        then = openpgp.without(ring, wanted.keys)
    elif wanted.exclusive:
        then = openpgp.merged([], wanted.keys)
    else:
        then = openpgp.merged(ring, wanted.keys)
    now = None if seen.ring is None else list(seen.ring)
    if then == (list(seen.vendor) if now is None else now):
        return ()
    gone = then == list(seen.vendor)
    return (
        Step(
            "remove" if gone else "write",
            seen.path,
            {"data": b"".join(key.data for key in then)},
            before={"keys": sorted(key.fingerprint for key in ring)},
            after={"keys": sorted(key.fingerprint for key in then)},
        ),
    )


# --- acting ---------------------------------------------------------------------------------


def _write(step: Step) -> None:
    # Any bytes come out of it as they went in.
    files.write(step.subject, step.arguments["data"].decode("utf-8", "surrogateescape"))


VERBS: Verbs = {"write": _write, "remove": lambda step: files.remove(step.subject, durable=True)}
