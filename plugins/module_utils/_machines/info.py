# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What can be said of a machine, running or not. Private to the collection. Only reads."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing as t

from .._core import files as core_files
from .._core import masks
from .._core.plan import Failure
from .._settings import nspawn_file
from .._systemd import machined, unit_files
from .._systemd import units as systemd_units
from . import asked, drift
from . import record as machines_record

Fields = asked.Fields
Value = t.TypeVar("Value")
WORKERS = 8
_NONE: list[str] = []


@dataclasses.dataclass(frozen=True)
class Details:
    """What shall be told beside what costs nothing."""

    stats: bool = False
    health: bool = False
    logs: int = 0
    since: t.Optional[str] = None


def tell(names: t.Optional[t.Sequence[str]], details: Details) -> list[Fields]:
    """Those named, or all: what runs, starts with the host, or was made by the collection."""
    for name in names or []:
        machined.check_name(name)
    images = machined.images()
    machines = machined.machines()
    # Any of its instances tells systemd's pattern for all of them.
    candidates = dict.fromkeys([*(names or []), *images, *machines, *machines_record.names()])
    units = systemd_units.snapshot([machined.unit_of(name) for name in candidates])
    recorded = set(machines_record.names())
    found = []
    for name in names if names is not None else sorted(candidates):
        unit = units[machined.unit_of(name)]
        known = name in machines or unit.enabled or unit.active != "inactive"
        if names is not None or known or name in recorded:
            found.append(_Facts(name, images.get(name), machines.get(name), unit, details))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(_Facts.fields, found))


@dataclasses.dataclass
class _Facts:
    """One machine and what was seen of it together with the others.

    Whatever it does not tell, or not in time, is an error of its own, and no other's.
    """

    name: str
    image: t.Optional[machined.Image]
    machine: t.Optional[machined.Machine]
    unit: systemd_units.UnitState
    details: Details
    errors: dict[str, str] = dataclasses.field(default_factory=dict)

    def fields(self) -> Fields:
        end = time.monotonic() + asked.PATIENCE
        ask = asked.Questions(self.name, self.image, self.machine, end)
        fields: Fields = {
            "name": self.name,
            "state": self.state(),
            "unit": self.machine.unit if self.machine else self.unit.name,
            "enabled": self.unit.enabled,
            "image": dataclasses.asdict(self.image) if self.image else None,
            "class": self.machine.machine_class if self.machine else None,
            "service": self.machine.service if self.machine else None,
            "machine_id": (self.machine.identity or None) if self.machine else None,
            "leader": self.machine.leader if self.machine else None,
            "root": self.machine.root if self.machine else None,
            **self.times(),
            **self.unit_state(),
            "interfaces": self._told("interfaces", ask.interfaces, _NONE),
            "addresses": self._told("addresses", ask.addresses, _NONE),
            "os": self._told("os", ask.os, None),
            "drop_ins": list(self.unit.drop_ins),
            **self._told("settings", self.settings, {"settings_file": None, "settings": {}}),
            **self._told("drift", self.drift, {}),
        }
        if self.details.stats:
            fields["stats"] = self._told("stats", ask.stats, None)
        if self.details.health:
            unknown = {"system_state": "unknown", "failed_units": []}
            fields.update(self._told("health", ask.health, unknown))
        if self.details.logs:
            fields["logs"] = self._told(
                "logs", lambda: ask.logs(self.details.logs, self.details.since), _NONE
            )
        return {**fields, "errors": self.errors}

    def _told(self, subject: str, tell: t.Callable[[], Value], otherwise: Value) -> Value:
        """What can be told of one subject; why not, and something in its place, when it cannot."""
        try:
            return tell()
        except asked.Unanswerable:
            raise
        except Failure as failure:
            self.errors[subject] = failure.message
        except (OSError, ValueError, LookupError, TypeError) as error:
            self.errors[subject] = f"{type(error).__name__}: {error}"
        return otherwise

    def state(self) -> str:
        """One word for what machined, the unit and the image say together."""
        if self.unit.frozen:
            return "paused"
        if self.unit.active == "activating":
            return "starting"
        if self.unit.active == "deactivating" or (self.machine and self.machine.state == "closing"):
            return "stopping"
        if self.machine:
            return "running"
        if self.unit.active == "failed":
            return "failed"
        return "stopped" if self.image else "absent"

    def times(self) -> Fields:
        """Since when it runs, in seconds since 1970, and for how many seconds."""
        if self.machine is None or not self.machine.started:
            return {"started": None, "uptime": None}
        uptime = max(0.0, time.monotonic() - self.machine.started / 1e6)
        return {"started": round(time.time() - uptime, 3), "uptime": round(uptime, 3)}

    def unit_state(self) -> Fields:
        """What systemd says of the unit; of one that failed also how it ended."""
        said: Fields = {"load": self.unit.load, "active": self.unit.active, "sub": self.unit.sub}
        if self.unit.active == "failed":
            ended = systemd_units.details([self.unit.name])[self.unit.name]
            said.update(result=ended.result, exit_status=ended.exit_status)
        return {"unit_state": said}

    def settings(self) -> Fields:
        """Which file counts, what is in it, and whether the machine runs with it."""
        found = nspawn_file.locate(self.name, self.image.path if self.image else None)
        text = core_files.read(found.path) if found else None
        fields: Fields = {"settings_file": found.path if found else None, "settings": {}}
        if found and text is not None:
            fields["settings_trusted"] = found.trusted
            try:
                parsed = nspawn_file.parse(text, found.path)
                fields["settings"] = masks.sections(parsed)
                version = machined.systemd_version()
                fields["settings_ignored"] = (
                    [] if found.trusted else nspawn_file.ignored_next_to_image(parsed, version)
                )
            except Failure as failure:
                fields["settings_error"] = failure.message
        fields["restart_needed"] = self.machine is not None and self._outdated(text)
        return fields

    def _outdated(self, settings: t.Optional[str]) -> bool:
        started = machines_record.started_with(self.name, self.unit.name)
        if started is None:
            files = [nspawn_file.path_of(self.name), *self.unit.drop_ins]
            return systemd_units.younger_than_start(self.unit.name, files)
        drop_in = core_files.read(unit_files.drop_in_path(self.unit.name))
        return started != machines_record.digest(settings, drop_in)

    def drift(self) -> Fields:
        """Where it differs from what was declared for it, if anything was."""
        record = machines_record.read(self.name)
        if record is None or not record.declared:
            return {}
        found = drift.drift(
            record.declared,
            state=self.state(),
            enabled=self.unit.enabled,
            settings=core_files.read(nspawn_file.path_of(self.name)),
            unit=core_files.read(unit_files.drop_in_path(self.unit.name)),
        )
        return {"drift": found}
