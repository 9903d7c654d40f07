# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look for a word wherever others than the command itself could see it.

The word is given backwards: whoever looks for it must not be found himself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

word = sys.argv[1][::-1].encode()
machine = sys.argv[2]
command = " ".join(sys.argv[3:]).encode()


def said(*argv: str) -> bytes:
    return subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout


def running() -> int:
    lines = said("ps", "axww", "-o", "args").splitlines()
    return sum(line.strip() == command for line in lines)


end = time.monotonic() + 15
while running() < 2 and time.monotonic() < end:
    time.sleep(0.2)
inside = ("systemd-run", f"--machine={machine}", "--quiet", "--pipe", "--wait", "--collect")
places = {
    "ps": ("ps", "axww", "-o", "args"),
    "processes inside": (*inside, "sh", "-c", "cat /proc/[0-9]*/cmdline"),
    "units": ("systemctl", "show", "--all", "*"),
    "units inside": ("systemctl", f"--machine={machine}", "show", "--all", "*"),
    "journal": ("journalctl", "--boot", "--output=export", "--all"),
    "journal inside": (*inside, "journalctl", "--boot", "--output=export", "--all"),
    "messages": ("dmesg",),
}
found = [place for place, argv in places.items() if word in said(*argv)]
print(json.dumps({"running": running(), "found": found}))
