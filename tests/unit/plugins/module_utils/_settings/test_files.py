# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._settings import (
    files as settings_files,
)
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._settings.files import Seen, Wanted

WEB = "/etc/systemd/nspawn/web.nspawn"


def params(**given: t.Any) -> dict[str, t.Any]:
    nothing = {"settings": None, "exclusive": False, "defaults": False, "state": "present"}
    return {"name": ["web"], **nothing, **given}


def wanted(**given: t.Any) -> Wanted:
    return settings_files.wanted_of(params(**given), 257)


ZONE = {"Network": {"Zone": "shop"}}


def test_a_missing_file_is_written_and_then_left_alone() -> None:
    wish = wanted(settings=ZONE)
    (step,) = settings_files.plan([Seen("web")], wish)
    assert (step.identity, step.before) == (f"write {WEB}", None)
    assert step.after == step.arguments["text"] == "[Network]\nZone=shop\n"
    assert settings_files.plan([Seen("web", step.after)], wish) == ()


def test_each_machine_has_a_step_of_its_own() -> None:
    wish = wanted(name=["web", "db", "web"], settings=ZONE)
    assert wish.names == ("web", "db")
    plan = settings_files.plan([Seen("web"), Seen("db", "[Network]\nZone=shop\n")], wish)
    assert [step.identity for step in plan] == [f"write {WEB}"]


def test_a_file_that_would_say_nothing_is_not_made_but_an_emptied_one_stays() -> None:
    wish = wanted(settings={"Network": {"Zone": None}})
    assert settings_files.plan([Seen("web")], wish) == ()
    (step,) = settings_files.plan([Seen("web", "[Network]\nZone=shop\n")], wish)
    assert step.after == ""


def test_absent_removes_the_whole_file() -> None:
    (step,) = settings_files.plan([Seen("web", "[Exec]\n")], wanted(state="absent"))
    assert (step.identity, step.after) == (f"remove {WEB}", None)
    assert settings_files.plan([Seen("web")], wanted(state="absent")) == ()


def test_the_mode_that_a_person_gave_a_file_is_kept() -> None:
    (step,) = settings_files.plan([Seen("web", "", mode=0o600)], wanted(settings=ZONE))
    assert step.arguments["mode"] == 0o600


@pytest.mark.parametrize(
    ("seen", "restart"),
    [
        (Seen("web"), False),
        (Seen("web", running=True), True),
        (Seen("web", "[Network]\nZone=shop\n", running=True), False),
        (Seen("web", "[Network]\nZone=shop\n", running=True, outdated=True), True),
    ],
)
def test_a_restart_is_needed_where_a_machine_runs_with_an_older_file(
    seen: Seen, restart: bool
) -> None:
    wish = wanted(settings=ZONE)
    plan = settings_files.plan([seen], wish)
    result = settings_files.result([seen], wish, plan, {})
    assert result["restart_needed"] == (["web"] if restart else [])
    assert result["machines"]["web"]["settings"] == {"Network": {"Zone": ["shop"]}}


def test_a_file_that_is_not_read_any_more_is_named() -> None:
    seen = Seen("web", shadowed="/var/lib/machines/web.nspawn")
    (warning,) = settings_files.warnings([seen], wanted(settings=ZONE), 257)
    assert warning.startswith("/var/lib/machines/web.nspawn is not read any more")
    assert not settings_files.warnings([seen], wanted(settings={"Exec": {"User": None}}), 257)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": []}, "at least one machine"),
        ({"name": ["../x"], "settings": ZONE}, "machine name"),
        ({"settings": {}}, "at least one section"),
        ({"state": "absent", "settings": ZONE}, "takes away the whole file"),
        ({"state": "absent", "defaults": True}, "takes away the whole file"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, t.Any], says: str) -> None:
    with pytest.raises(Failure, match=says):
        wanted(**given)


@hypothesis_settings(max_examples=1000, deadline=None)
@given(st.lists(st.text(max_size=70) | st.from_regex(r"[a-z./-]{1,8}"), max_size=2))
def test_no_name_leads_out_of_the_directory(names: list[str]) -> None:
    try:
        wish = wanted(name=names, settings=ZONE)
    except Failure:
        return
    for name in wish.names:
        directory, slash, file = nspawn_file.path_of(name).rpartition("/")
        assert (directory, slash) == ("/etc/systemd/nspawn", "/")
        assert file == f"{name}.nspawn" and not file.startswith(".")
