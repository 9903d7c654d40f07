# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    ZONE,
    changed,
    coalesced,
    defaults_of,
    joined,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.record import (
    accumulated,
    difference,
    parse_record,
    reverted,
)

ports = st.builds(
    lambda first, more, protocol: (
        f"{first}-{first + more}/{protocol}" if more else f"{first}/{protocol}"
    ),
    st.integers(1, 40),
    st.integers(0, 10),
    st.sampled_from(["tcp", "udp"]),
)
port_lists = st.lists(ports, max_size=6).map(tuple)
services = st.lists(st.sampled_from("abcd"), unique=True, max_size=4).map(tuple)
zones = st.builds(
    lambda services, ports, masquerade, target: {
        **defaults_of(ZONE),
        "services": services,
        "ports": coalesced(ports),
        "masquerade": masquerade,
        "target": target,
    },
    services,
    port_lists,
    st.booleans(),
    st.sampled_from(["default", "ACCEPT", "DROP"]),
)


@given(zones, zones)
def test_a_difference_taken_back_gives_what_was(
    before: dict[str, t.Any], after: dict[str, t.Any]
) -> None:
    back = reverted(ZONE, after, difference(ZONE, before, after))
    assert changed(ZONE, before, back) == {}


@given(zones, zones, zones)
def test_what_others_added_meanwhile_stays(
    before: dict[str, t.Any], after: dict[str, t.Any], theirs: dict[str, t.Any]
) -> None:
    both = {**after, "services": joined("words", after["services"], theirs["services"])}
    back: t.Mapping[str, t.Any] = reverted(ZONE, both, difference(ZONE, before, after))
    kept = set(theirs["services"]) - (set(after["services"]) - set(before["services"]))
    assert kept <= set(back["services"])


@given(zones, zones, zones)
def test_taking_back_two_changes_at_once_gives_what_was(
    before: dict[str, t.Any], first: dict[str, t.Any], second: dict[str, t.Any]
) -> None:
    # A later difference is counted from how it was before the earlier one.
    earlier, later = difference(ZONE, before, first), difference(ZONE, before, second)
    for reached in (first, second):
        back = reverted(ZONE, reached, accumulated(ZONE, earlier, later))
        assert changed(ZONE, before, back) == {}


def test_a_scalar_that_somebody_changed_since_is_theirs() -> None:
    before = defaults_of(ZONE)
    deltas = difference(ZONE, before, {**before, "target": "ACCEPT"})
    assert reverted(ZONE, {**before, "target": "DROP"}, deltas)["target"] == "DROP"


def test_a_damaged_record_is_no_reason_to_guess() -> None:
    with pytest.raises(Failure, match="no record of changes"):
        parse_record("/var/lib/x.json", '{"changed": [{"kind": "zone"}]}')
