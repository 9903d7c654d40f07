# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all tests of this scenario share."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.extensions.molecule.testkit import served
from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import Inventory


@pytest.fixture(scope="session")
def web_files(inventory: Inventory) -> t.Iterator[Path]:
    """What the web server of the test network has to offer."""
    with served.files(inventory) as folder:
        yield folder
