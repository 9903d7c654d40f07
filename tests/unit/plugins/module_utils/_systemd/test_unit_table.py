# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nspawn.machined.plugins.module_utils._systemd import unit_table


def test_the_table_names_no_key_twice_with_two_versions() -> None:
    for keys in unit_table.TABLE.values():
        assert set(keys.values()) <= set(range(252, unit_table.NEWEST + 1))
    assert unit_table.TABLE["Service"]["ImportCredential"] == 254
