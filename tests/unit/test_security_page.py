# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The promises of docs/security.md name tests that are there, and each module whom it trusts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
TARGETS = ROOT / "tests/integration/targets"


def promises() -> list[tuple[str, str]]:
    """The promises of the page, each with the words that name its tests."""
    page = PAGE.partition("## What is promised")[2].partition("## What is not promised")[0]
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    return [
        (row[0].strip(), row[1].strip())
        for row in rows
        if len(row) == 2 and row[1].strip() != "test" and not set(row[0]) <= set("- ")
    ]


def shown_by(names: str) -> list[Path]:
    """The files that show a promise: of a target its tasks, of a room or a file its unit tests."""
    found = []
    for name in re.findall(r"`([^`]+)`", names):
        target, _slash, part = name.partition("/")
        if (TARGETS / target).is_dir():
            found.append(TARGETS / target / "tasks" / f"{part or 'main'}.yml")
        else:
            room, _slash, file = name.rpartition("/")
            tests = ROOT / "tests/unit/plugins/module_utils" / room
            found.append(tests / f"test_{file.removesuffix('.py')}.py")
    return found


def test_the_page_promises_something() -> None:
    assert len(promises()) > 10


@pytest.mark.parametrize(("promise", "names"), promises())
def test_a_promise_names_tests_that_are_there(promise: str, names: str) -> None:
    assert shown_by(names), promise
    assert [path for path in shown_by(names) if not path.is_file()] == []


def targets_of_promises() -> list[str]:
    words = [
        name.partition("/")[0] for _promise, names in promises() for name in names.split("`")[1::2]
    ]
    return sorted({word for word in words if (TARGETS / word).is_dir()})


@pytest.mark.parametrize("target", targets_of_promises())
def test_a_target_of_a_promise_has_tasks_that_can_fail(target: str) -> None:
    text = "".join(path.read_text() for path in (TARGETS / target).rglob("*.yml"))
    assert re.search(r"ansible\.builtin\.assert:|failed_when:", text)


def test_a_part_of_a_target_is_included_by_it() -> None:
    for _promise, names in promises():
        for target, part in re.findall(r"`([^`/]+)/([^`]+)`", names):
            if (TARGETS / target).is_dir():
                files = (TARGETS / target).rglob("*.yml")
                text = "".join(path.read_text() for path in files if path.stem != part)
                assert re.search(rf"\b{part}\b", text), f"{target}/{part}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_needs_and_whom_it_trusts(module: str) -> None:
    text = (ROOT / f"plugins/modules/{module}.py").read_text()
    documentation = yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])
    assert "nspawn.machined.attributes" in documentation["extends_documentation_fragment"]
    (line,) = documentation["attributes"]["trust"]["details"]
    assert re.fullmatch(r"Needs root of the host\. Trusts [^.]+(\.\w[^.]*)*\.", line), line


TELL = """
import json, sys
sys.path.insert(0, sys.argv.pop())
import plant
print(json.dumps({name: spec for name, spec in plant.specs().items() if "/" not in name}))
"""


def undecided(spec: dict[str, dict[str, object]], path: str) -> list[str]:
    """The texts of which the spec of a module does not say whether they may be seen."""
    found: list[str] = []
    for name, entry in spec.items():
        options = entry.get("options")
        if isinstance(options, dict):
            found += undecided(options, f"{path}.{name}")
        elif "choices" in entry or "no_log" in entry:
            continue
        elif entry.get("type", "str") in ("str", "path", "list"):
            found.append(f"{path}.{name}")
    return found


def test_each_text_that_a_module_takes_says_whether_it_may_be_seen() -> None:
    """Of a mapping its keys decide, and of a command the program may be seen."""
    files = str(TARGETS / "planted_word/files")
    told = subprocess.run(
        [sys.executable, "-c", TELL, files], check=True, capture_output=True, text=True
    ).stdout
    found = [one for name, spec in json.loads(told).items() for one in undecided(spec, name)]
    assert found == ["machine_exec.argv", "machine_exec.cmd"]
