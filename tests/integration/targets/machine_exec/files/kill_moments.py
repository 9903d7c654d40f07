# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill commands in snapshots of an image at ten moments each, and tell what is left of them.

One line for each round: who was killed, and what was left when it should be gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._inside import commands, offline

IMAGE = sys.argv[1]
MOMENTS = [0.05 + 0.12 * number for number in range(10)]
COMMAND = commands.Command(("sleep", "619"), environment={"WORD": "word"}, timeout=3)


def run() -> int:
    """A module that runs one command, in a process of its own."""
    child = os.fork()
    if child:
        return child
    with contextlib.suppress(Failure):
        offline.run(IMAGE, COMMAND, ephemeral=True)
    os._exit(0)


def nspawns(parent: int) -> list[int]:
    said = subprocess.run(
        ["ps", "--ppid", str(parent), "-o", "pid="], stdout=subprocess.PIPE, check=False
    )
    return [int(word) for word in said.stdout.split()]


def kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def left() -> list[str]:
    script = """
        ls -A /var/lib/machines | grep '^\\.#.*machine\\.'
        systemctl list-units --all --plain --no-legend 'exec-*'
        grep '/exec-' /proc/self/mountinfo
        ps axww -o args | grep '^sleep 619'
    """
    said = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    return said.stdout.splitlines()


def tell(who: str) -> None:
    print(json.dumps({"killed": who, "left": left()}), flush=True)


# What systemd-nspawn leaves is taken away at once.
for moment in MOMENTS:
    module = run()
    time.sleep(moment)
    kill(nspawns(module))
    os.waitpid(module, 0)
    tell(f"systemd-nspawn after {moment:.2f} s")

# What the module leaves ends by itself after its deadline; its snapshot goes with systemd-nspawn,
# or with the next command.
for who in ("module", "both"):
    for moment in MOMENTS:
        module = run()
        time.sleep(moment)
        children = nspawns(module)
        kill([module])
        os.waitpid(module, 0)
        if who == "both":
            kill(children)
    time.sleep(COMMAND.timeout + commands.LATER + 3)
    if who == "both":
        offline.run(IMAGE, commands.Command(("true",)), ephemeral=True)
    tell(who)
