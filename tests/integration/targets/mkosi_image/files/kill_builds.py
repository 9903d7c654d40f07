# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the module at random moments of a build, and look what is left.

Run on a host, from the folder that holds ansible and ansible_collections:
kill_builds.py FIRST.json SECOND.json TIMES [SEED]
The files hold the module's arguments for two builds that replace each other. After each kill the
image must be the one or the other, whole; then a run must converge, another one do nothing, and
nothing be left.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent
MACHINES = Path("/var/lib/machines")
RUNTIME = Path("/run/nspawn.machined")
# What the script writes last.
LAST_FILE = "usr/share/many/300"
MODULE = "ansible_collections.nspawn.machined.plugins.modules.mkosi_image"

Arguments = t.Mapping[str, t.Any]


def begin(arguments: Arguments) -> subprocess.Popen[str]:
    """The module itself, as Ansible runs it."""
    module = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if module.stdin:
        module.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        module.stdin.close()
        module.stdin = None
    return module


def run(arguments: Arguments) -> dict[str, t.Any]:
    out, err = begin(arguments).communicate(timeout=900)
    try:
        answer: dict[str, t.Any] = json.loads(out)
    except ValueError:
        raise SystemExit(f"the module broke: {out} {err}") from None
    return answer


def fingerprint(name: str) -> str:
    """Of all files that are the same in each build of the same."""
    digest = hashlib.sha256()
    disk = MACHINES / f"{name}.raw"
    if disk.exists():
        return fingerprint_of_disk(disk)
    root = MACHINES / name
    for path in [root / "etc/motd", *sorted((root / "usr").rglob("*"))]:
        digest.update(os.fsencode(path))
        if path.is_symlink():
            digest.update(os.fsencode(os.readlink(path)))
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def fingerprint_of_disk(disk: Path) -> str:
    """Two disks of the same have other numbers in them, so only what is read from one counts."""
    table = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True).stdout
    (root,) = json.loads(table)["partitiontable"]["partitions"]
    with open(disk, "rb") as stream:
        stream.seek(root["start"] * 512)
        with tempfile.NamedTemporaryFile() as partition:
            shutil.copyfileobj(stream, partition)
            partition.flush()
            subprocess.run(["e2fsck", "-fn", partition.name], check=True, capture_output=True)
            words = [f"cat /{path}" for path in ("etc/motd", "usr/lib/os-release", LAST_FILE)]
            reading = (["debugfs", "-R", word, partition.name] for word in words)
            said = [
                subprocess.run(argv, check=True, capture_output=True).stdout for argv in reading
            ]
    if not all(said):
        raise SystemExit(f"{disk} is not whole: {said}")
    return repr(said)


def processes(word: bytes) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if word in line and b"kill_builds" not in line:
            found.append(line.replace(b"\0", b" ").decode())
    return found


def left(directory: str) -> list[str]:
    """What should not be there when nothing runs."""
    found = [str(path) for path in MACHINES.iterdir() if path.name.startswith(".")]
    found += [str(path) for path in RUNTIME.iterdir() if path.name not in ("locks", "progress")]
    found += [str(path) for path in (RUNTIME / "progress").glob("*")]
    found += processes(b"mkosi") + processes(directory.encode())
    loops = ["losetup", "--list", "--noheadings", "--output", "BACK-FILE"]
    units = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "nspawn-machined-mkosi*"]
    for command in (units, loops, ["findmnt", "--list", "--noheadings", "--output", "TARGET"]):
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found += [line for line in said.splitlines() if "mkosi" in line]
    return found


def main(first: str, second: str, times: str, seed: str = "1") -> None:
    builds = [json.loads(Path(name).read_text()) for name in (first, second)]
    name, directory = builds[0]["import_as"], builds[0]["directory"]
    chance = random.Random(int(seed))
    wrong: list[str] = []
    states: list[str] = []
    prints = []
    longest = 0.0
    for build in builds:
        started = time.monotonic()
        answer = run(build)
        longest = time.monotonic() - started
        if answer.get("failed"):
            raise SystemExit(answer["msg"])
        prints.append(fingerprint(name))
    if prints[0] == prints[1]:
        wrong.append("the two builds give the same image; nothing can be told from them")
    for number in range(int(times)):
        # The second one is there now; they take turns.
        before, after = (1, 0) if number % 2 == 0 else (0, 1)
        module = begin(builds[after])
        moment = chance.uniform(0, longest)
        time.sleep(moment)
        hit = module.poll() is None
        module.kill()
        module.communicate()
        found = fingerprint(name)
        where = f"killed after {moment:.2f} s"
        if found not in prints:
            wrong.append(f"{where}: the image is neither the one nor the other")
        else:
            states.append("missed" if not hit else "old" if found == prints[before] else "new")
        answer = run(builds[after])
        if answer.get("failed") or fingerprint(name) != prints[after]:
            wrong.append(f"{where}: the next run did not converge: {answer.get('msg')}")
        answer = run(builds[after])
        if answer.get("failed") or answer["changed"]:
            wrong.append(f"{where}: another run still did {answer.get('plan')}")
        if left(directory):
            wrong.append(f"{where}: left {left(directory)}")
    told = {state: states.count(state) for state in sorted(set(states))}
    print(json.dumps({"kills": int(times), "whole": round(longest, 1), **told, "wrong": wrong}))


main(*sys.argv[1:])
