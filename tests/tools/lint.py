# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the nox sessions, checking and never changing; arguments name some of them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from outcomes import Outcome, record

ROOT = Path(__file__).resolve().parents[2]
NOX = ROOT / "build" / "nox"
# What the sessions' environments depend on.
RECIPE = (
    "antsibull-nox.toml",
    "noxfile.py",
    "tests/requirements/tools.txt",
    "tests/requirements/bench.txt",
)


def digest() -> str:
    """Of everything that decides what is installed for the sessions."""
    contents = [(ROOT / name).read_bytes() for name in RECIPE]
    return hashlib.sha256(b"\0".join([*contents, sys.version.encode()])).hexdigest()


def main(sessions: list[str]) -> int:
    """Run the sessions, in environments that are made anew only when their recipe changed."""
    NOX.mkdir(parents=True, exist_ok=True)
    stamp, report = NOX / "recipe.sha256", NOX / "report.json"
    made = stamp.exists() and stamp.read_text() == digest()
    command = ["nox", "--report", str(report), "-R" if made else "-r"]
    if sessions:
        command += ["--session", *sessions]
    if not sys.stdout.isatty():
        command.append("--nocolor")
        os.environ["NO_COLOR"] = "1"
    report.unlink(missing_ok=True)
    # With CI set, antsibull-nox lets the formatters report instead of rewrite.
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, "CI": "true"}, check=False)
    if not sessions and report.exists():
        stamp.write_text(digest())
    ran = json.loads(report.read_text())["sessions"] if report.exists() else []
    # The session "lint" only stands for others.
    outcomes = [
        Outcome(
            session["name"],
            "passed" if session["result"] == "success" else "failed",
            session.get("reason") or session["result"],
        )
        for session in ran
        if session["name"] != "lint"
    ]
    record("lint", outcomes)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
