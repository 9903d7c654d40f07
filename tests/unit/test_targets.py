# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ROOT / "tests/integration/targets"

Names = collections.defaultdict[str, set[str]]


def collect(node: object, target: str, registered: Names, given: Names) -> None:
    if isinstance(node, list):
        for entry in node:
            collect(entry, target, registered, given)
    if not isinstance(node, dict):
        return
    facts = node.get("ansible.builtin.set_fact")
    variables = node.get("vars")
    loop = node.get("loop_control")
    for name in [node.get("register"), *(facts if isinstance(facts, dict) else ())]:
        if isinstance(name, str):
            registered[name].add(target)
    for name in [
        loop.get("loop_var") if isinstance(loop, dict) else None,
        *(variables if isinstance(variables, dict) else ()),
    ]:
        if isinstance(name, str):
            given[name].add(target)
    for entry in node.values():
        collect(entry, target, registered, given)


def test_no_target_registers_what_another_one_has_as_a_variable() -> None:
    """Targets share a play, and there what was registered comes before a task's variables."""
    registered: Names = collections.defaultdict(set)
    given: Names = collections.defaultdict(set)
    for file in TARGETS.glob("*/tasks/*.yml"):
        target = file.parts[-3]
        collect(yaml.safe_load(file.read_text(encoding="utf-8")), target, registered, given)
    assert len(registered) > 50
    clashes = {
        name: sorted(registered[name] | given[name]) for name in set(registered) & set(given)
    }
    assert clashes == {}


def test_each_module_and_each_role_is_tried_as_the_first_thing_on_a_host() -> None:
    cases = TARGETS / "fresh_host/tasks"
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert len(modules) > 15 and len(roles) > 5
    assert {path.stem for path in (cases / "modules").glob("*.yml")} == modules
    assert {path.stem for path in (cases / "roles").glob("*.yml")} == roles
    for name, kind in [*((one, "modules") for one in modules), *((one, "roles") for one in roles)]:
        text = (cases / kind / f"{name}.yml").read_text(encoding="utf-8")
        word = f"nspawn.machined.{name}:" if kind == "modules" else f"name: nspawn.machined.{name}"
        assert word in text, name


def test_no_role_makes_what_the_modules_remember() -> None:
    """One place makes the folders, and knows who may read them: C(_core/memory.py)."""
    for file in (ROOT / "roles").rglob("*.yml"):
        if "meta" not in file.parts:
            text = file.read_text(encoding="utf-8")
            assert "/lib/nspawn.machined" not in text, file
            assert "/run/nspawn.machined" not in text, file
