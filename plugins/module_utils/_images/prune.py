# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which images are old enough to go: wanted, seen, planned and done.

Private to the collection. Only the look and the verbs touch the host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import os
import re
import time
import typing as t

from .._core import module as core_module
from .._core.plan import Failure, Plan, Step, Verbs
from .._systemd import bus, machined
from .._systemd.image_classes import MACHINE
from .._systemd.machined import Image
from . import act, holding, keepers
from . import seen as images_seen

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
# How importd calls the copies that it keeps of what it pulls.
DOWNLOADS = (".tar-", ".raw-", ".dkr-")


# --- what is wanted -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which images may go: those that match, beyond the newest few, and old enough."""

    patterns: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    keep: t.Optional[int] = None
    older_than: t.Optional[float] = None
    """Seconds."""
    strangers: bool = False
    """Also images that this collection did not make."""
    downloads: bool = False
    """Also the hidden copies of importd."""


def wanted(arguments: t.Mapping[str, t.Any]) -> Wanted:
    """From the arguments of the module C(image_prune)."""
    older = arguments["older_than"]
    found = Wanted(
        patterns=tuple(arguments["patterns"]),
        exclude=tuple(arguments["exclude"]),
        keep=arguments["keep"],
        older_than=duration(older) if older else None,
        strangers=arguments["strangers"],
        downloads=arguments["downloads"],
    )
    check(found)
    return found


def duration(text: str) -> float:
    """A time as systemd spells it in its simplest form: a number and s, m, h, d or w."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if not found:
        raise Failure(f"older_than {text!r}: expected a number and one of s, m, h, d, w; like 30d")
    return float(found.group(1)) * _SECONDS[found.group(2)]


def check(wanted: Wanted) -> None:
    if wanted.keep is None and wanted.older_than is None and not wanted.downloads:
        raise Failure("say what may go: keep, older_than or downloads")
    if wanted.keep is not None and wanted.keep < 0:
        raise Failure(f"keep {wanted.keep}: expected 0 or more")


# --- what is seen ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The images of the host, hidden ones included, and why some of them must stay."""

    now: float
    images: t.Mapping[str, Image]
    hidden: t.Mapping[str, Image]
    identities: t.Mapping[str, str]
    """What each of both is, under whatever name."""
    ours: frozenset[str]
    needed: t.Mapping[str, str]
    """Why an image cannot go, by its name."""


def snapshot() -> Snapshot:
    """Read what says which images may go."""
    there = machined.images()
    hidden = _hidden()
    identities = images_seen.identities_of(there)
    used = images_seen.users_of(MACHINE, there)
    needed = {name: f"machine {machine} runs from it" for name, machine in used.items()}
    for name in there:
        if os.path.lexists(images_seen.wants_path(name)):
            needed.setdefault(name, "its machine is enabled to start at boot")
    return Snapshot(
        now=time.time(),
        images=there,
        hidden=hidden,
        identities={**identities, **images_seen.identities_of(hidden)},
        ours=frozenset(images_seen.records_of(MACHINE, identities)),
        needed=needed,
    )


def _hidden() -> dict[str, Image]:
    if not machined.is_installed():
        return {}
    (rows,) = bus.call(bus.MACHINED, "ListImages")
    found = {}
    for name, kind, read_only, created, modified, usage, _object in rows:
        if name.startswith(".") and name != ".host":
            path = machined.image_path(name, kind)
            found[name] = Image(name, kind, read_only, created, modified, usage, path)
    return found


# --- the plan -------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: Wanted) -> tuple[Plan, dict[str, str]]:
    """What goes, and why the others that match stay."""
    check(wanted)
    kept: dict[str, str] = {}
    gone: list[Step] = []
    if wanted.keep is not None or wanted.older_than is not None:
        for name in _oldest_beyond(seen, wanted, kept):
            gone.append(_remove("remove image", seen.images[name], seen))
    if wanted.downloads:
        gone += [
            _remove("remove hidden image", image, seen)
            for name, image in sorted(seen.hidden.items())
            if name.startswith(DOWNLOADS) and _old_enough(image, seen, wanted)
        ]
    return tuple(gone), kept


@contextlib.contextmanager
def settled(module: core_module.Module, wanted: Wanted) -> t.Iterator[tuple[Plan, dict[str, str]]]:
    """What goes and why others stay, as long as nobody else works on what goes.

    Which that is shows only when one looks: so one looks again, until nothing goes but what is
    held.
    """
    held: frozenset[str] = frozenset()
    while True:
        with holding.alone(module, held):
            found, kept = plan(snapshot(), wanted)
            going = {step.subject for step in found}
            if module.check_mode or going <= held:
                yield found, kept
                return
        held |= going


def _oldest_beyond(seen: Snapshot, wanted: Wanted, kept: dict[str, str]) -> list[str]:
    candidates = [name for name in seen.images if _matches(name, wanted)]
    candidates.sort(key=lambda name: (seen.images[name].created, name), reverse=True)
    gone = []
    # What stays for another reason does not count among the newest that are kept.
    counted = 0
    for name in candidates:
        if name in seen.needed:
            kept[name] = seen.needed[name]
        elif name not in seen.ours and not wanted.strangers:
            kept[name] = "this collection did not make it"
        elif wanted.keep is not None and counted < wanted.keep:
            counted += 1
            kept[name] = f"it is among the newest {wanted.keep}"
        elif not _old_enough(seen.images[name], seen, wanted):
            kept[name] = "it is not old enough"
        else:
            gone.append(name)
    return gone


def _matches(name: str, wanted: Wanted) -> bool:
    def among(patterns: t.Iterable[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return among(wanted.patterns) and not among(wanted.exclude)


def _old_enough(image: Image, seen: Snapshot, wanted: Wanted) -> bool:
    if wanted.older_than is None:
        return True
    # An age that nobody knows is not an old one.
    return bool(image.created) and seen.now - image.created / 1e6 > wanted.older_than


def _remove(verb: str, image: Image, seen: Snapshot) -> Step:
    return Step(
        verb,
        image.name,
        {"path": image.path, "identity": seen.identities.get(image.name, "")},
        before={"state": "present", "type": image.type},
        after={"state": "absent"},
    )


# --- acting ---------------------------------------------------------------------------------


def _remove_hidden(step: Step) -> None:
    a = step.arguments
    act.refuse_another(step.subject, a["identity"], a["path"])
    keepers.call("RemoveImage", "s", step.subject, timeout=keepers.REMOVE_TIMEOUT)


VERBS: Verbs = {
    "remove image": act.VERBS["remove image"],
    "remove hidden image": _remove_hidden,
}
