# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import unit_files

WEB = "systemd-nspawn@web.service"


def test_a_drop_in_lies_in_the_directory_of_its_unit() -> None:
    path = "/etc/systemd/system/systemd-nspawn@web.service.d/50-nspawn-machined.conf"
    assert unit_files.drop_in_path(WEB) == path


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "-a", "a\n", "a b", "x.conf", "a" * 201])
def test_a_name_that_is_none_for_a_drop_in_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="drop_in"):
        unit_files.check_drop_in(name)


@pytest.mark.parametrize("name", ["50-limits", "a", "90_x.y", unit_files.DROP_IN])
def test_a_name_for_a_drop_in_is_accepted(name: str) -> None:
    unit_files.check_drop_in(name)


@pytest.mark.parametrize("unit", [WEB, unit_files.TEMPLATE, "machine.slice", "machines.target"])
def test_the_name_of_a_unit_is_accepted(unit: str) -> None:
    unit_files.check_unit(unit)


@pytest.mark.parametrize(
    "unit", ["", "web", "../x.service", "a/b.service", "a b.service", "x.conf", "x.service\n"]
)
def test_what_is_no_name_of_a_unit_is_refused(unit: str) -> None:
    with pytest.raises(Failure, match="no name of a unit"):
        unit_files.check_unit(unit)


@given(st.text(max_size=12) | st.text("ab.-_@\n\0/", max_size=12))
def test_any_name_of_a_drop_in_is_refused_or_one_file_beside_the_unit(name: str) -> None:
    try:
        unit_files.check_drop_in(name)
    except Failure:
        return
    path = unit_files.drop_in_path("a.service", name)
    assert os.path.normpath(path) == path
    assert path == f"/etc/systemd/system/a.service.d/{name}.conf"
    assert "/" not in name and name.isascii() and name.isprintable()


@given(st.text(max_size=12).map(lambda text: f"{text}.service"))
def test_any_name_of_a_unit_is_refused_or_one_directory(unit: str) -> None:
    try:
        unit_files.check_unit(unit)
    except Failure:
        return
    assert os.path.dirname(unit_files.drop_in_directory(unit)) == "/etc/systemd/system"
    assert unit.isascii() and unit.isprintable()
