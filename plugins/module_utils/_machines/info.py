# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What can be said of a machine, running or not. Private to the collection. Only reads."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import ipaddress
import json
import os
import socket
import time
import typing as t

from .._core import beneath, masks
from .._core import files as core_files
from .._core.lines import lines_of
from .._core.plan import Failure
from .._core.run import run
from .._images import releases
from .._inside import leader
from .._settings import nspawn_file
from .._systemd import bus, machined, unit_files
from .._systemd import units as systemd_units
from .._systemd.image_classes import MACHINE
from . import drift
from . import record as machines_record

Fields = dict[str, t.Any]
Value = t.TypeVar("Value")
WORKERS = 8
# For all that is asked of one machine. A healthy one answers within tenths of a second.
PATIENCE = 20
# How much of what it says is looked at: a word, a list of units, and lines of its journal.
WORD = 4096
LIST = 1024 * 1024
LINES = 16 * 1024 * 1024
_NONE: list[str] = []
STATS = {
    "cpu_seconds": "CPUUsageNSec",
    "memory": "MemoryCurrent",
    "tasks": "TasksCurrent",
    "read_bytes": "IOReadBytes",
    "written_bytes": "IOWriteBytes",
    "received_bytes": "IPIngressBytes",
    "sent_bytes": "IPEgressBytes",
}


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


class _Asked(Failure):
    """What was asked cannot be told of any machine."""


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
    _end: float = 0

    def fields(self) -> Fields:
        self._end = time.monotonic() + PATIENCE
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
            "interfaces": self._told("interfaces", self.interfaces, _NONE),
            "addresses": self._told("addresses", self.addresses, _NONE),
            "os": self._told("os", self.os, None),
            "drop_ins": list(self.unit.drop_ins),
            **self._told("settings", self.settings, {"settings_file": None, "settings": {}}),
            **self._told("drift", self.drift, {}),
        }
        if self.details.stats:
            fields["stats"] = self._told("stats", self.stats, None)
        if self.details.health:
            unknown = {"system_state": "unknown", "failed_units": []}
            fields.update(self._told("health", self.health, unknown))
        if self.details.logs:
            fields["logs"] = self._told("logs", self.logs, _NONE)
        return {**fields, "errors": self.errors}

    def _told(self, subject: str, tell: t.Callable[[], Value], otherwise: Value) -> Value:
        """What can be told of one subject; why not, and something in its place, when it cannot."""
        try:
            return tell()
        except _Asked:
            raise
        except Failure as failure:
            self.errors[subject] = failure.message
        except (OSError, ValueError, LookupError, TypeError) as error:
            self.errors[subject] = f"{type(error).__name__}: {error}"
        return otherwise

    def _left(self, most: float) -> float:
        """For how long a question may still wait for its answer."""
        left = min(most, self._end - time.monotonic())
        if left <= 0:
            raise Failure(
                f"{self.name} was not asked: what was asked before took {PATIENCE} s. If it hangs"
                " or is stopped (SIGSTOP), restart it"
            )
        return left

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

    def interfaces(self) -> list[str]:
        """The links of the host that lead to it."""
        if self.machine is None:
            return []
        try:
            found = bus.properties(
                bus.MACHINED,
                "NetworkInterfaces",
                path=bus.object_path(f"{bus.MACHINED.path}/machine", self.name),
                interface="org.freedesktop.machine1.Machine",
            )
        except Failure:
            return []
        return [name for name in map(_interface, found["NetworkInterfaces"]) if name]

    def addresses(self) -> list[str]:
        """Those by which the host reaches the machine, none of its loopback."""
        found = [
            ipaddress.ip_address(bytes(octets))
            for _family, octets in self._ask("GetMachineAddresses") or []
        ]
        return [str(one) for one in found if not one.is_loopback]

    def os(self) -> t.Optional[dict[str, str]]:
        """Read by us: machined would wait with a FIFO in its place, and all who ask it as well."""
        release = self._os_of_running()
        if release is None and self.image is not None:
            release = releases.of(self.image, MACHINE)
        return {key.lower(): value for key, value in release.items()} if release else None

    def _os_of_running(self) -> t.Optional[dict[str, str]]:
        """Nothing of a machine that just went, or whose root is not ours to enter."""
        machine = self.machine
        if machine is None:
            return None
        found = beneath.machine(
            machine.leader, lambda: leader.is_leader(machine), deadline=self._left(10)
        )
        if found is None:
            return None
        with found as root:
            return releases.in_root(root, MACHINE.release)

    def _ask(self, method: str) -> t.Any:
        """What machined tells of a running machine; nothing of one that just went."""
        if self.machine is None:
            return None
        try:
            (answer,) = self._call(method)
        except bus.CallFailed:
            return None
        return answer

    def _call(self, method: str) -> list[t.Any]:
        return bus.call(bus.MACHINED, method, "s", self.name, timeout=self._left(10))

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

    def stats(self) -> t.Optional[dict[str, t.Optional[float]]]:
        """What its unit has used; nothing where the host does not count it."""
        if self.machine is None:
            return None
        names = ",".join(STATS.values())
        argv = ["systemctl", "show", f"--property={names}", "--", self.machine.unit]
        shown = run(argv, timeout=self._left(15)).stdout
        values = dict(line.split("=", 1) for line in lines_of(shown) if "=" in line)
        return {word: _number(word, values.get(name, "")) for word, name in STATS.items()}

    def health(self) -> Fields:
        """What the machine's own systemd says of itself."""
        if self.machine is None:
            return {"system_state": None, "failed_units": []}
        # Without --wait: that was seen to hang for ever.
        argv = ["systemctl", f"--machine={self.name}", "is-system-running"]
        state = run(argv, check=False, timeout=self._left(10), limit=WORD).stdout.strip()
        argv = ["systemctl", f"--machine={self.name}", "list-units", "--failed", "--output=json"]
        argv.append("--no-pager")
        listed = run(argv, check=False, timeout=self._left(10), limit=LIST).stdout
        failed = [str(unit["unit"]) for unit in json.loads(listed)] if listed[:1] == "[" else []
        return {"system_state": state or "unknown", "failed_units": failed}

    def logs(self) -> list[str]:
        """The last lines of the machine's own journal, also of one that does not run."""
        argv = ["journalctl", "--no-pager", "--quiet", f"--lines={self.details.logs}"]
        if self.details.since:
            argv.append(f"--since={self.details.since}")
        if self.machine:
            argv.append(f"--machine={self.name}")
        elif self.image and os.path.isdir(self.image.path):
            argv.append(f"--root={self.image.path}")
        else:
            return []
        said = run(argv, check=False, timeout=self._left(15), limit=LINES)
        if "Failed to parse timestamp" in said.stderr:
            raise _Asked(
                f"since: {self.details.since!r} is no time for journalctl; expected words like"
                " -1h, yesterday or 2026-11-01 12:00"
            )
        return lines_of(said.stdout)


def _interface(index: int) -> t.Optional[str]:
    try:
        return socket.if_indextoname(index)
    except OSError:
        # Moved into the machine, or just gone.
        return None


def _number(word: str, text: str) -> t.Optional[float]:
    if not text.isdigit() or int(text) >= machined.UNKNOWN:
        return None
    return int(text) / 1e9 if word == "cpu_seconds" else int(text)
