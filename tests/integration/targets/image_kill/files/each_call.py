# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the module die before each of its calls to the system in turn, and look what is left.

each_call.py [WAY ...]
Not at random: every moment between two calls comes up, for everything that can be done to an
image. After each death an image must be whole or not there; then a run must converge, another one
do nothing, and nothing be left.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t

from integration.targets.image_kill.files import converge, on_host
from integration.targets.image_kill.files.on_host import (
    MACHINES,
    NAME,
    OTHER,
    RECORDS,
    SETTINGS,
    UNITS,
)

DROP_INS = "systemd-nspawn@{}.service.d"
WANTS = "machines.target.wants/systemd-nspawn@{}.service"
State = dict[str, t.Any]


def state() -> State:
    """All that is there of both images."""
    found: State = {}
    for name in (NAME, OTHER):
        if (MACHINES / name).exists():
            attributes = subprocess.run(
                ["machinectl", "show-image", "--value", "-p", "ReadOnly", "-p", "Limit", name],
                capture_output=True,
                text=True,
                check=True,
            )
            found[name] = (on_host.fingerprint(name), *attributes.stdout.split())
        pieces = [
            RECORDS / f"{name}.json",
            SETTINGS / f"{name}.nspawn",
            UNITS / DROP_INS.format(name) / "mine.conf",
            UNITS / WANTS.format(name),
        ]
        found[f"of {name}"] = [str(path) for path in pieces if path.exists()]
    return found


def nothing() -> None:
    for name in (NAME, OTHER):
        (UNITS / WANTS.format(name)).unlink(missing_ok=True)
        shutil.rmtree(UNITS / DROP_INS.format(name), ignore_errors=True)
    converge.converge([{"name": name, "state": "absent"} for name in (NAME, OTHER)])
    on_host.offer("old")


def machine(name: str) -> None:
    """An image with all that may belong to it."""
    SETTINGS.mkdir(exist_ok=True)
    (SETTINGS / f"{name}.nspawn").write_text("[Exec]\nNotifyReady=yes\n")
    (UNITS / DROP_INS.format(name)).mkdir(exist_ok=True)
    (UNITS / DROP_INS.format(name) / "mine.conf").write_text("[Service]\nMemoryMax=1G\n")
    (UNITS / WANTS.format(name)).parent.mkdir(exist_ok=True)
    (UNITS / WANTS.format(name)).symlink_to("/lib/systemd/system/systemd-nspawn@.service")


def imported(name: str, **properties: object) -> None:
    done = converge.converge([{"name": name, **on_host.source("import"), **properties}])
    if done["failure"]:
        raise SystemExit(f"could not make the image to begin with: {done['failure']}")


@dataclasses.dataclass(frozen=True)
class Way:
    begin: t.Callable[[], object]
    wanted: dict[str, object]


def replaced(**properties: object) -> t.Callable[[], None]:
    def begin() -> None:
        imported(NAME, **properties)
        machine(NAME)
        on_host.offer("new")

    return begin


def renamed() -> None:
    imported(OTHER)
    machine(OTHER)


def removed() -> None:
    imported(NAME)


def cloned() -> None:
    """Settings go along with a clone."""
    imported(OTHER)
    SETTINGS.mkdir(exist_ok=True)
    (SETTINGS / f"{OTHER}.nspawn").write_text("[Exec]\nNotifyReady=yes\n")


WAYS = {
    "import": Way(lambda: None, on_host.source("import")),
    "import, limited and read-only": Way(
        lambda: None, {**on_host.source("import"), "read_only": True, "limit": "1G"}
    ),
    "replacement": Way(replaced(), {**on_host.source("import"), "update": True}),
    "replacement of what is limited and read-only": Way(
        replaced(read_only=True, limit="1G"), {**on_host.source("import"), "update": True}
    ),
    "clone": Way(cloned, {"clone_from": OTHER}),
    "clone, limited and read-only": Way(
        cloned, {"clone_from": OTHER, "read_only": True, "limit": "1G"}
    ),
    "renaming": Way(renamed, {"rename_from": OTHER}),
    "removal": Way(removed, {"state": "absent"}),
}


def prepare(way: Way) -> list[dict[str, object]]:
    nothing()
    way.begin()
    return [{"name": NAME, **way.wanted}]


def count_calls(wanted: list[dict[str, object]]) -> int:
    """How many calls to the system it takes, of a child whose hook goes with it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        counted: list[converge.Calls] = []
        said = converge.converge(wanted, lambda: counted.append(converge.Calls(0)))
        os.write(write, json.dumps({**said, "calls": counted[0].last}).encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as stream:
        told = json.load(stream)
    os.waitpid(child, 0)
    if told["failure"]:
        raise SystemExit(f"it cannot be done at all: {told['failure']}")
    return t.cast("int", told["calls"])


def die(wanted: list[dict[str, object]], death: int) -> bool:
    """Let a child begin, and die before one of its calls; whether it did."""
    child = os.fork()
    if child == 0:
        converge.converge(wanted, lambda: converge.Calls(death))
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def deaths(name: str, way: Way, wrong: list[str]) -> dict[str, object]:
    started = time.monotonic()
    wanted = prepare(way)
    before = state()
    count = count_calls(wanted)
    after = state()
    whole = [found.get(image) for found in (before, after) for image in (NAME, OTHER)]
    contents = {entry[0] for entry in whole if entry}
    died = 0  # what waits for something takes another number of calls each time
    for death in range(1, count + 1):
        wanted = prepare(way)
        where = f"{name}, died before call {death} of {count}"
        died += die(wanted, death)
        seen = state()
        if any(seen[image][0] not in contents for image in (NAME, OTHER) if image in seen):
            wrong.append(f"{where}: an image is not whole")
        if NAME in before and NAME in after and NAME not in seen:
            wrong.append(f"{where}: the image is away")
        finished = converge.converge(wanted)
        if finished["failure"]:
            wrong.append(f"{where}: the next run failed: {finished['failure']}")
        if state() != after:
            wrong.append(f"{where}: the next run made {state()} instead of {after}")
        again = converge.converge(wanted)
        if again["plan"] or again["failure"]:
            wrong.append(f"{where}: another run still did {again}")
        if on_host.left():
            wrong.append(f"{where}: left {on_host.left()}")
    if died < count / 2:
        wrong.append(f"{name}: only {died} of {count} deaths came to pass")
    row = {"way": name, "deaths": died, "seconds": round(time.monotonic() - started)}
    print(json.dumps(row), file=sys.stderr)
    return row


def main() -> None:
    wrong: list[str] = []
    on_host.make_sources(files=20)
    try:
        chosen = sys.argv[1:] or list(WAYS)
        rows = [deaths(name, WAYS[name], wrong) for name in chosen]
    finally:
        nothing()
        shutil.rmtree(on_host.SERVED)
    print(json.dumps({"rows": rows, "wrong": wrong}, indent=1))


if __name__ == "__main__":
    main()
