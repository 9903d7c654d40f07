# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Molecule's scenarios, all or those that are named, and note what each action came to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from outcomes import Outcome, record

ROOT = Path(__file__).resolve().parents[2]
# As Molecule announces the end of an action, with and without colours:
# "[site ➜ create] Executed: Successful", "[site > create] Executed: Successful".
END = re.compile(r"([\w./-]+) [>➜] (\w+)\]?:? Executed: (\w[^(\n]*)")
# An action that a scenario has no playbook for is no test.
ABSENT = ("Missing", "Disabled", "Skipped")


class Reader:
    """Turns Molecule's lines into outcomes."""

    def __init__(self) -> None:
        self.ran: dict[str, Outcome] = {}

    def read(self, line: str) -> None:
        """Take in one line of output."""
        match = END.search(line)
        if match is None or match[3].startswith(ABSENT):
            return
        name = f"{match[1]} {match[2]}"
        passed = match[3].startswith("Successful")
        self.ran[name] = Outcome(name, "passed" if passed else "failed", match[3].strip())


def main(scenarios: list[str]) -> int:
    """Run the scenarios; testinfra's tests record themselves."""
    chosen = [word for name in scenarios for word in ("--scenario-name", name)] or ["--all"]
    environment = {
        **os.environ,
        "NSPAWN_MACHINED_STAGE": "molecule",
        "PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} -p outcomes".strip(),
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONUNBUFFERED": "1",
    }
    if not sys.stdout.isatty():
        environment |= {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    reader = Reader()
    process = subprocess.Popen(
        ["molecule", "test", *chosen],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            reader.read(line)
    record("molecule", reader.ran.values())
    if process.returncode:
        # Molecule leaves the hosts where they are when a cleanup fails.
        subprocess.run(["molecule", "destroy"], cwd=ROOT, env=environment, check=False)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
