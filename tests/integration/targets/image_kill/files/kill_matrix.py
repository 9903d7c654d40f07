# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill everything that takes part in making an image, at random moments, and look what is left.

kill_matrix.py TIMES [SEED]
Every combination of a way (pull, import, replacement) and a victim (the module, systemd-import,
the http server) is tried until so many kills have hit a transfer that was under way. After each
kill the image must be whole or not there, the old one or the new one; then a run must converge,
another one do nothing, and nothing be left. An image that is replaced must be there all the time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from integration.targets.image_kill.files import on_host
from integration.targets.image_kill.files.on_host import (
    MACHINES,
    NAME,
    SERVED,
    STAGED,
)

# So often one kill may come too late before the matrix says so.
ATTEMPTS = 8


class Watch:
    """Looks a thousand times a second whether an image is there."""

    def __init__(self) -> None:
        self.gaps = 0
        self.looks = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        last = str(MACHINES / NAME / "usr" / f"file-{on_host.FILES - 1}")
        while not self._end.wait(0.001):
            self.looks += 1
            self.gaps += not os.path.exists(last)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()


class Matrix:
    """All combinations, and what they led to."""

    def __init__(self, times: int, seed: int) -> None:
        self.times = times
        self.chance = random.Random(seed)
        self.server = on_host.Server()
        self.prints: dict[str, str | None] = {}
        self.rows: list[dict[str, object]] = []
        self.wrong: list[str] = []

    def wanted(self, way: str) -> list[dict[str, object]]:
        return [{"name": NAME, "update": way == "replacement", **on_host.source(way)}]

    def begin(self, way: str) -> None:
        self.server.start()
        on_host.remove_all()
        on_host.offer("old")
        if way == "replacement":
            self.run(way)
            on_host.offer("new")

    def run(self, way: str) -> None:
        result = on_host.outcome(self.wanted(way))
        if result["failure"]:
            self.wrong.append(f"{way}: {result['failure']}")

    def span(self, way: str, victim: str) -> float:
        """How long a transfer is under way that nobody disturbs."""
        self.begin(way)
        module = on_host.converge(self.wanted(way))
        self.wait_for(victim, module)
        started = time.monotonic()
        while self.under_way(victim) and module.poll() is None:
            time.sleep(0.005)
        seconds = time.monotonic() - started
        on_host.answer(module)
        return seconds

    @staticmethod
    def under_way(victim: str) -> bool:
        """The module works on until nothing is staged; the others have done their part before."""
        return STAGED.exists() if victim == "module" else bool(on_host.importers())

    def wait_for(self, victim: str, module: subprocess.Popen[bytes]) -> None:
        while not self.under_way(victim) and module.poll() is None:
            time.sleep(0.002)

    def one(self, way: str, victim: str, span: float) -> str:
        """Kill once, and return what was there afterwards."""
        self.begin(way)
        before = on_host.fingerprint()
        after = self.prints["new" if way == "replacement" else "old"]
        with Watch() if way == "replacement" else contextlib.nullcontext() as watch:
            module = on_host.converge(self.wanted(way))
            self.wait_for(victim, module)
            moment = self.chance.uniform(0, span)
            time.sleep(moment)
            self.kill(victim, module)
            said = on_host.answer(module)
            where = f"{way}, {victim} killed after {moment:.3f} s"
            found = on_host.fingerprint()
            if found not in (before, after):
                self.wrong.append(f"{where}: the image is neither the old nor the new one")
            self.server.start()
            self.run(way)
        if watch and watch.gaps:
            self.wrong.append(f"{where}: the image was away for {watch.gaps} of {watch.looks}")
        if on_host.fingerprint() != after:
            self.wrong.append(f"{where}: the next run did not converge")
        again = on_host.outcome(self.wanted(way))
        if again["plan"] or again["failure"]:
            self.wrong.append(f"{where}: another run still did {again}")
        if on_host.left():
            self.wrong.append(f"{where}: left {on_host.left()}")
        if said is not None and not said["failure"]:
            return "missed"  # the module came to its end undisturbed
        return "none" if found is None else "old" if found == before else "new"

    def kill(self, victim: str, module: subprocess.Popen[bytes]) -> None:
        if victim == "module":
            module.kill()
        elif victim == "server":
            self.server.stop()
        else:
            for pid in on_host.importers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def all(self) -> None:
        on_host.make_sources()
        for which in ("old", "new"):
            on_host.remove_all()
            on_host.offer(which)
            self.run("import")
            self.prints[which] = on_host.fingerprint()
        for way in ("pull", "import", "replacement"):
            for victim in ("module", "importer", "server"):
                if (way, victim) != ("import", "server"):
                    self.row(way, victim)

    def row(self, way: str, victim: str) -> None:
        started = time.monotonic()
        span = self.span(way, victim)
        states: list[str] = []
        while len(states) - states.count("missed") < self.times:
            if len(states) >= self.times * ATTEMPTS:
                self.wrong.append(f"{way}, {victim}: only {states} in {len(states)} attempts")
                break
            states.append(self.one(way, victim, span))
        self.rows.append(
            {
                "way": way,
                "victim": victim,
                "hit": len(states) - states.count("missed"),
                "span": round(span, 2),
                "seconds": round(time.monotonic() - started),
                **{state: states.count(state) for state in sorted(set(states))},
            }
        )

    def end(self) -> None:
        on_host.remove_all()
        self.server.stop()
        shutil.rmtree(SERVED)
        if (MACHINES / NAME).exists() or on_host.left():
            self.wrong.append(f"in the end: left {on_host.left()}")


def main() -> None:
    matrix = Matrix(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    try:
        matrix.all()
    finally:
        matrix.end()
    print(json.dumps({"rows": matrix.rows, "wrong": matrix.wrong}, indent=1))


if __name__ == "__main__":
    main()
