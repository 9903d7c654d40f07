# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the stages of ``make test``, and sum up what ran and what did not."""

from __future__ import annotations

import collections
import concurrent.futures
import fnmatch
import itertools
import os
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from outcomes import VARIABLE, Outcome, load

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / "build" / "reports"
EXPECTED = ROOT / "tests" / "expected-skips.txt"
STAGES = ("lint", "sanity", "unit", "testhost", "molecule")
# Sanity and most of lint work on one file after the other, on one processor each, and sanity takes
# as long as the two others: these lanes run side by side, and what is in one lane in turn.
LANES = (("lint", "unit"), ("sanity",))
SIDE_BY_SIDE = frozenset(itertools.chain(*LANES))
TAIL = 60


@dataclass(frozen=True)
class Skip:
    """A skip that is expected: patterns of stage, test and reason."""

    stage: str
    name: str
    reason: str

    def covers(self, stage: str, outcome: Outcome) -> bool:
        """Whether this skip is the one that was expected."""
        return (
            self.stage == stage
            and fnmatch.fnmatchcase(outcome.name, self.name)
            and fnmatch.fnmatchcase(outcome.reason, self.reason)
        )


@dataclass(frozen=True)
class Result:
    """What one stage came to."""

    stage: str
    seconds: float
    status: int
    outcomes: tuple[Outcome, ...]

    def count(self, outcome: str) -> int:
        """How many tests ended like this."""
        return sum(one.outcome == outcome for one in self.outcomes)


def read_skips(text: str) -> list[Skip]:
    """The expected skips, one a line."""
    lines = (line.strip() for line in text.splitlines())
    entries = [line.split(" : ", 2) for line in lines if line and not line.startswith("#")]
    return [Skip(*(word.strip() for word in entry)) for entry in entries]


def unexpected(results: t.Iterable[Result], skips: t.Sequence[Skip]) -> list[str]:
    """The skips that nobody expected, as sentences."""
    return [
        f"{result.stage}: {one.name} was skipped: {one.reason or 'without a reason'}"
        for result in results
        for one in result.outcomes
        if one.outcome == "skipped" and not any(skip.covers(result.stage, one) for skip in skips)
    ]


def run_stage(stage: str) -> Result:
    """Run ``make STAGE``, show and keep its output."""
    mark = f"{stage}: " if stage in SIDE_BY_SIDE else ""
    print(f"\n=== {stage}", flush=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    written = REPORTS / f"{stage}.jsonl"
    written.unlink(missing_ok=True)
    begin = time.monotonic()
    process = subprocess.Popen(
        ["make", "--no-print-directory", stage],
        cwd=ROOT,
        env={**os.environ, VARIABLE: str(written)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process, (REPORTS / f"{stage}.log").open("w") as log:
        for line in process.stdout or ():
            print(mark + line, end="", flush=True)
            log.write(line)
    seconds = time.monotonic() - begin
    outcomes = tuple(outcome for _stage, outcome in load(written))
    return Result(stage, seconds, process.returncode, outcomes)


def run_stages(stages: t.Sequence[str]) -> list[Result]:
    """Run the stages in their order, and side by side those that leave a processor idle."""
    lanes = [[stage for stage in stages if stage in lane] for lane in LANES]
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        ended = itertools.chain(*pool.map(lambda lane: [*map(run_stage, lane)], lanes))
        results = {result.stage: result for result in ended}
    for stage in stages:
        if stage not in results:
            results[stage] = run_stage(stage)
    return [results[stage] for stage in stages]


def judged(result: Result) -> Result:
    """A stage that failed without a failed test, or ran none, is a failure by itself."""
    missing = None
    if result.status and not result.count("failed"):
        missing = f"make {result.stage} ended with {result.status}"
    elif not result.outcomes:
        missing = f"make {result.stage} ran no test"
    if missing is None:
        return result
    outcomes = (*result.outcomes, Outcome(result.stage, "failed", missing))
    return Result(result.stage, result.seconds, result.status or 1, outcomes)


def tail(stage: str) -> str:
    """The end of a stage's output."""
    return "".join((REPORTS / f"{stage}.log").open(errors="replace").readlines()[-TAIL:])


def summary(results: t.Sequence[Result], seconds: float) -> str:
    """The table that ends a run."""
    lines = [f"{'stage':10} {'seconds':>8} {'passed':>7} {'failed':>7} {'skipped':>8}"]
    for one in results:
        counts = [one.count(outcome) for outcome in ("passed", "failed", "skipped")]
        lines.append(f"{one.stage:10} {one.seconds:8.0f} {counts[0]:7} {counts[1]:7} {counts[2]:8}")
    lines.append(f"{'all':10} {seconds:8.0f}")
    return "\n".join(lines)


def main(stages: t.Sequence[str]) -> int:
    """Run the stages; 0 if nothing failed and every skip was expected."""
    begin = time.monotonic()
    results = [judged(result) for result in run_stages(stages or STAGES)]
    seconds = time.monotonic() - begin
    strays = unexpected(results, read_skips(EXPECTED.read_text()))

    for result in results:
        if result.status:
            print(f"\n=== the last lines of {result.stage}, which failed\n{tail(result.stage)}")
    reasons = collections.Counter(
        (result.stage, outcome.name, outcome.reason)
        for result in results
        for outcome in result.outcomes
        if outcome.outcome == "skipped"
    )
    print("\n=== skipped" if reasons else "\n=== nothing was skipped")
    for stage, name, reason in reasons:
        print(f"{stage}: {name}: {reason}")
    failures = [
        f"{result.stage}: {outcome.name}: {outcome.reason}"
        for result in results
        for outcome in result.outcomes
        if outcome.outcome == "failed"
    ]
    if failures or strays:
        print("\n=== failed", *failures, sep="\n")
        print(*(f"{stray} (not in tests/expected-skips.txt)" for stray in strays), sep="\n")
    print(f"\n=== summary\n{summary(results, seconds)}\n")
    passed, failed, skipped = (
        sum(result.count(outcome) for result in results)
        for outcome in ("passed", "failed", "skipped")
    )
    print(f"{passed} passed, {failed + len(strays)} failed, {skipped} skipped")
    return 1 if failed or strays or any(result.status for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
