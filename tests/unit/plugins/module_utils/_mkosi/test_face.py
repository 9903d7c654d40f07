# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.face import entries_of


def test_a_call_is_one_build_or_a_list_of_them_which_may_be_empty() -> None:
    one = {"directory": "/srv/one", "builds": None}
    assert entries_of(one) == [one]
    assert entries_of({"directory": None, "builds": []}) == []
    assert entries_of({"directory": None, "builds": [one]}) == [one]
