# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._access.private_users import (
    TEMPLATE_COMMAND,
    Facts,
    command_in,
    why_shared,
)

NSPAWN = ("/usr/bin/systemd-nspawn", "--quiet", "--boot")
OVERRIDE = (*NSPAWN, "--settings=override")
TEMPLATE = (*OVERRIDE, "-U", "--machine=lab")


def settings(value: str | None, ownership: str | None = None) -> str:
    text = "" if value is None else f"[Exec]\nPrivateUsers={value}\n"
    return text if ownership is None else f"{text}[Files]\n{ownership}\n"


def test_the_vendor_s_template_has_private_users() -> None:
    assert why_shared(Facts(command=TEMPLATE)) is None
    assert why_shared(Facts()) is None


@pytest.mark.parametrize(
    "text",
    [
        settings("pick"),
        settings("pick", "PrivateUsersOwnership=auto"),
        settings("524288:65536"),
        settings("65536"),
        "[Exec]\nPrivateUsers=no\nPrivateUsers=pick\n",
        "[Exec]\nBoot=yes\n",
        # What systemd-nspawn cannot read it ignores, and the template's -U counts.
        settings("picck"),
    ],
)
def test_settings_that_leave_users_private(text: str) -> None:
    assert why_shared(Facts(text, command=TEMPLATE)) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (settings("no"), "PrivateUsers=no"),
        (settings("False"), "PrivateUsers=False"),
        # In the file, unlike on the command line, these are booleans.
        (settings("0"), "PrivateUsers=0"),
        (settings("1"), "users of its image"),
        (settings("yes"), "users of its image"),
        (settings("identity"), "PrivateUsers=identity"),
        (settings("0:65536"), "PrivateUsers=0:65536"),
        (settings("1000"), "PrivateUsers=1000"),
        (settings("65535:65536"), "PrivateUsers=65535"),
        ("[Exec]\nPrivateUsers=pick\nPrivateUsers=no\n", "PrivateUsers=no"),
        (settings(None, "PrivateUsersOwnership=auto"), "turns private users off"),
        (settings(None, "PrivateUsersChown=yes"), "turns private users off"),
        (settings("picck", "PrivateUsersOwnership=auto"), "turns private users off"),
        ("[Exec", "cannot be read"),
    ],
)
def test_settings_that_make_root_the_host_s(text: str, says: str) -> None:
    reason = why_shared(Facts(text, command=TEMPLATE))
    assert reason is not None and says in reason


def test_users_managed_by_systemd_are_private_from_the_version_that_knows_them() -> None:
    text = settings("managed", "PrivateUsersOwnership=foreign")
    assert why_shared(Facts(text, command=TEMPLATE, version=261)) is None
    assert why_shared(Facts(text, command=TEMPLATE, version=257)) is not None


@pytest.mark.parametrize(
    ("uid", "says"), [(None, "cannot be seen"), (0, "the host's"), (1000, "the host's")]
)
def test_the_users_of_an_image_are_private_only_if_it_can_be_seen(
    uid: int | None, says: str
) -> None:
    reason = why_shared(Facts(settings("yes"), command=TEMPLATE, image_uid=uid))
    assert reason is not None and says in reason


def test_an_image_that_belongs_to_users_of_its_own_keeps_them_private() -> None:
    assert why_shared(Facts(settings("yes"), command=TEMPLATE, image_uid=0x80000)) is None


