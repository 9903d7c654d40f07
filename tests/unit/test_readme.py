# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README tells what is there, and its playbook is one."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
WHAT_IS_THERE = README.partition("## What is there")[2].partition("\n## ")[0]
PLACES = (
    "playbooks/*.yml",
    "roles/*",
    "plugins/modules/[a-z]*.py",
    "plugins/connection/[a-z]*.py",
    "plugins/inventory/[a-z]*.py",
)


def names() -> list[str]:
    return sorted({path.stem for place in PLACES for path in ROOT.glob(place)})


@pytest.mark.parametrize("name", names())
def test_it_names_everything_that_is_there(name: str) -> None:
    first_cells = re.findall(r"^\| (`.*?) \|", WHAT_IS_THERE, re.MULTILINE)
    assert f"`{name}`" in ", ".join(first_cells).split(", ")


def test_it_names_nothing_that_is_not_there() -> None:
    first_cells = re.findall(r"^\| (`.*?) \|", WHAT_IS_THERE, re.MULTILINE)
    told = re.findall(r"`(\w+)`", " ".join(first_cells))
    assert set(told) == set(names())


def test_its_playbook_imports_one_of_ours_and_sets_variables_that_roles_know() -> None:
    (text,) = re.findall(r"```yaml\n(# site.yml.*?)```", README, re.DOTALL)
    (play,) = yaml.safe_load(text)
    assert play["ansible.builtin.import_playbook"] == "nspawn.machined.site"
    assert (ROOT / "playbooks" / "site.yml").is_file()
    assert set(play["vars"]) <= known_variables()


def known_variables() -> set[str]:
    found: set[str] = set()
    for file in ROOT.glob("roles/*/meta/argument_specs.yml"):
        specs: dict[str, t.Any] = yaml.safe_load(file.read_text())["argument_specs"]
        found |= {option for spec in specs.values() for option in spec.get("options", {})}
    return found
