# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import memory
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import builder
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.builder import Builder


@pytest.fixture(autouse=True)
def _runtime(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RUNTIME", str(tmp_path / "runtime"))
    for name in builder.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def words(who: Builder) -> list[str]:
    with builder.words(who, "it.service", cwd="/srv", timeout=5) as found:
        return found


def test_a_unit_ends_a_little_later_than_we_would_end_it() -> None:
    found = words(Builder())
    assert "--property=RuntimeMaxSec=15" in found
    assert not any(word.startswith(("--uid", "--property=Environment")) for word in found)


def test_a_users_unit_runs_as_the_user(somebody: Builder) -> None:
    found = words(somebody)
    assert "--uid=somebody" in found
    assert "--setenv=HOME=/nowhere" in found


def test_proxies_are_given_in_a_file_that_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", 'http://me:pl4nted"$`\\@proxy/')
    with builder.words(Builder(), "it.service", cwd="/srv", timeout=5) as found:
        assert "pl4nted" not in " ".join(found)
        (word,) = [word for word in found if "EnvironmentFile" in word]
        file = pathlib.Path(word.partition("EnvironmentFile=")[2])
        assert file.stat().st_mode & 0o7777 == 0o600
        assert file.read_text() == 'https_proxy="http://me:pl4nted\\"\\$\\`\\\\@proxy/"\n'
    assert not file.exists()
    assert not os.path.exists(memory.RUNTIME)


def test_a_proxy_with_a_line_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy/\nX=1")
    with pytest.raises(Failure, match="control character"):
        words(Builder())


def test_work_is_done_by_who_builds(somebody: Builder) -> None:
    assert Builder().call(os.geteuid) == os.geteuid()
    assert somebody.call(os.geteuid) == 4321
    assert [Builder().is_root, somebody.is_root] == [True, False]


def test_root_needs_nobody_else() -> None:
    with builder.as_user(builder.ROOT) as found:
        assert found.is_root


def test_a_user_whom_the_host_does_not_have_is_named() -> None:
    with pytest.raises(Failure, match="no user 'nobody-at-all'"):
        builder.account_named("nobody-at-all")


def test_words_are_given_on_as_they_are() -> None:
    assert builder.doubled(["a$b", "c"]) == ["a$$b", "c"]


def test_what_is_not_looked_at_may_be_as_long_as_it_likes() -> None:
    argv = ["head", "--bytes=65M", "/dev/zero"]
    assert Builder().run(argv, "it", cwd="/", timeout=60, cut=True).lost
    with pytest.raises(Failure, match="With a part of it nothing was done"):
        Builder().run(argv, "it", cwd="/", timeout=60)
