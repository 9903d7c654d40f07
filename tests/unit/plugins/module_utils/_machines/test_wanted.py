# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._machines.plan import plan
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import (
    Wanted,
)
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    STOPPED,
    host_with,
)


def test_a_machine_wanted_twice_is_refused() -> None:
    with pytest.raises(Failure, match="web: wanted more than once"):
        plan(host_with(web=STOPPED), [Wanted("web"), Wanted("web")])
