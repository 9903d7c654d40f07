# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Roles that install packages say of which distributions they know the names, and do know them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
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
