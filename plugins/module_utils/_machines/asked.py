# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a machine says of itself, and others of what goes on in it. Private to the collection.

Only reads. A machine may lie, hang or hold its tongue: what it says is capped, and all that is
asked of one machine has one deadline.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import socket
import time
import typing as t

from .._core import beneath
from .._core.lines import lines_of
from .._core.plan import Failure
from .._core.run import run
from .._images import releases
from .._inside import leader
from .._systemd import bus, machined
from .._systemd.image_classes import MACHINE

Fields = dict[str, t.Any]
# For all that is asked of one machine. A healthy one answers within tenths of a second.
PATIENCE = 20
# How much of what it says is looked at: a word, a list of units, and lines of its journal.
WORD = 4096
LIST = 1024 * 1024
LINES = 16 * 1024 * 1024
STATS = {
    "cpu_seconds": "CPUUsageNSec",
    "memory": "MemoryCurrent",
    "tasks": "TasksCurrent",
    "read_bytes": "IOReadBytes",
    "written_bytes": "IOWriteBytes",
    "received_bytes": "IPIngressBytes",
    "sent_bytes": "IPEgressBytes",
}


class Unanswerable(Failure):
    """What was asked cannot be told of any machine."""


@dataclasses.dataclass(frozen=True)
class Questions:
    """One machine, and until when it may be asked."""

    name: str
    image: t.Optional[machined.Image]
    machine: t.Optional[machined.Machine]
    end: float
    """On the clock that C(time.monotonic) reads."""

    def _left(self, most: float) -> float:
        """For how long a question may still wait for its answer."""
        left = min(most, self.end - time.monotonic())
        if left <= 0:
            raise Failure(
                f"{self.name} was not asked: what was asked before took {PATIENCE} s. If it hangs"
                " or is stopped (SIGSTOP), restart it"
            )
        return left

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

    def logs(self, lines: int, since: t.Optional[str]) -> list[str]:
        """The last lines of the machine's own journal, also of one that does not run."""
        argv = ["journalctl", "--no-pager", "--quiet", f"--lines={lines}"]
        if since:
            argv.append(f"--since={since}")
        if self.machine:
            argv.append(f"--machine={self.name}")
        elif self.image and os.path.isdir(self.image.path):
            argv.append(f"--root={self.image.path}")
        else:
            return []
        said = run(argv, check=False, timeout=self._left(15), limit=LINES)
        if "Failed to parse timestamp" in said.stderr:
            raise Unanswerable(
                f"since: {since!r} is no time for journalctl; expected words like"
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
