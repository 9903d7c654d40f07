# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs in to a machine at its login prompt, one user after the other, and says who one is then.

login.py MACHINE USER:PASSWORD...
"""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time

PATIENCE = 30


def expect(terminal: int, pattern: str) -> str:
    """Read until the pattern has come; what was read."""
    seen, end = "", time.monotonic() + PATIENCE
    while not re.search(pattern, seen):
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(f"waited for {pattern!r}, and read: {seen!r}")
        try:
            seen += os.read(terminal, 4096).decode("utf-8", "replace")
        except OSError:
            sys.exit(f"it ended before {pattern!r}: {seen!r}")
    return seen


def main(machine: str, *accounts: str) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("machinectl", ["machinectl", "login", machine])
    for account in accounts:
        user, password = account.split(":")
        # After each of them comes the prompt for the next.
        expect(terminal, r"login: ")
        os.write(terminal, f"{user}\n".encode())
        expect(terminal, r"Password: ")
        os.write(terminal, f"{password}\n".encode())
        expect(terminal, r"[$#] ")
        os.write(terminal, b"echo =$(id -un):$(id -gn):$HOME=; exit\n")
        said = expect(terminal, r"[\r\n]=[^\r\n]+=\r\n")
        print(re.findall(r"[\r\n]=([^\r\n]+)=\r\n", said)[-1])
    os.close(terminal)


main(*sys.argv[1:])
