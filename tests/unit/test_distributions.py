# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles that install packages say of which distributions they know the names, and do know them.

docs/hosts.md says of each name where it was looked up.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "roles"
PAGE = (ROOT / "docs/hosts.md").read_text()
SECTIONS = {
    "Debian": "Debian, Ubuntu",
    "Suse": "openSUSE, SLE",
    "RedHat": "Fedora, RHEL and what is built from it",
    "Archlinux": "Arch Linux",
}
FAMILIES = {
    role: listed
    for role in ("host", "network", "mkosi", "access")
    for name, listed in yaml.safe_load((ROLES / role / "vars/main.yml").read_text()).items()
    if name == f"{role}__os_families"
}


@pytest.mark.parametrize("role", FAMILIES)
def test_a_role_has_the_packages_of_each_family_that_it_lists_and_of_no_other(role: str) -> None:
    there = {path.stem for path in (ROLES / role / "vars").glob("*.yml")} - {"main"}
    assert there == set(FAMILIES[role])


def test_every_role_that_has_such_files_lists_them() -> None:
    assert set(FAMILIES) == {path.parts[-3] for path in ROLES.glob("*/vars/Debian.yml")}


@pytest.mark.parametrize("role", FAMILIES)
def test_each_family_has_the_same_variables(role: str) -> None:
    variables = {
        family: set(yaml.safe_load((ROLES / role / "vars" / f"{family}.yml").read_text()))
        for family in FAMILIES[role]
    }
    assert len({frozenset(names) for names in variables.values()}) == 1, variables


def names_in(node: object) -> t.Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for entry in node.values() if isinstance(node, dict) else node:
            yield from names_in(entry)


@pytest.mark.parametrize("family", SECTIONS)
def test_the_page_of_hosts_says_of_each_name_where_it_was_looked_up(family: str) -> None:
    files = [yaml.safe_load(path.read_text()) for path in ROLES.glob(f"*/vars/{family}.yml")]
    # The role firewall asks for one name everywhere.
    wanted = {*names_in(files), "firewalld"}
    section = PAGE.partition(f"### {SECTIONS[family]}\n")[2].partition("\n#")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`([^`]+)`", row[1])]
    assert len(files) == len(FAMILIES)
    assert sorted(told) == sorted(wanted)
    assert all(row[2].strip() for row in rows)


def test_the_page_of_hosts_has_all_families() -> None:
    assert set(SECTIONS) == {family for listed in FAMILIES.values() for family in listed}
