# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each test came to, kept for the summary of ``make test``.

Also a pytest plugin: ``pytest -p outcomes`` writes down the outcome of each test.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

if t.TYPE_CHECKING:
    import pytest

VARIABLE = "NSPAWN_MACHINED_OUTCOMES"


@dataclass(frozen=True)
class Outcome:
    """One test: its name, passed, failed or skipped, and why."""

    name: str
    outcome: str
    reason: str = ""


def record(stage: str, outcomes: t.Iterable[Outcome]) -> None:
    """Append outcomes to the file that the variable names, if it names one."""
    name = os.environ.get(VARIABLE)
    if not name:
        return
    with Path(name).open("a") as file:
        for outcome in outcomes:
            file.write(json.dumps({"stage": stage, **asdict(outcome)}) + "\n")


def load(path: Path) -> list[tuple[str, Outcome]]:
    """The recorded outcomes with their stages; the last word about a test counts."""
    found: dict[tuple[str, str], Outcome] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        stage = entry.pop("stage")
        found[stage, entry["name"]] = Outcome(**entry)
    return [(key[0], outcome) for key, outcome in found.items()]


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return getattr(report, "wasxfail", "")


def _is_worker() -> bool:
    # A worker of pytest-xdist tells the process that started it, which writes for all.
    return "PYTEST_XDIST_WORKER" in os.environ


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called by pytest for each phase of each test."""
    if _is_worker():
        return
    stage = os.environ.get("NSPAWN_MACHINED_STAGE", "pytest")
    if report.when == "call" or report.outcome != "passed":
        record(stage, [Outcome(report.nodeid, report.outcome, _reason(report))])


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Called by pytest for each collected node: whole files can be skipped or broken."""
    if _is_worker():
        return
    stage = os.environ.get("NSPAWN_MACHINED_STAGE", "pytest")
    if report.outcome != "passed":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "not collected"
        record(stage, [Outcome(report.nodeid, report.outcome, reason)])
