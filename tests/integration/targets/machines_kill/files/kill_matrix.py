# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the module machines at random moments of a convergence, and look what the next run makes.

Run on a host, from the folder that holds ansible and ansible_collections: kill_matrix.py TIMES
[SEED]. Twenty machines are wanted, five of which are there and run. After each kill a run must
converge and another one do nothing; then each machine must be there once, whole and booted, and
the five must have gone on running with what somebody wrote into them.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import time
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent
MACHINES = Path("/var/lib/machines")
SETTINGS = Path("/etc/systemd/nspawn")
UNITS = Path("/etc/systemd/system")
RECORDS = Path("/var/lib/nspawn.machined/machines")
RUNTIME = Path("/run/nspawn.machined")
TEMPLATE = "it-guest"
NAMES = [f"it-k{number:02}" for number in range(20)]
ELDERS, YOUNGER = NAMES[:5], NAMES[5:]
MODULE = "ansible_collections.nspawn.machined.plugins.modules.machines"

Answer = dict[str, t.Any]


def wanted(names: t.Iterable[str]) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "image": TEMPLATE,
            "settings": {"Exec": {"Environment": {"NAME": name}}, "Network": {"Zone": "itk"}},
            "unit": {"Service": {"TasksMax": 300}},
            "enabled": True,
            "vars": {"name": name},
        }
        for name in names
    ]


def begin(machines: list[dict[str, object]]) -> subprocess.Popen[bytes]:
    arguments = {"machines": machines, "force": True, "wait_timeout": 60}
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if process.stdin:
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        process.stdin.close()
        process.stdin = None
    return process


def run(machines: list[dict[str, object]]) -> Answer:
    out, err = begin(machines).communicate(timeout=400)
    try:
        answer: Answer = json.loads(out)
    except ValueError:
        raise SystemExit(f"the module broke: {out.decode()} {err.decode()}") from None
    return answer


def remove(names: t.Iterable[str]) -> Answer:
    return run([{"name": name, "state": "absent"} for name in names])


def unit_of(name: str) -> str:
    return f"systemd-nspawn@{name}.service"


def said(*argv: str) -> list[str]:
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines()


def entries(folder: Path) -> list[str]:
    """What is in a folder, without systemd's locks of images."""
    with contextlib.suppress(OSError):
        return sorted(path.name for path in folder.iterdir() if path.suffix != ".lck")
    return []


def invocations(names: t.Iterable[str]) -> dict[str, str]:
    show = ("systemctl", "show", "--property=InvocationID", "--value")
    return {name: " ".join(said(*show, unit_of(name))) for name in names}


def files_in(root: Path) -> collections.Counter[str]:
    """How many files there are in each folder of an image's operating system."""
    return collections.Counter(
        {
            str(Path(folder).relative_to(root)): len(files)
            for folder, _folders, files in os.walk(root / "usr")
        }
    )


def keepsake(name: str) -> Path:
    return MACHINES / name / "root" / "keepsake"


def supervisors() -> collections.Counter[str]:
    """The systemd-nspawn processes of each machine."""
    found: collections.Counter[str] = collections.Counter()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            if words[0].endswith("systemd-nspawn"):
                found.update(w[len("--machine=") :] for w in words if w.startswith("--machine="))
    return found


