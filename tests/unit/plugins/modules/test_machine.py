# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import yaml

from ansible_collections.nspawn.machined.plugins.modules import machine, machines


def test_what_is_returned_of_a_machine_is_worded_as_by_the_module_machines() -> None:
    here, there = (yaml.safe_load(module.RETURN) for module in (machine, machines))
    assert here["machines"] == there["machines"]
    assert here["plan"]["description"] == there["plan"]["description"]
