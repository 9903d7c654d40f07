# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._access.rules import (
    parse,
    render,
    without,
)
from ansible_collections.nspawn.machined.plugins.module_utils._access.wanted import (
    EVERY,
    RIGHTS,
    ROOT_SHELL,
    Grant,
)
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure

# As much of polkit as a rule can see, for the engine that polkit has in it.
POLKIT = """
var rules = [];
var polkit = {Result: {YES: "yes", NO: "no", NOT_HANDLED: null}, addRule: function (rule) {
    rules.push(rule);
}};
function answer(call) {
    var action = {id: call.id, lookup: function (name) { return call.details[name]; }};
    var subject = {user: call.user, groups: call.groups, isInGroup: function (group) {
        return call.groups.indexOf(group) >= 0;
    }};
    return rules.map(function (rule) {
        try { return rule(action, subject); } catch (error) { return "threw " + error; }
    });
}
"""

UNITS = "org.freedesktop.systemd1.manage-units"
MACHINES = "org.freedesktop.machine1.manage-machines"
INSPECT = "org.freedesktop.machine1.inspect-machines"
LOGIN = "org.freedesktop.machine1.login"
SHELL = "org.freedesktop.machine1.shell"
IDS = (
    UNITS,
    MACHINES,
    INSPECT,
    LOGIN,
    SHELL,
    "org.freedesktop.systemd1.manage-unit-files",
    "org.freedesktop.machine1.manage-images",
    "org.freedesktop.machine1.host-shell",
    "org.freedesktop.machine1.open-pty",
)


class Call(t.NamedTuple):
    """What polkit is asked: by whom, what, and with which details."""

    id: str
    details: t.Mapping[str, t.Any]
    user: t.Any = "alan"
    groups: tuple[str, ...] = ("alan",)


