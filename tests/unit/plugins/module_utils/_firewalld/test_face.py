# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.face import POLICIES, ZONES
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    POLICY,
    ZONE,
    properties_of,
)

KINDS = [(ZONE, ZONES), (POLICY, POLICIES)]


@pytest.mark.parametrize(("kind", "argument"), KINDS, ids=[ZONE, POLICY])
def test_every_property_of_the_table_is_an_argument(kind: str, argument: dict[str, t.Any]) -> None:
    own = {"name", "state", "exclusive", "remove"}
    assert set(argument["options"]) == own | set(properties_of(kind))


@pytest.mark.parametrize(("kind", "argument"), KINDS, ids=[ZONE, POLICY])
def test_lists_and_nothing_else_can_lose_elements(kind: str, argument: dict[str, t.Any]) -> None:
    options = argument["options"]
    lists = {name for name in properties_of(kind) if options[name]["type"] == "list"}
    assert set(options["remove"]["options"]) == lists
