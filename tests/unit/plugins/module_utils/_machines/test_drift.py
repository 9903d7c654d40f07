# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._machines.drift import declared, drift
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import unit_text

SETTINGS = nspawn_file.normalise(
    {
        "Exec": {"NotifyReady": True, "Environment": ["A=1", "B=2"]},
        "Network": {"Zone": "web", "Port": None},
    }
)
TEXT = "[Exec]\nNotifyReady=yes\nEnvironment=A=1\nEnvironment=B=2\n\n[Network]\nZone=web\n"
UNIT = unit_text.render({"Service": {"MemoryMax": "1G", "SetCredential": "token:abc"}})
SAID = declared("started", True, SETTINGS, UNIT)


def found(**changes: t.Any) -> list[dict[str, t.Any]]:
    as_declared = {"state": "running", "enabled": True, "settings": TEXT, "unit": UNIT}
    return drift(SAID, **{**as_declared, **changes})


def test_a_machine_that_is_as_it_was_declared_has_not_drifted() -> None:
    assert found() == []


def test_another_spelling_of_the_same_is_no_drift() -> None:
    other = "# mine\n" + TEXT.replace("=yes", " = true")
    assert found(settings=other, unit="# mine\n" + UNIT) == []


def test_what_was_left_open_cannot_drift() -> None:
    said = declared("stopped", None, None, None)
    assert said == {"state": "stopped"}
    assert drift(said, state="stopped", enabled=True, settings=TEXT, unit=UNIT) == []


@pytest.mark.parametrize(
    ("state", "word", "drifted"),
    [
        ("started", "running", False),
        ("restarted", "running", False),
        ("started", "paused", True),
        ("started", "starting", True),
        ("started", "absent", True),
        ("stopped", "failed", False),
        ("stopped", "running", True),
        ("paused", "paused", False),
    ],
)
def test_each_state_has_its_words(state: str, word: str, drifted: bool) -> None:
    said = declared(state, None, None, None)
    entries = drift(said, state=word, enabled=False, settings=None, unit=None)
    assert bool(entries) is drifted
    if drifted:
        assert entries[0]["found"] == word


def test_each_key_that_differs_is_named_with_both_values_or_their_names() -> None:
    text = TEXT.replace("Zone=web", "Zone=other\nPort=80").replace("Environment=A=1\n", "")
    assert found(settings=text) == [
        {
            "subject": "settings",
            "key": "Exec.Environment",
            "declared": ["A=********", "B=********"],
            "found": ["B=********"],
        },
        {"subject": "settings", "key": "Network.Zone", "declared": ["web"], "found": ["other"]},
        {"subject": "settings", "key": "Network.Port", "declared": None, "found": ["80"]},
    ]


def test_a_file_that_is_gone_has_lost_all_its_keys() -> None:
    assert [entry["key"] for entry in found(settings=None)] == [
        "Exec.NotifyReady",
        "Exec.Environment",
        "Network.Zone",
    ]


def test_secrets_are_not_told() -> None:
    (entry,) = found(unit=UNIT.replace("abc", "def"))
    assert entry["key"] == "Service.SetCredential"
    assert entry["declared"] == ["token:********"]
    assert entry["found"] == ["token:******** (another one)"]


@given(st.sampled_from(["on", "1", "TRUE", "yes"]), st.booleans())
def test_drift_is_what_the_next_run_would_change(spelling: str, changed: bool) -> None:
    text = TEXT.replace("=yes", f"={spelling}")
    if changed:
        text = text.replace("Zone=web", "Zone=db")
    merged = nspawn_file.merge(text, SETTINGS, exclusive=True)
    assert bool(found(settings=text)) == (merged != text)
