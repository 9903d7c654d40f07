# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import (
    Bound,
    Rules,
    bound_in,
    named_in,
    rules_of,
    settings_of,
    wanted_of,
)


def entry(**said: t.Any) -> dict[str, t.Any]:
    return {
        "name": "web",
        "image": None,
        "state": "started",
        "users": [],
        "users_shell": None,
        "users_linger": [],
        "users_allow_system": False,
        "settings": None,
        **said,
    }


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"users": [""]}, "it is empty"),
        ({"users": [" "]}, "it is empty"),
        ({"users": ["1000"]}, "it is a number"),
        ({"users": ["root"]}, "maps no user root"),
        ({"users": ["nobody"]}, "maps no user nobody"),
        ({"users": ["a b"]}, "has such a name"),
        ({"users": ["alan\n"]}, "has such a name"),
        ({"users": ["../alan"]}, "has such a name"),
        ({"users": ["-alan"]}, "has such a name"),
        ({"users": ["alan:x"]}, "has such a name"),
        ({"users": ["alan", "bea", "alan"]}, "alan is named more than once"),
        ({"users": ["alan"], "users_linger": ["bea"]}, "bea is not among its users"),
        ({"users": ["alan"], "users_shell": "zsh"}, "is no shell"),
        ({"users": ["alan"], "users_shell": "/"}, "is no shell"),
        ({"users": ["alan"], "users_shell": "/bin/sh\n"}, "is no shell"),
        ({"users": ["alan"], "users_shell": ""}, "is no shell"),
    ],
)
def test_what_can_be_nobodys_name_is_refused(said: dict[str, t.Any], says: str) -> None:
    with pytest.raises(Failure, match=f"machine web: .*{says}"):
        bound_in(entry(**said))


def named(*values: str) -> nspawn_file.Settings:
    return nspawn_file.normalise({"Files": {"BindUser": list(values)}})


def test_users_are_bound_beside_those_whom_the_settings_name() -> None:
    said = entry(users=["alan", "bea"], users_linger=["bea"], users_shell="/bin/zsh")
    bound = bound_in(said, named("grace alan"))
    assert bound.names == ("grace", "alan", "bea") and bound.declared == ("alan", "bea")
    assert bound.linger == {"bea"} and bound.shell == "/bin/zsh"
    settings = settings_of(bound)
    assert settings.values_of("Files", "BindUser") == ("grace", "alan", "bea")
    assert settings.values_of("Files", "BindUserShell") == ("/bin/zsh",)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["root"], "maps no user root"),
        (["alan 1000"], "is a number"),
        (["alan bea", "alan"], "alan is named more than once"),
        (["../alan"], "has such a name"),
    ],
)
def test_whom_the_settings_name_is_looked_at_in_the_same_way(values: list[str], says: str) -> None:
    with pytest.raises(Failure, match=f"machine web: settings, .Files. BindUser=: .*{says}"):
        bound_in(entry(users=["grace"]), named(*values))


@pytest.mark.parametrize(
    ("settings", "command", "names"),
    [
        (None, (), ()),
        ("[Files]\nBindUser=alan grace\nBindUser=alan bea\n", (), ("alan", "grace", "bea")),
        ("[Files]\nBindUser=alan\nBindUser=\nBindUser=bea\n", (), ("bea",)),
        ("[Files]\nBindUserShell=/bin/sh\n# BindUser=alan\n", (), ()),
        ("[Exec]\nBindUser=alan\n", (), ()),
        (None, ("systemd-nspawn", "--bind-user=alan", "--bind-user", "bea"), ("alan", "bea")),
        (None, ("systemd-nspawn", "--bind-user-shell=alan", "--bind-user"), ("",)),
        ("[Files\nBindUser=alan\n", (), ()),
    ],
)
def test_files_name_users_as_systemd_nspawn_reads_them(
    settings: str | None, command: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert named_in(settings, command) == names


def test_who_is_named_in_settings_alone_has_no_service_manager_from_here() -> None:
    with pytest.raises(Failure, match="alan is not among its users"):
        bound_in(entry(users_linger=["alan"]), named("alan"))


@pytest.mark.parametrize(
    ("shell", "values"), [(None, ()), ("/bin/bash", ()), ("host", ("yes",)), ("true", ("yes",))]
)
def test_the_default_shell_needs_no_key(shell: str | None, values: tuple[str, ...]) -> None:
    settings = settings_of(bound_in(entry(users=["alan"], users_shell=shell)))
    assert settings.values_of("Files", "BindUserShell") == values


def test_nobody_needs_no_settings() -> None:
    assert not settings_of(Bound("web", (), frozenset(), "/bin/zsh"))


@pytest.mark.parametrize("roots", [["/"], ["//"], ["home"], [""], [], ["/home", "/.."]])
def test_homes_are_below_folders(roots: list[str]) -> None:
    with pytest.raises(Failure, match="users_home_roots"):
        rules_of(roots, False)


def test_folders_of_homes_are_spelled_in_one_way() -> None:
    assert rules_of(["/home/", "/var//home"], True) == Rules(("/home", "/var/home"), True)


def test_machines_are_named_once() -> None:
    with pytest.raises(Failure, match="web: named more than once"):
        wanted_of([entry(), entry()], Rules())


def test_nobody_is_asked_about_users_of_a_machine_that_goes() -> None:
    wanted = wanted_of([entry(users=["alan"], state="absent")], Rules())
    assert wanted.names == ()
