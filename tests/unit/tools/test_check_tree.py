# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
from pathlib import Path

import check_tree
import pytest


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, on a machine without mirrors."""
    monkeypatch.setattr(check_tree, "mirrors", set)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "meta").mkdir()
    (tmp_path / "plugins" / "modules").mkdir(parents=True)
    (tmp_path / "meta" / "runtime.yml").write_text("action_groups: {machined: [one]}\n")
    (tmp_path / "plugins" / "modules" / "one.py").touch()
    return tmp_path


def test_a_module_missing_in_the_action_group_is_found(tree: Path) -> None:
    (tree / "plugins" / "modules" / "two.py").touch()
    (finding,) = check_tree.check_action_groups(tree)
    assert "lacks the module two" in finding


def test_a_name_in_the_action_group_without_a_module_is_found(tree: Path) -> None:
    (tree / "plugins" / "modules" / "one.py").unlink()
    (finding,) = check_tree.check_action_groups(tree)
    assert "has one, which is no module" in finding


def test_an_action_group_with_all_modules_is_fine(tree: Path) -> None:
    assert not list(check_tree.check_action_groups(tree))


def test_a_path_of_this_machine_is_found_with_its_line(tree: Path) -> None:
    (tree / "notes").write_text(f"first\nsee {tree}/plugins\n")
    findings = list(check_tree.check_strings(tree))
    assert [finding.split(" ")[0] for finding in findings] == ["notes:2:"]


def test_ignored_files_are_not_looked_at(tree: Path) -> None:
    (tree / ".gitignore").write_text("notes\n")
    (tree / "notes").write_text(f"{tree}/plugins\n")
    assert not list(check_tree.check_strings(tree))


def test_a_mirror_is_found(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_tree, "mirrors", lambda: {"mirror.example"})
    (tree / "notes").write_text("deb http://mirror.example/debian trixie main\n")
    (finding,) = check_tree.check_strings(tree)
    assert finding.startswith("notes:1: names the package mirror")


def test_hosts_are_read_from_urls_with_ports_and_passwords() -> None:
    text = (
        "deb [arch=amd64] http://user:secret@one.example:3142/debian x\nURIs: https://two.example/"
    )
    assert check_tree.hosts_in(text) == {"one.example", "two.example"}


def test_a_role_without_argument_specs_is_found(tree: Path) -> None:
    (tree / "roles" / "host").mkdir(parents=True)
    (finding,) = check_tree.check_roles(tree)
    assert finding.startswith("roles/host:")


def test_an_ignore_file_of_sanity_is_found(tree: Path) -> None:
    (tree / "tests" / "sanity").mkdir(parents=True)
    (tree / "tests" / "sanity" / "ignore-2.19.txt").touch()
    assert len(list(check_tree.check_ignores(tree))) == 1


def test_a_python_file_that_no_linter_sees_is_found(tree: Path) -> None:
    (tree / "antsibull-nox.toml").write_text('[sessions.lint]\ncode_files = ["plugins"]\n')
    (tree / "stray.py").touch()
    (finding,) = check_tree.check_linted(tree)
    assert finding.startswith("stray.py:")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- vars: {box_size: 7}\n", 0),
        ("- vars: {box_size: 1}\n", 1),
        ("- debug: {msg: box_size}\n", 1),
        ("- block: [{vars: {box_size: !unsafe '{{ 1 }}'}}]\n", 0),
    ],
)
def test_a_variable_that_no_test_sets_to_something_else_is_found(
    tree: Path, text: str, found: int
) -> None:
    for where, what in (
        (
            "roles/box/meta/argument_specs.yml",
            "argument_specs: {main: {options: {box_size: {}}}}\n",
        ),
        ("roles/box/defaults/main.yml", "box_size: 1\n"),
        ("tests/integration/targets/box/tasks/main.yml", text),
    ):
        (tree / where).parent.mkdir(parents=True)
        (tree / where).write_text(what)
    findings = list(check_tree.check_role_variables(tree))
    assert [finding.partition(":")[0] for finding in findings] == ["box_size"] * found
