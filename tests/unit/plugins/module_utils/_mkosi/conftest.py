# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.deputy import Account, Deputy
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.builder import Builder

SOMEBODY = Account(4321, 4321, "somebody", "/nowhere")


@pytest.fixture(name="somebody")
def _somebody() -> t.Iterator[Builder]:
    """One who builds as an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with Deputy(SOMEBODY) as deputy:
        yield Builder(SOMEBODY, deputy)
