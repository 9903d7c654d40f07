# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.text import Service
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.wanted import wanted_of


def test_services_may_be_given_with_the_action_before_them() -> None:
    wanted = wanted_of({"group": ["[SUCCESS=merge] systemd", "sss"]}, "/srv/image")
    assert wanted.databases["group"] == (Service("systemd", "[SUCCESS=merge]"), Service("sss"))
    assert not wanted.is_host


@pytest.mark.parametrize("root", ["/", "//", "/./"])
def test_the_host_is_known_by_any_of_its_spellings(root: str) -> None:
    assert wanted_of({"passwd": ["systemd"]}, root).is_host


@pytest.mark.parametrize(
    ("databases", "says"),
    [
        ({"passwd": []}, "no list of services"),
        ({"passwd": "systemd"}, "no list of services"),
        ({"passwd": None}, "no list of services"),
        ({"passwd": [1]}, "is no service"),
        ({"passwd": [""]}, "is no service"),
        ({"passwd": ["systemd\nshadow: x"]}, "is no service"),
        ({"passwd": ["systemd sss"]}, "is no service"),
        ({"passwd": ["systemd#"]}, "is no service"),
        ({"passwd": ["[SUCCESS=merge]"]}, "is no service"),
        ({"passwd": ["systemd", "systemd"]}, "more than once"),
        ({"pass wd": ["systemd"]}, "is no database"),
        ({"passwd\n": ["systemd"]}, "is no database"),
        ({"#passwd": ["systemd"]}, "is no database"),
        ({1: ["systemd"]}, "is no database"),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(
    databases: dict[t.Any, t.Any], says: str
) -> None:
    with pytest.raises(Failure, match=says):
        wanted_of(databases, "/")


def test_a_root_is_a_path_from_the_top() -> None:
    with pytest.raises(Failure, match="no absolute path"):
        wanted_of({"passwd": ["systemd"]}, "machines/web")
