# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._machines.record import Record
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file


@pytest.mark.parametrize(
    ("seen", "ours"),
    [
        (Seen(image="raw", identity="a", record=Record(made=True, identity="a")), True),
        (Seen(image="raw", identity="a", record=Record(made=False, identity="a")), False),
        (Seen(image="raw", identity="a", record=Record(made=True, identity="b")), False),
        (Seen(image="raw", identity="a", record=Record(made=True)), False),
        (Seen(image="raw", identity="", record=Record(made=True)), False),
        (Seen(image="raw", identity="a"), False),
    ],
)
def test_an_image_is_ours_when_both_identities_are_known_and_equal(seen: Seen, ours: bool) -> None:
    assert seen.is_ours == ours


ALAN = "[Files]\nBindUser=alan\n"
COMMAND = "[Service]\nExecStart=\nExecStart=systemd-nspawn -U --bind-user=bea -M %i\n"


@pytest.mark.parametrize(
    ("seen", "wanted", "names"),
    [
        (Seen(image="subvolume", settings=ALAN, unit=COMMAND), {}, ("alan", "bea")),
        (Seen(image="subvolume", settings=ALAN, unit=COMMAND), {"unit": ""}, ("alan",)),
        (Seen(), {"image": "old", "unit": COMMAND}, ("carl", "bea")),
        (Seen(image="subvolume"), {"image": "old"}, ()),
        (Seen(settings=ALAN, record=Record(users=("alan",))), {}, ()),
        (Seen(settings=ALAN), {"settings": nspawn_file.normalise({"Files": {}})}, ()),
        (Seen(settings=ALAN), {"declared": False}, ()),
        (Seen(settings=ALAN), {"state": "absent"}, ()),
    ],
)
def test_users_are_undeclared_whom_only_files_name_that_stay(
    seen: Seen, wanted: dict[str, t.Any], names: tuple[str, ...]
) -> None:
    host = Snapshot({"web": seen}, frozenset(), image_settings={"old": "[Files]\nBindUser=carl\n"})
    assert host.named_for(Wanted("web", **{"declared": True, **wanted})) == names
