# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nspawn.machined.plugins.module_utils._systemd import units

WEB = "systemd-nspawn@web.service"


def test_only_a_unit_that_is_not_inactive_or_failed_runs() -> None:
    for active in ("active", "activating", "deactivating", "reloading"):
        assert units.UnitState(WEB, active=active).running
    for active in ("inactive", "failed"):
        assert not units.UnitState(WEB, active=active).running
