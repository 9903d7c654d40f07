# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import secret

WORD = "pl4nted"
SETTINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "Content": {
        "Environment": (f"TOKEN={WORD}-1", "B=2"),
        "Packages": ("systemd",),
        "RootPassword": (f"{WORD}-2",),
    },
    "Distribution": {"Mirror": (f"http://me:{WORD}@archive.example.org/debian",)},
}


def test_secret_words_are_the_values_of_secret_settings() -> None:
    assert {f"{WORD}-1", f"{WORD}-2"} <= set(secret.values_of(SETTINGS))
    assert "systemd" not in secret.values_of(SETTINGS)


def test_a_configuration_is_shown_without_what_is_secret() -> None:
    text = (
        "[Content]\nEnvironment=TOKEN=pl4nted\n        B=2\nPackages=systemd\n\n"
        "[Distribution]\nMirror=http://me:pl4nted@archive.example.org/debian\n"
    )
    said = secret.shown(text)
    assert WORD not in said
    assert "TOKEN=********" in said
    assert "Packages=systemd" in said
    assert "http://********@archive.example.org" in said


def test_that_a_secret_is_another_one_is_shown() -> None:
    before = "[Content]\nEnvironment=A=1111111\n        B=2\n"
    after = "[Content]\nEnvironment=A=2222222\n        B=2\n"
    assert secret.shown(after, before) == (
        "[Content]\nEnvironment=A=******** (another one)\n        B=********\n"
    )


def test_what_is_no_configuration_is_not_shown() -> None:
    assert secret.shown("Environment=A=secret") == "********\n"


def test_a_remark_may_have_been_a_setting() -> None:
    text = "# RootPassword=pl4nted\n[Content]\nPackages=a # pl4nted\n; pl4nted\n"
    assert secret.shown(text) == "[Content]\nPackages=a\n"


@pytest.mark.parametrize(
    "name", ["KernelCommandLine", "Credentials", "QemuArgs", "SecureBootKey", "Passphrase", "X-Own"]
)
def test_a_setting_is_shown_without_what_may_be_secret_in_it(name: str) -> None:
    assert WORD not in secret.shown(f"[Runtime]\n{name}=a={WORD}\n        {WORD}\n")


@given(st.text(max_size=30), st.text("abc/:@ ", max_size=30))
def test_no_login_is_left_in_a_url(before: str, after: str) -> None:
    assert "me:pl4nted@" not in secret.without_logins(f"{before}http://me:pl4nted@{after}")


def test_words_are_taken_out_wherever_they_stand() -> None:
    assert secret.without(["first-one", "other-one"], "xfirst-one http://a:b@c") == (
        "x******** http://********@c"
    )
