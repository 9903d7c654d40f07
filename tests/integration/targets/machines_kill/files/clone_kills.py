# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the module machines while machined clones for it, use what is there, and run it again.

Run on a host beside kill_matrix.py: clone_kills.py TIMES [SEED]. After each kill somebody writes a
file into each machine that is there, or makes one by hand where there is none. The next run must
converge without losing any of that, and another one do nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import kill_matrix
from kill_matrix import MACHINES, RECORDS, TEMPLATE, Answer, entries

NAMES = ["it-c", "it-c0", "it-c00", "it-c1"]


def wanted(state: str = "stopped") -> list[dict[str, object]]:
    if state == "absent":
        return [{"name": name, "state": state} for name in NAMES]
    return [{**entry, "state": state, "enabled": False} for entry in kill_matrix.wanted(NAMES)]


def callers() -> list[int]:
    """The processes that have asked machined for a clone."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"busctl") and b"CloneImage" in words:
                found.append(int(entry.name))
    return found


def end(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


class Kills:
    """All kills, and what they led to."""

    def __init__(self, times: int, seed: int) -> None:
        self.times = times
        self.chance = random.Random(seed)
        self.rows: list[dict[str, object]] = []
        self.wrong: list[str] = []
        self.images = set(entries(MACHINES))
        self.records = set(entries(RECORDS))

    def all(self) -> None:
        # How long the clones take where nobody is killed.
        module = kill_matrix.begin(wanted())
        self.await_call(module)
        began = time.monotonic()
        while callers():
            time.sleep(0.001)
        self.longest = time.monotonic() - began
        module.communicate()
        self.expect(kill_matrix.run(wanted("absent")), "removing")
        number = 0
        while number < self.times:
            number += self.one(number)
        self.rows.append({"kills": number, "a clone takes": round(self.longest, 3)})

    @staticmethod
    def await_call(module: subprocess.Popen[bytes]) -> bool:
        while not callers():
            if module.poll() is not None:
                return False
            time.sleep(0.001)
        return True

    def one(self, number: int) -> bool:
        """One kill and what follows; whether machined was still being waited for."""
        module = kill_matrix.begin(wanted())
        met = self.await_call(module)
        moment = self.longest * (number + self.chance.random()) / self.times
        time.sleep(moment)
        met = met and bool(callers())
        module.kill()
        # Who called machined may live on, end as well, or machined itself goes too.
        who = ("module", "call", "machined")[number % 3]
        if who != "module":
            for process in callers():
                end(process)
        if who == "machined":
            subprocess.run(["systemctl", "kill", "--signal=KILL", "systemd-machined"], check=False)
        module.communicate()
        where = f"kill {number} ({who}) after {moment:.3f} s"
        if self.chance.random() < 0.7:
            # Else the next run comes while machined is still at it.
            time.sleep(self.longest)
        theirs = self.make() if self.chance.random() < 0.5 else []
        used = self.use()
        self.expect(kill_matrix.run(wanted()), where)
        again = kill_matrix.run(wanted())
        if again.get("changed") or again.get("failed"):
            self.wrong.append(f"{where}: another run still did {again}")
        self.check(where, theirs, used)
        self.rows.append(
            {"moment": round(moment, 3), "who": who, "met": met, "theirs": theirs, "used": used}
        )
        self.expect(kill_matrix.run(wanted("absent")), f"{where}, removing")
        left = {*entries(MACHINES), *entries(RECORDS)} - self.images - self.records
        if left:
            self.wrong.append(f"{where}: left {sorted(left)}")
        return met

    @staticmethod
    def make() -> list[str]:
        """Make machines by hand where there are none."""
        made = []
        for name in NAMES[::2]:
            if not (MACHINES / name).exists():
                call = ["machinectl", "clone", TEMPLATE, name]
                if subprocess.run(call, check=False, capture_output=True).returncode == 0:
                    made.append(name)
        return made

    @staticmethod
    def use() -> list[str]:
        """Leave something in each machine that is there."""
        used = [name for name in NAMES if (MACHINES / name / "root").is_dir()]
        for name in used:
            kill_matrix.keepsake(name).write_text(name)
        return used

    def expect(self, answer: Answer, where: str) -> None:
        if answer.get("failed"):
            self.wrong.append(f"{where}: {answer.get('msg')}")

    def check(self, where: str, theirs: list[str], used: list[str]) -> None:
        """Nothing was lost, all are whole, and no record claims what it does not know."""
        whole = kill_matrix.files_in(MACHINES / TEMPLATE)
        wrong = []
        for name in NAMES:
            if kill_matrix.keepsake(name).exists() != (name in used):
                wrong.append(f"{name} has lost its keepsake, or has somebody else's")
            if kill_matrix.files_in(MACHINES / name) != whole:
                wrong.append(f"{name} is not whole")
            record = json.loads((RECORDS / f"{name}.json").read_text())
            if record["made"] != (name not in theirs) or record["made"] != bool(record["identity"]):
                wrong.append(f"the record of {name} says {record}")
        strange = set(entries(MACHINES)) - self.images - set(NAMES)
        if strange:
            wrong.append(f"left {sorted(strange)}")
        self.wrong += [f"{where}: {what}" for what in wrong]

    def end(self) -> None:
        self.expect(kill_matrix.run(wanted("absent")), "removing all")


def main() -> None:
    kills = Kills(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    try:
        kills.all()
    finally:
        kills.end()
    print(json.dumps({"rows": kills.rows, "wrong": kills.wrong}, indent=1))


if __name__ == "__main__":
    main()
