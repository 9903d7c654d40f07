#!/usr/bin/env python
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long an inventory of many machines takes: make bench-inventory [ARGS="--hosts 20"].

Hosts are commands that answer as a host does, so this measures what the controller has to do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ANSWERS = "cat > /dev/null; printf '\\n%s ' \"$4\"; cat '{answer}'\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-inventory", description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--machines", type=int, nargs="+", default=[10, 25, 50, 100, 200])
    parser.add_argument("--rounds", type=int, default=3, help="of each, the fastest counts")
    return parser.parse_args()


def machine(number: int) -> dict[str, object]:
    return {
        "name": f"machine{number}",
        "state": "running",
        "class": "container",
        "service": "systemd-nspawn",
        "unit": f"systemd-nspawn@machine{number}.service",
        "addresses": [f"10.0.{number // 250}.{number % 250 + 1}", "fe80::1"],
        "os": "debian",
        "os_version": "13",
        "os_name": "Debian GNU/Linux 13 (trixie)",
        "zone": "machines",
        "type": "subvolume",
        "created": 1,
        "modified": 2,
        "image": "trixie",
        "declared": True,
        "vars": {"role": "web", "number": number},
    }


def write(folder: Path, hosts: int, machines: int) -> list[str]:
    """Files that say which hosts there are, and to list their machines."""
    answer = {"asked": 1, "found": [machine(number) for number in range(machines)]}
    (folder / "answer.json").write_text(json.dumps(answer))
    (folder / "host.sh").write_text(ANSWERS.format(answer=folder / "answer.json"))
    one = {
        "ansible_connection": "local",
        "ansible_python_interpreter": f"/bin/sh {folder / 'host.sh'}",
    }
    servers = {f"host{number}": one for number in range(hosts)}
    (folder / "hosts.yml").write_text(json.dumps({"servers": {"hosts": servers}}))
    source = {"plugin": "nspawn.machined.machined", "hosts": ["servers"]}
    (folder / "z.machined.yml").write_text(json.dumps(source))
    return [str(folder / "hosts.yml"), str(folder / "z.machined.yml")]


def measured(sources: list[str]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    words = ["ansible-inventory", "--list"]
    for source in sources:
        words += ["-i", source]
    used, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ})
    wall, now = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def main() -> int:
    given = arguments()
    print("| machines | seconds | processor | without a machine |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for machines in given.machines:
            sources = write(Path(folder), given.hosts, machines)
            wall, used = min(measured(sources) for _round in range(given.rounds))
            empty, _used = min(measured(sources[:1]) for _round in range(given.rounds))
            count = given.hosts * machines
            print(f"| {count} | {wall:.2f} | {used:.2f} | {empty:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
