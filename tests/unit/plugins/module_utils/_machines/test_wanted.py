# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import (
    Wanted,
    wanted_of,
)
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    STOPPED,
    host_with,
)


def test_a_machine_wanted_twice_is_refused() -> None:
    with pytest.raises(Failure, match="web: wanted more than once"):
        plan(host_with(web=STOPPED), [Wanted("web"), Wanted("web")])


def entry(**said: t.Any) -> dict[str, t.Any]:
    """An entry of C(machines) as Ansible hands it over: what was not said is empty."""
    empty = dict.fromkeys(
        ["image", "settings", "unit", "enabled", "owner", "vars", "restart", "wait", "wait_timeout"]
    )
    owners: dict[str, t.Any] = {
        "owners": [],
        "owner_may": None,
        "owner_root_shell": False,
        "owner_shared_users": False,
    }
    users: dict[str, t.Any] = {
        "users": [],
        "users_shell": None,
        "users_linger": [],
        "users_allow_system": False,
    }
    return {"name": "web", "state": "started", **empty, **owners, **users, **said}


COMMON = {"restart": "when_needed", "wait": "booted", "wait_timeout": 120.0, "force": True}


def test_what_an_entry_leaves_open_is_as_for_all_machines() -> None:
    one = wanted_of(entry(), COMMON)
    assert (one.restart, one.wait, one.wait_timeout, one.force) == (*COMMON.values(),)
    own = wanted_of(entry(restart="never", wait="none", wait_timeout=5.0), COMMON)
    assert (own.restart, own.wait, own.wait_timeout) == ("never", "none", 5)


def test_a_unit_that_is_left_out_is_left_alone_and_an_empty_one_is_removed() -> None:
    assert wanted_of(entry(), COMMON).unit is None
    assert wanted_of(entry(unit={}), COMMON).unit == ""
    assert wanted_of(entry(unit={"Service": {"Nice": 1}}), COMMON).unit == "[Service]\nNice=1\n"


def test_a_machine_is_given_some_time() -> None:
    with pytest.raises(Failure, match="wait_timeout: 0 is too short"):
        wanted_of(entry(wait_timeout=0), COMMON)


def test_an_entry_says_what_its_owners_may_do() -> None:
    one = wanted_of(entry(owner="alan", owners=["@staff"], owner_may=["start"]), COMMON)
    assert one.owner == "alan" and one.grant is not None
    assert (one.grant.users, one.grant.groups, one.grant.may) == (("alan",), ("staff",), ("start",))
    assert wanted_of(entry(), COMMON).grant is None


def test_an_owner_who_can_be_none_is_refused_unless_the_machine_goes() -> None:
    for said in ({"owner": ""}, {"owner": "al*n"}, {"owner_may": ["start"]}, {"owners": ["@"]}):
        with pytest.raises(Failure, match="machine web: "):
            wanted_of(entry(**said), COMMON)
        assert wanted_of(entry(state="absent", **said), COMMON).grant is None
