# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    Step,
    describe,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.connections import (
    Connection,
    Seen,
    Zones,
    around,
    check,
    contested,
    leaving,
    listed,
    moved,
    plan,
    wanted,
)
from ansible_collections.nspawn.machined.plugins.module_utils._firewalld.model import (
    ZONE,
    Key,
    freeze,
)

UUID = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "11111111-2222-3333-4444-555555555555"
SUBJECT = "zones of connections for it"

ZONES = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "work", "home"]))


def seen(now: Zones, before: Zones, recording: str | None = "it") -> Seen:
    return Seen({name: Connection(UUID, zone) for name, zone in now.items()}, before, recording)


def test_the_zone_that_was_is_remembered_before_it_changes() -> None:
    assert describe(plan(seen({"vpn": "home"}, {}), {"vpn": "work"})) == [
        f"remember {SUBJECT}",
        "assign connection vpn",
    ]


def test_what_is_not_wanted_any_more_gets_its_zone_back_and_is_forgotten() -> None:
    back = plan(seen({"vpn": "work"}, {"vpn": ""}), {})
    assert describe(back) == ["assign connection vpn", f"forget {SUBJECT}"]
    assert back[0].arguments["zone"] == ""
    assert back[1].arguments["zones"] == {}


def test_a_connection_that_is_gone_is_forgotten() -> None:
    assert describe(plan(seen({}, {"vpn": "home"}), {})) == [f"remember {SUBJECT}"]


def test_without_a_record_nothing_is_remembered() -> None:
    assert describe(plan(seen({"vpn": ""}, {}, None), {"vpn": "work"})) == ["assign connection vpn"]


@given(ZONES, ZONES, ZONES)
def test_a_second_run_has_nothing_to_do_and_nothing_wanted_gives_all_back(
    first: dict[str, str], before: dict[str, str], zones: dict[str, str]
) -> None:
    now = {**dict.fromkeys((*before, *zones), "public"), **first}
    state: dict[str, t.Any] = {"now": now, "before": before}

    def carry_out(goal: Zones) -> None:
        for step in plan(seen(state["now"], state["before"]), goal):
            if step.verb == "assign":
                name = step.subject.removeprefix("connection ")
                state["now"] = {**state["now"], name: step.arguments["zone"]}
            else:
                state["before"] = step.arguments["zones"]

    carry_out(zones)
    assert {name: state["now"][name] for name in zones} == zones
    assert plan(seen(state["now"], state["before"]), zones) == ()
    carry_out({})
    assert state["now"] == {**now, **before}
    assert state["before"] == {}


@pytest.mark.parametrize(
    ("zones", "there", "message"),
    [
        ({"vpn": "wrok"}, {"work", "home"}, r"vpn: there is no zone wrok .*did you mean work\?"),
        ({"vpn": "x"}, {"home"}, "declare it .* or name one of: home"),
        ({"vpn": "x"}, set(), "firewalld is not installed on this host"),
    ],
)
def test_a_zone_that_will_not_be_there_is_refused(
    zones: Zones, there: set[str], message: str
) -> None:
    with pytest.raises(Failure, match=message):
        check(zones, there)


def test_the_default_zone_and_one_that_will_be_there_are_taken() -> None:
    check({"vpn": "work", "lan": ""}, {"work"})


@pytest.mark.parametrize(
    ("goal", "bound", "told"),
    [
        ("work", {"work": ["tun0"]}, []),
        ("work", {"home": ["tun0"]}, ["tun0 is in two zones: in work"]),
        ("", {"public": ["tun0"]}, []),
        ("", {"home": ["tun0"]}, ["tun0 is in two zones: in public"]),
        ("work", {"home": ["tun1", "tun+"]}, []),
    ],
)
def test_a_link_that_a_zone_claims_differently_is_told(
    goal: str, bound: dict[str, list[str]], told: list[str]
) -> None:
    one = Connection(UUID, "", ("tun0",))
    found = list(contested(Seen({"vpn": one}), {"vpn": goal}, bound, "public"))
    assert [line.partition(" by ")[0] for line in found] == told
    others = Seen(others={"vpn": Connection(UUID, goal, ("tun0",))})
    found = list(contested(others, {}, bound, "public"))
    assert [line.partition(" by ")[0] for line in found] == told


def test_zones_are_made_before_connections_are_put_into_them_and_go_after() -> None:
    now = seen({"a": "gone", "b": "", "c": ""}, {"c": "home"})
    zones = (Step("delete", "zone gone", {}), Step("create", "zone new", {}))
    steps = around(plan(now, {"a": "home", "b": "new"}), zones, {"gone", "home"})
    assert describe(steps) == [
        f"remember {SUBJECT}",
        "assign connection a",
        "assign connection c",
        "delete zone gone",
        "create zone new",
        "assign connection b",
        f"forget {SUBJECT}",
    ]


def test_a_name_of_two_lines_stays_one_name() -> None:
    text = f"{UUID}:office\n{OTHER}:a\nb:c\n"
    assert listed(text) == {"office": [UUID], "a\nb:c": [OTHER]}


def test_two_connections_of_one_name_are_both_seen() -> None:
    assert listed(f"{UUID}:office\n{OTHER}:office\n") == {"office": [UUID, OTHER]}
    assert listed("") == {}


@pytest.mark.parametrize(
    "given_zones", [{"": "work"}, {"a\nb": "work"}, {"\x1b[2J": "work"}, {1: "work"}]
)
def test_what_is_no_name_of_a_connection_is_refused(given_zones: t.Any) -> None:
    with pytest.raises(Failure, match="no name of a connection"):
        wanted({"connections": given_zones})


@pytest.mark.parametrize("zone", ["a b", "work\n", "work\0", "-\n-", 7, ["work"]])
def test_what_is_no_name_of_a_zone_is_refused(zone: t.Any) -> None:
    with pytest.raises(Failure, match="no name of a zone"):
        wanted({"connections": {"vpn": zone}})


def test_no_zone_stands_for_the_default_zone() -> None:
    assert wanted({"connections": {"a": None, "b": "", "c": "work"}}) == {
        "a": "",
        "b": "",
        "c": "work",
    }


# --- what zones find ------------------------------------------------------------------------


def zone(name: str) -> Key:
    return Key(ZONE, name)


def assigned(goal: str) -> tuple[Step, ...]:
    one = Connection(UUID, "public", ("vpn0",), ("vpn0",))
    return plan(Seen({"vpn": one}), {"vpn": goal})


@pytest.mark.parametrize("goal", ["work", ""])
def test_a_link_is_where_its_connection_takes_it(goal: str) -> None:
    live = {zone("home"): freeze({"interfaces": ("vpn0", "eth0")})}
    found = moved(assigned(goal), live, {"home", "work", "public"}, "public")
    assert found[zone(goal or "public")]["interfaces"] == ("vpn0",)
    assert found[zone("home")]["interfaces"] == ("eth0",)
    assert leaving(assigned(goal), {"work"}) == frozenset()


def test_a_link_stays_until_its_zone_is_made() -> None:
    live = {zone("public"): freeze({"interfaces": ("vpn0",)})}
    assert moved(assigned("work"), live, {"public"}, "public") == live
    assert leaving(assigned("work"), {"public"}) == {"vpn0"}
