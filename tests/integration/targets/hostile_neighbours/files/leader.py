# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have a machine's first process end, and another get its number: leader.py MACHINE.

One line for each question: what came back when its number was another's. All of them are asked of
the machine that was; what would be told of the other process is wrong.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._inside import leader as leaders

NAME = sys.argv[1]
CLONE3 = 435


def process_with_number(number: int) -> int:
    """Start a process that has this number, as the kernel does for whoever restores processes."""
    wanted = (ctypes.c_int * 1)(number)
    arguments = (ctypes.c_uint64 * 11)()
    arguments[4] = signal.SIGCHLD
    arguments[8] = ctypes.addressof(wanted)
    arguments[9] = 1
    library = ctypes.CDLL(None, use_errno=True)
    made = library.syscall(CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if made == 0:
        time.sleep(600)
        os._exit(0)
    if made != number:
        raise OSError(ctypes.get_errno(), f"no process {number}")
    return int(made)


def asked(question: str, ask: t.Callable[[], t.Any]) -> None:
    try:
        said = repr(ask())
    except Failure as failure:
        said = f"Failure: {failure.message}"
    print(json.dumps({"asked": question, "said": said}), flush=True)


with leaders.held(NAME) as leader:
    machine = leader.machine
    root = leaders.root(NAME)
    identity = root.read_text("/etc/machine-id")
    unit = f"systemd-nspawn@{NAME}.service"
    subprocess.run(["systemctl", "kill", "--signal=KILL", unit], check=True)
    end = time.monotonic() + 20
    while leader.lives(0.2) or os.path.exists(f"/proc/{machine.leader}"):
        if time.monotonic() > end:
            sys.exit("it does not end")
    other = process_with_number(machine.leader)
    try:
        asked("lives", leader.lives)
        asked("uid_map", lambda: leader.read("uid_map"))
        asked("cgroup", lambda: leader.read("cgroup"))
        asked("kill", lambda: leader.kill("it-leader-no-such.service"))
        asked("is it", lambda: leaders.is_leader(machine))
        asked("root", lambda: beneath.machine(machine.leader, lambda: leaders.is_leader(machine)))
        asked("held root", lambda: root.read_text("/etc/machine-id") in (identity, None))
        asked("held", lambda: leaders.root(NAME))
    finally:
        os.kill(other, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(other, 0)
