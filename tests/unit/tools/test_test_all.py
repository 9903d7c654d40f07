# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import outcomes
import pytest
import sanity
import scenarios
import test_all
from outcomes import Outcome
from test_all import Result, Skip


def result(*ran: Outcome, status: int = 0) -> Result:
    return Result("unit", 1.0, status, ran)


def test_a_skip_that_matches_in_all_three_is_expected() -> None:
    skips = [Skip("unit", "a*", "*missing")]
    assert not test_all.unexpected([result(Outcome("ab", "skipped", "x is missing"))], skips)


@pytest.mark.parametrize(
    "skip", [Skip("lint", "*", "*"), Skip("unit", "b*", "*"), Skip("unit", "*", "other")]
)
def test_a_skip_that_differs_in_one_is_unexpected(skip: Skip) -> None:
    found = test_all.unexpected([result(Outcome("ab", "skipped", "reason"))], [skip])
    assert found == ["unit: ab was skipped: reason"]


def test_comments_and_empty_lines_are_no_expected_skips() -> None:
    assert test_all.read_skips("# no\n\na : b : c : d\n") == [Skip("a", "b", "c : d")]


def test_a_stage_that_ran_nothing_has_failed() -> None:
    assert test_all.judged(result()).status == 1


def test_a_stage_that_ended_badly_without_a_failed_test_counts_as_one() -> None:
    judged = test_all.judged(result(Outcome("a", "passed"), status=2))
    assert (judged.count("passed"), judged.count("failed")) == (1, 1)


def test_a_stage_that_passed_stays_as_it_is() -> None:
    passed = result(Outcome("a", "passed"))
    assert test_all.judged(passed) is passed


def test_the_last_word_about_a_test_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(outcomes.VARIABLE, str(tmp_path / "file"))
    outcomes.record("unit", [Outcome("a", "passed"), Outcome("a", "failed", "in teardown")])
    assert outcomes.load(tmp_path / "file") == [("unit", Outcome("a", "failed", "in teardown"))]


def test_ansible_tests_lines_become_outcomes() -> None:
    reader = sanity.Reader()
    for line in (
        'Running sanity test "compile" on Python 3.9',
        'Running sanity test "pep8"',
        "ERROR: Found 2 pep8 issue(s) which need to be resolved:",
        'WARNING: Skipping sanity test "import" on Python 3.8 because it could not be found.',
    ):
        reader.read(line)
    assert list(reader.ran.values()) == [
        Outcome("compile 3.9", "passed"),
        Outcome("pep8", "failed", "ERROR: Found 2 pep8 issue(s)"),
        Outcome("import 3.8", "skipped", "because it could not be found"),
    ]


def test_molecules_lines_become_outcomes() -> None:
    reader = scenarios.Reader()
    for line in (
        "INFO     [site > converge] Executed: Successful",
        "ERROR    [site > verify] Executed: Failed",
        "WARNING  [site > cleanup] Executed: Missing playbook (Remove from test_sequence)",
        "INFO     [site ➜ verify] Executing",
        "site ➜ verify: Executed: Failed",
    ):
        reader.read(line)
    assert list(reader.ran.values()) == [
        Outcome("site converge", "passed", "Successful"),
        Outcome("site verify", "failed", "Failed"),
    ]
