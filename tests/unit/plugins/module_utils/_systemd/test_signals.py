# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import signals


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGKILL", 9),
        ("hup", 1),
        ("9", 9),
        ("SIGRTMIN+4", 38),
        ("RTMAX-1", 63),
        (" sigterm ", 15),
    ],
)
def test_a_signal_is_known_by_each_of_its_names(name: str, number: int) -> None:
    assert signals.number_of(name) == number
    assert signals.number_of(signals.name_of(number)) == number


@pytest.mark.parametrize(
    "name",
    ["", "SIG", "SIGNONE", "0", "65", "-9", "RTMIN-1", "SIGRTMIN+99", "RTMAX-99", "9 9", "SIG_IGN"],
)
def test_what_is_no_signal_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="is no signal"):
        signals.number_of(name)
