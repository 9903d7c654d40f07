# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Drop-ins of systemd-networkd and systemd-resolved: wanted, seen, plan, act.

Private to the collection; all for the module C(drop_in). Drop-ins of units are in
C(unit_drop_ins), and whether a daemon runs at all in C(daemons).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import typing as t

from .._core import files as core_files
from .._core import locks, marks, masks
from .._core.plan import Failure, Plan, Step, Verbs, identities, ordered
from .._core.run import run
from . import daemons, name_servers, routing, unit_files, unit_text

DIRECTORY = "/etc/systemd"

# Only a name in that directory, and one that fits into the name of a drop-in's directory.
_NETWORK_FILE = re.compile(r"network/[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,199}\.network")


# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The same drop-in for several configuration files of one daemon."""

    files: tuple[str, ...]
    drop_in: str
    text: t.Optional[str]
    """Nothing: the drop-in is to go."""
    enabled: bool = False
    """The daemon is to be enabled and to run, or not any more if we have enabled it."""

    @property
    def things(self) -> list[locks.Thing]:
        """What nobody else may work on meanwhile: the daemon reads all of its files at once."""
        return [locks.Thing("daemon", self.service), *map(locks.file, self.paths)]

    @property
    def service(self) -> str:
        return service_of(self.files)

    @property
    def sets_up_links(self) -> bool:
        """What the daemon does with links of machines is our doing as well."""
        return self.enabled and self.service == "systemd-networkd.service"

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(f"{DIRECTORY}/{name}.d/{self.drop_in}.conf" for name in self.files)


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    """Check what the user gave, before anything is looked at or changed."""
    if not params["files"]:
        raise Failure("files: name at least one file")
    if params["state"] == "absent":
        text = None
    elif params["settings"]:
        name_servers.check(params["settings"])
        settings = name_servers.resolved(params["settings"], name_servers.of_host)
        text = unit_text.render(settings)
    else:
        raise Failure("settings: a drop-in without settings does nothing; use state=absent")
    unit_files.check_drop_in(params["drop_in"])
    return Wanted(tuple(params["files"]), params["drop_in"], text, bool(params["enabled"]))


def service_of(files: t.Sequence[str]) -> str:
    """The daemon that reads these files; a clear refusal for any other file."""
    services = set()
    for name in files:
        if _NETWORK_FILE.fullmatch(name):
            services.add("systemd-networkd.service")
        elif name == "resolved.conf":
            services.add("systemd-resolved.service")
        else:
            raise Failure(
                f"{name!r}: not a file whose drop-ins this module knows. Right would be"
                " resolved.conf, or network/ and the name of a .network file,"
                " such as network/80-container-ve.network"
            )
    if len(services) != 1:
        raise Failure(f"{', '.join(files)}: one call takes files of one daemon only")
    return services.pop()


# --- seen -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What is there: texts by path, and whether the daemon runs and has read them."""

    texts: t.Mapping[str, t.Optional[str]]
    daemon: daemons.Seen
    unread: bool
    routing: t.Optional[routing.Seen] = None
    """Whether the host routes, where that is ours to take back."""


def snapshot(wanted: Wanted) -> Snapshot:
    return Snapshot(
        texts={path: core_files.read(path) for path in wanted.paths},
        daemon=daemons.snapshot(wanted.service),
        unread=marks.is_left(wanted.service),
        routing=(
            routing.snapshot(present=wanted.text is not None) if wanted.sets_up_links else None
        ),
    )


# --- plan -----------------------------------------------------------------------------------


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    steps = [step for path in wanted.paths for step in _changes(seen, wanted, path)]
    written = identities(*steps)
    service = daemons.plan(seen.daemon, wanted.enabled, present=wanted.text is not None)
    # A daemon that is about to start or to end reads nothing anew.
    if seen.daemon.running and not daemons.ends(service) and (steps or seen.unread):
        steps.append(
            Step(
                "reload",
                wanted.service,
                {"files": wanted.files},
                before={"configuration": "as read before"},
                after={"configuration": "read anew"},
                needs=written,
            )
        )
    steps += _needing(service, written)
    if seen.routing is not None:
        going_on = seen.daemon.running and not daemons.ends(service)
        steps = _around(steps, seen.routing, present=wanted.text is not None, going_on=going_on)
    return ordered(steps)


def _around(
    steps: t.Sequence[Step], seen: routing.Seen, *, present: bool, going_on: bool
) -> list[Step]:
    """How the host routes is remembered before all else, and brought back after it."""
    more = routing.plan(seen, present=present, going_on=going_on)
    if present:
        return [*more, *_needing(steps, identities(*more))]
    return [*steps, *_needing(more, identities(*steps))]


def _needing(steps: t.Iterable[Step], needs: frozenset[str]) -> list[Step]:
    return [dataclasses.replace(step, needs=step.needs | needs) for step in steps]


def surprises(seen: Snapshot, wanted: Wanted) -> t.Iterator[str]:
    """What a user would wonder about later."""
    if seen.routing is not None:
        yield from routing.surprises(seen.routing, present=wanted.text is not None)


def _changes(seen: Snapshot, wanted: Wanted, path: str) -> t.Iterator[Step]:
    text = seen.texts[path]
    before, after = masks.texts(text, wanted.text)
    arguments = {"path": path, "service": wanted.service}
    if wanted.text is None and text is not None:
        yield Step("remove", path, arguments, before=before)
    elif wanted.text is not None and text != wanted.text:
        arguments["text"] = wanted.text
        yield Step("write", path, arguments, before=before, after=after)


# --- act ------------------------------------------------------------------------------------


def _write(step: Step) -> None:
    with _unread(step.arguments["service"]):
        core_files.write(step.arguments["path"], step.arguments["text"])


def _remove(step: Step) -> None:
    with _unread(step.arguments["service"]):
        core_files.remove(step.arguments["path"])
        core_files.remove_empty_directory(os.path.dirname(step.arguments["path"]))


@contextlib.contextmanager
def _unread(service: str) -> t.Iterator[None]:
    """Note that a file changes, unless the daemon does not run: it reads all when it starts."""
    marks.leave(service)
    yield
    if daemons.rests(service):
        _read_already(service)


def _stop(step: Step) -> None:
    daemons.stop(step)
    _read_already(step.subject)


def _read_already(service: str) -> None:
    """Nobody has to be told: whoever starts the daemon has it read all of its files."""
    with marks.reading(service):
        pass


def _reload(step: Step) -> None:
    with marks.reading(step.subject):
        _read_anew(step)


def _read_anew(step: Step) -> None:
    if step.subject == "systemd-networkd.service":
        run(["networkctl", "reload"])
        links = _links_of([os.path.basename(name) for name in step.arguments["files"]])
        if links:
            # A reload alone leaves a link as it is when only a drop-in has changed.
            run(["networkctl", "reconfigure", "--", *links])
    else:
        # It learnt to reload with systemd 254 only.
        run(["systemctl", "reload-or-restart", "--", step.subject])


def _links_of(files: t.Collection[str]) -> list[str]:
    """The links that networkd has configured from one of these files."""
    status = json.loads(run(["networkctl", "--json=short", "status", "--all"]).stdout)
    return [
        link["Name"]
        for link in status.get("Interfaces", [])
        if os.path.basename(link.get("NetworkFile") or "") in files
    ]


def _start(step: Step) -> None:
    with marks.reading(step.subject):
        daemons.start(step)


VERBS: Verbs = {
    **daemons.VERBS,
    **routing.VERBS,
    "write": _write,
    "remove": _remove,
    "reload": _reload,
    "start": _start,
    "stop": _stop,
}