def answers(text: str, calls: t.Sequence[Call], directory: Path) -> list[bool]:
    """Whether the rules of a text say yes to each call; anything but that must be silence."""
    script = directory / "rules.js"
    asked = json.dumps([call._asdict() for call in calls])
    script.write_text(
        f"{POLKIT}\n{text}\nprint(JSON.stringify({asked}.map(answer)));\n", encoding="utf-8"
    )
    done = subprocess.run(["duk", script], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert all(answer in (["yes"], [None]) for answer in found), found
    return [answer == ["yes"] for answer in found]


def allowed(grants: t.Iterable[Grant], call: Call) -> bool:
    """The same, said in another way: each right as the exact details that it is asked with."""
    return any(
        call.id == identity and all(call.details.get(key) == value for key, value in details)
        for grant in grants
        if call.user in grant.users or set(call.groups) & set(grant.groups)
        for right in grant.may
        for identity, details in exactly(grant.machine, right, call.user)
    ) and not (call.id == UNITS and "transient" in str(call.details.get("polkit.message", "")))


def exactly(
    machine: str, right: str, user: str
) -> t.Iterator[tuple[str, tuple[tuple[str, t.Any], ...]]]:
    unit = f"systemd-nspawn@{machine}.service"
    if right in ("start", "stop", "restart"):
        yield UNITS, (("unit", unit), ("verb", right))
    for name in ((("machine", machine),), (("machine", None), ("name", machine))):
        if right in ("kill", "terminate"):
            yield MACHINES, (*name, ("verb", right))
        if right == "status":
            yield INSPECT, name
        if right == "login":
            yield LOGIN, name
        if right == "shell":
            yield SHELL, (*name, ("user", user))
        # Root, were he to ask, would ask for a shell as himself.
        if right == ROOT_SHELL and user != "root":
            yield SHELL, (*name, ("user", "root"))


# --- the file -------------------------------------------------------------------------------

NAMES = ("lab", "lab2", "lab-x", "la", "LAB", "lab.service", "constructor", "toString", "transient")
PEOPLE = ("alan", "ala", "alan2", "eve", "root", "__proto__", "constructor", "a\\b", "domain users")

table = st.lists(
    st.builds(
        Grant,
        machine=st.sampled_from(NAMES),
        users=st.sets(st.sampled_from(PEOPLE), max_size=3).map(sorted).map(tuple),
        groups=st.sets(st.sampled_from(PEOPLE), max_size=2).map(sorted).map(tuple),
        may=st.sets(st.sampled_from(EVERY), min_size=1).map(
            lambda may: tuple(right for right in EVERY if right in may)
        ),
    ),
    max_size=4,
    unique_by=lambda grant: grant.machine,
)


@given(table)
def test_a_table_comes_back_as_it_was_written(grants: list[Grant]) -> None:
    assert parse(render(grants)) == tuple(sorted(grants, key=lambda grant: grant.machine))


@given(table, st.randoms())
def test_the_order_in_which_machines_are_named_makes_no_difference(
    grants: list[Grant], random: t.Any
) -> None:
    shuffled = list(grants)
    random.shuffle(shuffled)
    assert render(shuffled) == render(grants)


LAB = Grant("lab", users=("alan",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "polkit.addRule(function () {});\n",
        render([LAB]) + "// more\n",
        render([LAB]).replace("return null", 'return "start"', 1),
        render([LAB]).replace('"users"', '"people"'),
        render([LAB]).replace('"machine": "lab"', '"machine": 1'),
        render([LAB]).replace('["alan"]', "5"),
        render([LAB]).replace('{"machine"', '["machine"'),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_not_believed(text: str) -> None:
    with pytest.raises(Failure, match="is not as nspawn"):
        parse(text)


def test_the_rights_to_a_machine_go_with_it() -> None:
    web = Grant("web", groups=("staff",))
    text = render([LAB, web])
    assert without(text, ["web", "nosuch"]) == render([LAB])
    assert without(text, ["lab", "web"]) is None
    assert without(None, ["lab"]) is None


# --- the rules, in the engine ---------------------------------------------------------------

GRANTS = [Grant("lab", users=("alan",), groups=("staff",))]


def unit(name: str, verb: t.Any = "start", **details: t.Any) -> Call:
    return Call(UNITS, {"unit": name, "verb": verb, **details})


GRANTED = [
    *(unit("systemd-nspawn@lab.service", verb) for verb in ("start", "stop", "restart")),
    Call(MACHINES, {"machine": "lab", "verb": "kill"}),
    Call(MACHINES, {"name": "lab", "verb": "terminate"}),
    Call(INSPECT, {"machine": "lab", "verb": "get_os_release"}),
    Call(INSPECT, {"name": "lab"}),
    Call(LOGIN, {"machine": "lab", "verb": "login"}),
    Call(SHELL, {"machine": "lab", "user": "alan", "program": "/bin/sh"}),
    Call(SHELL, {"machine": "lab", "user": "bea"}, "bea", ("bea", "staff")),
    unit("systemd-nspawn@lab.service", **{"polkit.message": "required to start '$(unit)'."}),
]
NOT_GRANTED = [
    unit("systemd-nspawn@lab2.service"),
    unit("systemd-nspawn@lab-x.service"),
    unit("systemd-nspawn@lab.timer"),
    unit("systemd-nspawn@lab.service\n"),
    unit("xsystemd-nspawn@lab.service"),
    unit("systemd-nspawn@lab_service"),
    unit("lab"),
    unit("systemd-nspawn@lab.service", "set-property"),
    unit("systemd-nspawn@lab.service", "restart "),
    unit("systemd-nspawn@lab.service", None),
    unit("systemd-nspawn@lab.service", ["start"]),
    unit("systemd-nspawn@lab.service", **{"polkit.message": "start transient unit '$(unit)'."}),
    Call(UNITS, {}),
    Call(UNITS, {"verb": "start"}),
    Call(MACHINES, {"machine": "lab", "verb": "bind"}),
    Call(MACHINES, {"machine": "lab", "verb": "copy"}),
    Call(MACHINES, {"machine": "lab", "verb": "open_root_directory"}),
    Call(MACHINES, {"machine": "lab"}),
    Call(MACHINES, {"machine": "lab2", "name": "lab", "verb": "kill"}),
    Call(MACHINES, {"image": "lab", "verb": "kill"}),
    Call(LOGIN, {}),
    Call(SHELL, {"machine": "lab", "user": "root"}),
    Call(SHELL, {"machine": "lab", "user": "eve"}),
    Call(SHELL, {"machine": "lab"}),
    Call(SHELL, {"machine": "lab", "user": 5}, user=5),
    Call(SHELL, {"machine": "lab", "user": "alan"}, user="eve"),
    Call(SHELL, {"machine": "lab", "user": ""}, user=""),
    Call(LOGIN, {"machine": "lab"}, user=None),
    Call("org.freedesktop.machine1.manage-images", {"machine": "lab", "verb": "kill"}),
    Call("org.freedesktop.machine1.open-pty", {"machine": "lab"}),
    Call("org.freedesktop.systemd1.manage-unit-files", {}),
]


def test_what_is_granted_is_and_nothing_else(tmp_path: Path) -> None:
    found = answers(render(GRANTS), [*GRANTED, *NOT_GRANTED], tmp_path)
    assert found == [True] * len(GRANTED) + [False] * len(NOT_GRANTED)


def test_without_a_right_the_same_calls_are_left_to_others(tmp_path: Path) -> None:
    for right in RIGHTS:
        may = tuple(other for other in RIGHTS if other != right)
        grants = [Grant("lab", users=("alan",), groups=("staff",), may=may)]
        found = answers(render(grants), GRANTED, tmp_path)
        assert found == [allowed(grants, call) for call in GRANTED]
        assert not all(found)


def test_root_s_shell_is_granted_where_it_was_asked_for_alone(tmp_path: Path) -> None:
    text = render([Grant("lab", users=("alan",), may=(ROOT_SHELL,))])
    calls = [
        Call(SHELL, {"machine": "lab", "user": "root"}),
        Call(SHELL, {"machine": "lab", "user": "alan"}),
        Call(SHELL, {"machine": "lab2", "user": "root"}),
        Call(SHELL, {"machine": "lab", "user": "0"}),
    ]
    assert answers(text, calls, tmp_path) == [True, False, False, False]


strings = st.one_of(
    st.sampled_from(
        [
            *(f"systemd-nspawn@{name}.service" for name in NAMES),
            *NAMES,
            *PEOPLE,
            *RIGHTS,
            "systemd-nspawn@lab.timer",
            "bind",
            "Authentication is required to start transient unit '$(unit)'.",
        ]
    ),
    st.text(max_size=6),
    st.none(),
    st.integers(-1, 1),
)
some_groups = st.sets(st.sampled_from(PEOPLE), max_size=2).map(sorted).map(tuple)
random_calls = st.builds(
    Call,
    id=st.sampled_from(IDS),
    details=st.dictionaries(
        st.sampled_from(["unit", "verb", "machine", "name", "user", "polkit.message"]), strings
    ),
    user=st.sampled_from(PEOPLE),
    groups=some_groups,
)
# As systemd asks, of which random details would hardly ever be an example.
real_calls = st.builds(
    lambda identity, verb, machine, user, as_user, groups: Call(
        identity,
        {
            "verb": verb,
            **(
                {"unit": f"systemd-nspawn@{machine}.service"}
                if identity == UNITS
                else {"machine": machine}
            ),
            **({"user": as_user} if identity == SHELL else {}),
        },
        user,
        groups,
    ),
    st.sampled_from(IDS[:5]),
    st.sampled_from(RIGHTS),
    st.sampled_from(NAMES),
    st.sampled_from(PEOPLE),
    st.sampled_from(PEOPLE),
    some_groups,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@settings(max_examples=50)
@given(grants=table, asked=st.lists(random_calls | real_calls, min_size=1, max_size=12))
def test_the_engine_grants_exactly_what_the_table_says(
    directory: Path, grants: list[Grant], asked: list[Call]
) -> None:
    assert answers(render(grants), asked, directory) == [allowed(grants, call) for call in asked]
