# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says which planted words an ordinary user of the host sees, in processes and in units.

watch.py PREFIX, as nobody, until it is ended. The prefix is given backwards: it is one of the
words that everybody sees.
"""

from __future__ import annotations

import contextlib
import glob
import re
import subprocess
import sys
import time

PREFIX = sys.argv[1][::-1]
seen: set[tuple[str, str]] = set()


def look(where: str, text: bytes) -> None:
    for word in re.findall(re.escape(PREFIX.encode()) + rb"[0-9]{4}", text):
        found = (where, word.decode())
        if found not in seen:
            seen.add(found)
            print(*found, flush=True)


def units() -> bytes:
    words = ["systemctl", "show", "--all", "--", "systemd-nspawn*", "run-*", "nspawn-machined*"]
    return subprocess.run(words, stdout=subprocess.PIPE, check=False).stdout


while True:
    for _ in range(40):
        for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
            with contextlib.suppress(OSError), open(path, "rb") as stream:
                look("ps", stream.read())
        time.sleep(0.02)
    look("show", units())
