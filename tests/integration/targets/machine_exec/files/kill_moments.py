# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill commands in an image's snapshots and in a machine at ten moments each; tell what came of it.

One line for each round: who was killed, how the command is said to have ended, and what was left
when it should be gone.
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

IMAGE, MACHINE = sys.argv[1:]
MOMENTS = [0.05 + 0.12 * number for number in range(10)]
COMMAND = commands.Command(("sleep", "619"), environment={"WORD": "word"}, timeout=3)


def run(machine: str = "") -> int:
    """A module that runs one command, in a process of its own."""
    child = os.fork()
    if child:
        return child
    try:
        if machine:
            commands.run(machine, COMMAND)
        else:
            offline.run(IMAGE, COMMAND, ephemeral=True)
    except Failure:
        os._exit(3)
    os._exit(0)


def end(module: int) -> str:
    """What a module said of its command."""
    code = os.waitstatus_to_exitcode(os.waitpid(module, 0)[1])
    return {0: "it has succeeded", 3: "it has failed"}.get(code, "nothing")


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
        ls -d /run/systemd/nspawn/*/exec-* 2>/dev/null
        ps axww -o args | grep '^sleep 619'
    """
    said = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    return said.stdout.splitlines()


def records() -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return os.listdir("/run/nspawn.machined/exec")
    return []


def tell(who: str, said: str, remains: list[str]) -> None:
    print(json.dumps({"killed": who, "said": said, "left": remains}), flush=True)


# What systemd-nspawn leaves is taken away at once.
for moment in MOMENTS:
    module = run()
    time.sleep(moment)
    kill(nspawns(module))
    said = end(module)
    tell(f"systemd-nspawn after {moment:.2f} s", said, left() + records())

# What the module leaves ends by itself after its deadline; its snapshot goes with systemd-nspawn,
# or with the next command, and so does what it had noted.
for who in ("module", "both"):
    for moment in MOMENTS:
        module = run()
        time.sleep(moment)
        children = nspawns(module)
        kill([module])
        said = end(module)
        if who == "both":
            kill(children)
    time.sleep(COMMAND.timeout + commands.LATER + 3)
    remains = left() if who == "module" else []
    offline.run(IMAGE, commands.Command(("true",)), ephemeral=True)
    tell(who, said, remains + left() + records())

# systemd-run says of a machine that was killed that its command has succeeded.
for moment in MOMENTS:
    module = run(MACHINE)
    time.sleep(moment)
    unit = f"systemd-nspawn@{MACHINE}.service"
    subprocess.run(["systemctl", "kill", "--signal=KILL", unit], check=True)
    tell(f"machine after {moment:.2f} s", end(module), [])
    # Where systemd makes no such mount umount complains, on the terminal that is read as our lines.
    again = f"""
        systemctl stop {unit} && systemctl reset-failed {unit}
        umount -q /run/systemd/nspawn/unix-export/{MACHINE} 2> /dev/null
        systemctl start {unit}
    """
    subprocess.run(["sh", "-c", again], check=True)
