# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._machines.record import Record
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen


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
