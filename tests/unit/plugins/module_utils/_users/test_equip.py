# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.authselect import Profile
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.seen import (
    Snapshot as Nsswitch,
)
from ansible_collections.nspawn.machined.plugins.module_utils._users.equip import equipment
from ansible_collections.nspawn.machined.plugins.module_utils._users.seen import Tree
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import Bound

PLAIN = "passwd: files\ngroup: files\nshadow: files\n"
ASKED = "passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\nshadow: files systemd\n"
BOUND = Bound("web", ("alan", "bea"), frozenset({"bea"}))
ROOT = "/var/lib/machines/web"


def tree(text: str = PLAIN, *linger: str) -> Tree:
    return Tree(nsswitch=Nsswitch(text), linger=frozenset(linger))


def test_a_tree_learns_of_its_users_once() -> None:
    change = equipment(BOUND, tree(), ROOT)
    assert (change.nsswitch, change.linger, change.unlinger) == (ASKED, ("bea",), ())
    assert change.before["group"] == "files"
    assert change.after["group"] == "files [SUCCESS=merge] systemd"
    assert not equipment(BOUND, tree(ASKED, "bea"), ROOT)


def test_service_managers_go_with_the_wish_and_with_the_user_and_no_others() -> None:
    change = equipment(Bound("web", ("alan",)), tree(ASKED, "alan", "bea", "grace"), ROOT, ["bea"])
    assert (change.nsswitch, change.linger, change.unlinger) == (None, (), ("alan", "bea"))
    assert change.after == {"linger": ["grace"]}


def test_a_tree_without_users_is_left_alone() -> None:
    assert not equipment(Bound("web"), tree(PLAIN, "grace"), ROOT)


def test_a_tree_of_authselect_that_would_have_to_change_is_refused() -> None:
    of_authselect = Nsswitch(PLAIN, profile=Profile("local", frozenset(), PLAIN))
    with pytest.raises(Failure, match="made by authselect"):
        equipment(BOUND, Tree(nsswitch=of_authselect), ROOT)
    done = dataclasses.replace(of_authselect, text=ASKED)
    assert not equipment(Bound("web", ("alan",)), Tree(nsswitch=done), ROOT)
