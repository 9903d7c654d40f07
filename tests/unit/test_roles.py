# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role takes in its list all that its module takes."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("type", "elements", "choices", "default", "required")
Options = dict[str, dict[str, t.Any]]


def of_module(module: str, argument: str) -> Options:
    text = (ROOT / f"plugins/modules/{module}.py").read_text()
    documentation = yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])
    return t.cast("Options", documentation["options"][argument]["suboptions"])


def of_role(role: str, variable: str) -> Options:
    text = (ROOT / f"roles/{role}/meta/argument_specs.yml").read_text()
    options = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return t.cast("Options", options[variable].get("options", {}))


def shape(options: Options) -> dict[str, t.Any]:
    """All of it but the descriptions."""
    return {
        name: (
            {word: option[word] for word in WORDS if word in option},
            shape(option.get("suboptions") or option.get("options") or {}),
        )
        for name, option in options.items()
    }


LISTS = [("machines", "machines", "machines", "machines_wanted")]


@pytest.mark.parametrize(("module", "argument", "role", "variable"), LISTS)
def test_a_role_takes_each_key_that_its_module_takes(
    module: str, argument: str, role: str, variable: str
) -> None:
    assert shape(of_role(role, variable)) == shape(of_module(module, argument))


def test_no_other_role_spells_keys_of_a_list_that_it_would_have_to_know_all_of() -> None:
    spelled = {
        (path.parents[1].name, variable)
        for path in ROOT.glob("roles/*/meta/argument_specs.yml")
        for variable in yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        if of_role(path.parents[1].name, variable)
    }
    assert spelled == {(role, variable) for _module, _argument, role, variable in LISTS}


@pytest.mark.parametrize("key", ["users_shell", "users_linger", "users_allow_system"])
def test_modules_that_share_a_key_say_the_same_of_it(key: str) -> None:
    assert of_module("users", "machines")[key] == of_module("machines", "machines")[key]