@pytest.mark.parametrize(
    "flags",
    [
        ("-U",),
        ("-bU",),
        ("-Uq",),
        ("-bqUn",),
        ("-UM", "lab"),
        ("--private-users=pick",),
        ("--private-users=524288:65536",),
        ("--private-users=524288",),
    ],
)
def test_commands_that_leave_users_private(flags: tuple[str, ...]) -> None:
    assert why_shared(Facts(command=(*OVERRIDE, *flags))) is None


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "no -U"),
        # These are the values of other options.
        (("-MU",), "no -U"),
        (("-bDU",), "no -U"),
        (("--machine=-U",), "no -U"),
        (("--private-users=no",), "--private-users=no"),
        (("--private-users=0",), "--private-users=0"),
        (("--private-users=identity",), "--private-users=identity"),
        (("--private-users",), "users of its image"),
        (("--private-users=yes",), "users of its image"),
        (("--private-users=unheard-of",), "unheard-of"),
        # Which of the two is the value of another option is not known here.
        (("--private-users=no", "-U"), "--private-users=no"),
        (("-U", "--private-users=no"), "--private-users=no"),
    ],
)
def test_commands_that_make_root_the_host_s(flags: tuple[str, ...], says: str) -> None:
    reason = why_shared(Facts(command=(*OVERRIDE, *flags)))
    assert reason is not None and says in reason


def test_settings_beat_the_command_with_override_only() -> None:
    flags = ("--private-users=no",)
    assert why_shared(Facts(settings("pick"), command=(*OVERRIDE, *flags))) is None
    for mode in ((), ("--settings=yes",), ("--settings=trusted",), ("--settings=no",)):
        assert why_shared(Facts(settings("pick"), command=(*NSPAWN, *mode, *flags))) is not None


def test_settings_fill_in_what_the_command_leaves_open() -> None:
    for mode in ((), ("--settings=yes",), ("--settings", "trusted"), ("--settings=override",)):
        assert why_shared(Facts(settings("pick"), command=(*NSPAWN, *mode))) is None
    assert why_shared(Facts(settings("pick"), command=(*NSPAWN, "--settings", "no"))) is not None


def test_settings_that_systemd_does_not_trust_do_not_count() -> None:
    beside = Facts(settings("pick"), trusted=False, command=OVERRIDE)
    assert "no -U" in (why_shared(beside) or "")
    beside = Facts(settings("no"), trusted=False, command=TEMPLATE)
    assert why_shared(beside) is None
    trusted_anyway = (*NSPAWN, "--settings=trusted")
    assert why_shared(Facts(settings("pick"), trusted=False, command=trusted_anyway)) is None


@pytest.mark.parametrize("command", [(), ("/bin/sh", "-c", "systemd-nspawn -U"), ("/usr/bin/env",)])
def test_a_unit_that_runs_something_else_tells_nothing(command: tuple[str, ...]) -> None:
    assert "cannot be known" in (why_shared(Facts(settings("pick"), command=command)) or "")


@pytest.mark.parametrize(
    ("uid_map", "says"),
    [
        ("         0          0 4294967295\n", "its root is root of the host"),
        ("0 1000 1\n1 100000 65536\n", "its root is user 1000 of the host"),
    ],
)
def test_what_runs_counts_more_than_what_would(uid_map: str, says: str) -> None:
    reason = why_shared(Facts(settings("pick"), command=TEMPLATE, uid_map=uid_map))
    assert reason is not None and says in reason


def test_a_machine_that_runs_with_users_of_its_own_may_not_have_them_after_its_next_start() -> None:
    uid_map = "         0     524288      65536\n"
    assert why_shared(Facts(settings("pick"), command=TEMPLATE, uid_map=uid_map)) is None
    assert why_shared(Facts(settings("no"), command=TEMPLATE, uid_map=uid_map)) is not None


@pytest.mark.parametrize(
    ("drop_in", "command"),
    [
        (None, TEMPLATE_COMMAND),
        ("", TEMPLATE_COMMAND),
        ("[Service]\nMemoryMax=1G\n", TEMPLATE_COMMAND),
        ("[Service]\nExecStart=\nExecStart=-/usr/bin/x -M 'a b'\n", ("/usr/bin/x", "-M", "a b")),
        ("[Service]\nExecStart=\nExecStart=x 'a\n", ()),
    ],
)
def test_the_command_of_a_unit_is_that_of_its_drop_in_or_of_the_template(
    drop_in: str | None, command: tuple[str, ...]
) -> None:
    assert command_in(drop_in) == command
