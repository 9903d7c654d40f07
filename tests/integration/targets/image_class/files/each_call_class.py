# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the module die before each of its calls, for images that machined does not know.

each_call_class.py [CLASS ...]
As each_call.py does it for machines: after each death an image must be whole or not there; then a
run must converge, another one do nothing, and nothing be left. A machine's image of the same name
must not notice any of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import time
from pathlib import Path

from integration.targets.image_kill.files import converge, each_call, on_host

from ansible_collections.nspawn.machined.plugins.module_utils._systemd.image_classes import CLASSES

HERE = Path(__file__).resolve().parent
MEMORY = Path("/var/lib/nspawn.machined")
NAME = "killed"
OTHER = "killed-other"
Wanted = dict[str, object]
State = dict[str, object]


class Deaths:
    """All ways of one class, and what went wrong."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.root = Path(CLASSES[kind].root)
        self.source = {"path": str(HERE / "image.tar")}
        self.wrong: list[str] = []

    # --- what there is ----------------------------------------------------------------------

    def state(self) -> State:
        found: State = {}
        for name in (NAME, OTHER):
            if (self.root / name).exists():
                found[name] = (self.seed(name), self.is_read_only(name))
            found[f"record of {name}"] = (MEMORY / f"images-{self.kind}" / f"{name}.json").exists()
        found["machine"] = (on_host.MACHINES / NAME / "usr" / "seed").read_text()
        return found

    def seed(self, name: str) -> str:
        return (self.root / name / "usr" / "seed").read_text()

    def is_read_only(self, name: str) -> bool:
        """By what it leads to: the flag differs from file system to file system."""
        path = self.root / name / "new"
        try:
            path.mkdir()
        except OSError:
            return True
        path.rmdir()
        return False

    def left(self) -> list[str]:
        found = [str(path) for path in self.root.iterdir() if path.name.startswith(".")]
        folder = MEMORY / f"images-{self.kind}"
        files = folder.iterdir() if folder.exists() else ()
        return found + [str(path) for path in files if path.suffix != ".json"]

    # --- what is done -----------------------------------------------------------------------

    def offer(self, seed: int) -> None:
        new = HERE / "image.new"
        tree = HERE / "tree"
        (tree / "usr").mkdir(parents=True, exist_ok=True)
        (tree / "usr" / "seed").write_text(f"{seed}")
        (tree / "usr" / "weight").write_bytes(os.urandom(100_000))
        with tarfile.open(new, "w") as archive:
            archive.add(tree, ".")
        shutil.rmtree(tree)
        new.rename(HERE / "image.tar")

    def entry(self, name: str, **fields: object) -> Wanted:
        return {"name": name, "class": self.kind, **fields}

    def now(self, *wanted: Wanted) -> None:
        done = converge.converge(wanted)
        if done["failure"]:
            raise SystemExit(f"{wanted} cannot be done at all: {done['failure']}")

    def nothing(self) -> None:
        self.now(*(self.entry(name, state="absent") for name in (NAME, OTHER)))
        self.offer(1)

    def ways(self) -> dict[str, tuple[list[Wanted], int, Wanted]]:
        """What there is before, which source is offered then, and what is wanted."""
        made = self.entry(NAME, **self.source, read_only=True)
        other = self.entry(OTHER, **self.source, read_only=True)
        return {
            "import": ([], 1, made),
            "replacement": ([made], 2, self.entry(NAME, **self.source, update=True)),
            "clone": ([other], 1, self.entry(NAME, clone_from=OTHER, read_only=True)),
            "removal": ([made], 1, self.entry(NAME, state="absent")),
        }

    def prepare(self, way: str) -> list[Wanted]:
        self.nothing()
        before, seed, wanted = self.ways()[way]
        self.now(*before)
        if seed != 1:
            self.offer(seed)
        return [wanted]

    def row(self, way: str) -> dict[str, object]:
        started = time.monotonic()
        wanted = self.prepare(way)
        before = self.state()
        count = each_call.count_calls(wanted)
        after = self.state()
        whole = [found.get(NAME) for found in (before, after)]
        seeds = {entry[0] for entry in whole if isinstance(entry, tuple)}
        died = 0
        for death in range(1, count + 1):
            wanted = self.prepare(way)
            where = f"{way} of {self.kind}, died before call {death} of {count}"
            died += each_call.die(wanted, death)
            if (self.root / NAME).exists():
                if self.seed(NAME) not in seeds:
                    self.wrong.append(f"{where}: the image is not whole")
            elif NAME in before and NAME in after:
                self.wrong.append(f"{where}: the image is away")
            finished = converge.converge(wanted)
            if finished["failure"]:
                self.wrong.append(f"{where}: the next run failed: {finished['failure']}")
            if self.state() != after:
                self.wrong.append(f"{where}: the next run made {self.state()}, not {after}")
            again = converge.converge(wanted)
            if again["plan"] or again["failure"]:
                self.wrong.append(f"{where}: another run still did {again}")
            if self.left():
                self.wrong.append(f"{where}: left {self.left()}")
        if died < count / 2:
            self.wrong.append(f"{way} of {self.kind}: only {died} of {count} deaths came to pass")
        seconds = round(time.monotonic() - started)
        return {"class": self.kind, "way": way, "deaths": died, "seconds": seconds}

    def all(self) -> list[dict[str, object]]:
        self.offer(0)
        self.now({"name": NAME, **self.source})
        try:
            return [self.row(way) for way in self.ways()]
        finally:
            self.nothing()
            self.now({"name": NAME, "state": "absent"})
            (HERE / "image.tar").unlink()


def main() -> None:
    rows: list[dict[str, object]] = []
    wrong: list[str] = []
    for kind in sys.argv[1:] or ["sysext"]:
        deaths = Deaths(kind)
        rows += deaths.all()
        wrong += deaths.wrong
    print(json.dumps({"rows": rows, "wrong": wrong}, indent=1))


if __name__ == "__main__":
    main()
