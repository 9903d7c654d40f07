# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._machines.published import (
    is_strict,
    warning,
    warnings,
)
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file


@pytest.mark.parametrize(
    ("text", "strict"),
    [
        ("", False),
        ("# StrictForwardPorts=yes\n", False),
        ("StrictForwardPorts=yes\n", True),
        ("StrictForwardPorts = Yes\r\n", True),
        ("StrictForwardPorts=yes\nStrictForwardPorts=no\n", False),
        ("StrictForwardPortsOther=yes\n", False),
    ],
)
def test_the_last_word_of_the_configuration_counts(text: str, strict: bool) -> None:
    assert is_strict(text) is strict


def test_who_publishes_nothing_is_told_nothing() -> None:
    quiet = nspawn_file.Settings({"Network": {"Port": ("",)}})
    assert list(warnings([("web", quiet), ("db", None)])) == []


def test_the_warning_names_machine_ports_and_the_way_out() -> None:
    told = warning("web", ("", "tcp:80", "udp:53"))
    assert "machine web: nobody outside reaches Port=tcp:80, udp:53," in told
    assert "forward_ports" in told
    assert "StrictForwardPorts=no" in told