class Matrix:
    """All kills, and what they led to."""

    def __init__(self, times: int, seed: int) -> None:
        self.times = times
        self.chance = random.Random(seed)
        self.rows: list[dict[str, object]] = []
        self.wrong: list[str] = []
        self.others = {name for name in entries(MACHINES) if name not in NAMES}
        self.settings = {name for name in entries(SETTINGS) if name[:-7] not in NAMES}
        self.records = {name for name in entries(RECORDS) if name[:-5] not in NAMES}

    def all(self) -> None:
        self.expect(run(wanted(ELDERS)), "making the first five")
        for name in ELDERS:
            keepsake(name).write_text(name)
        self.whole = files_in(MACHINES / TEMPLATE)
        started = time.monotonic()
        self.expect(run(wanted(NAMES)), "a run that nobody kills")
        longest = whole = time.monotonic() - started
        self.check("a run that nobody kills")
        self.running = invocations(ELDERS)
        for number in range(self.times):
            # One in each part of the run, so that all parts are met.
            moment = longest * (number + self.chance.random()) / self.times
            self.expect(remove(YOUNGER), "removing")
            while not self.one(moment):
                # This run was faster than the one that was measured.
                longest = moment
                moment *= 0.7
                self.expect(remove(YOUNGER), "removing")
        self.rows.append({"kills": self.times, "a whole run": round(whole, 2)})

    def one(self, moment: float) -> bool:
        """Kill a run, and look at the next ones; whether there was something left to be killed."""
        module = begin(wanted(NAMES))
        time.sleep(moment)
        hit = module.poll() is None
        module.kill()
        module.communicate()
        found = {
            "records": len(set(entries(RECORDS)) - self.records) - len(ELDERS),
            "images": len(set(entries(MACHINES)) & set(YOUNGER)),
            "settings": len(set(entries(SETTINGS)) - self.settings) - len(ELDERS),
            "registered": sum(name in self.registered() for name in YOUNGER),
        }
        where = f"killed after {moment:.3f} s"
        started = time.monotonic()
        self.expect(run(wanted(NAMES)), where)
        took = round(time.monotonic() - started, 2)
        again = run(wanted(NAMES))
        if again.get("changed") or again.get("failed"):
            self.wrong.append(f"{where}: another run still did {again}")
        self.check(where)
        self.rows.append({"moment": round(moment, 3), "hit": hit, **found, "next run": took})
        return hit

    def expect(self, answer: Answer, where: str) -> None:
        if answer.get("failed"):
            self.wrong.append(f"{where}: {answer.get('msg')}")

    @staticmethod
    def registered() -> list[str]:
        return [line.split()[0] for line in said("machinectl", "--no-legend", "list") if line]

    def check(self, where: str) -> None:
        """Each machine is there once, whole and booted; the elders were let alone."""
        wrong = [
            *self._files(),
            *(f"{name} is registered {n} times" for name, n in self._counts(self.registered())),
            *(f"{name} runs {n} times" for name, n in self._counts(supervisors().elements())),
        ]
        identities = set()
        for name in NAMES:
            root = MACHINES / name
            if files_in(root) != self.whole:
                wrong.append(f"{name} is not whole")
            identities.add((root / "etc/machine-id").read_text())
            state = said("systemctl", f"--machine={name}", "is-system-running")
            if state not in (["running"], ["degraded"]):
                wrong.append(f"{name} is {state}")
        if len(identities) != len(NAMES):
            wrong.append("two machines are the same one")
        if getattr(self, "running", None) not in (None, invocations(ELDERS)):
            wrong.append("one of the first five was restarted")
        for name in ELDERS:
            if keepsake(name).read_text() != name:
                wrong.append(f"{name} has lost its keepsake")
        self.wrong += [f"{where}: {what}" for what in wrong]

    @staticmethod
    def _counts(found: t.Iterable[str]) -> list[tuple[str, int]]:
        count = collections.Counter(found)
        return [(name, count[name]) for name in NAMES if count[name] != 1]

    def _files(self) -> t.Iterator[str]:
        expected = {
            MACHINES: {*NAMES, *self.others},
            SETTINGS: {*(f"{name}.nspawn" for name in NAMES), *self.settings},
            RECORDS: {*(f"{name}.json" for name in NAMES), *self.records},
            **{UNITS / f"{unit_of(name)}.d": {"50-nspawn-machined.conf"} for name in NAMES},
        }
        for folder, names in expected.items():
            if set(entries(folder)) != names:
                yield f"{folder} differs in {sorted(set(entries(folder)) ^ names)}"
        enabled = entries(UNITS / "machines.target.wants")
        if [name for name in NAMES if unit_of(name) not in enabled]:
            yield "not all are enabled"
        if [name for name in entries(RUNTIME / "unread") if name.startswith("units")]:
            yield "systemd was not told to read its units again"
        for name in NAMES:
            text = (SETTINGS / f"{name}.nspawn").read_text()
            if text.count(f"NAME={name}") != 1 or text.count("Zone=itk") != 1:
                yield f"the settings of {name} are {text!r}"

    def end(self) -> None:
        self.expect(remove(NAMES), "removing all")
        left = [
            *(set(entries(MACHINES)) ^ self.others),
            *(set(entries(SETTINGS)) ^ self.settings),
            *(set(entries(RECORDS)) ^ self.records),
            *(name for name in entries(UNITS) if "it-k" in name),
        ]
        if left:
            self.wrong.append(f"in the end: left {left}")


def main() -> None:
    matrix = Matrix(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    try:
        matrix.all()
    finally:
        matrix.end()
    print(json.dumps({"rows": matrix.rows, "wrong": matrix.wrong}, indent=1))


if __name__ == "__main__":
    main()
