# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import pathlib
import time
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import deputy
from ansible_collections.nspawn.machined.plugins.module_utils._core.deputy import Account, Deputy
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure

SOMEBODY = Account(4321, 4322, "somebody", "/nowhere")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(name="someone")
def _someone() -> t.Iterator[Deputy]:
    # Who is not root can only be a deputy of himself.
    account = SOMEBODY if os.geteuid() == 0 else deputy.account_of(os.geteuid())
    with Deputy(account) as found:
        yield found


def who() -> list[t.Any]:
    return [list(os.getresuid()), list(os.getresgid()), os.getgroups()]


def powers() -> list[t.Any]:
    found = []
    for call in (lambda: os.setuid(0), lambda: os.chroot("/"), lambda: os.chown("/", 0, 0)):
        try:
            call()
        except PermissionError:
            continue
        found.append("done")
    return found


def surroundings() -> dict[str, t.Any]:
    return {"cwd": os.getcwd(), "environment": dict(os.environ)}


def text_of(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def refusing() -> None:
    raise Failure("it is not to be", path="/x")


def broken() -> None:
    raise ValueError("no good")


def ending() -> None:
    os._exit(0)


@AS_ROOT
def test_it_is_somebody_else_and_cannot_come_back(someone: Deputy) -> None:
    assert someone.call(who) == [[4321] * 3, [4322] * 3, [4322]]
    assert someone.call(powers) == []
    assert os.getresuid() == (0, 0, 0)


@AS_ROOT
def test_it_reads_what_the_user_may_read_and_nothing_else(
    someone: Deputy, tmp_path: pathlib.Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("word")
    secret.chmod(0o600)
    with pytest.raises(Failure, match="Permission denied"):
        someone.call(text_of, str(secret))


def test_nothing_of_the_module_comes_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("SECRET", "word")
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with Deputy(deputy.account_of(os.geteuid())) as found:
            around = found.call(surroundings)
            lock.close()
            with (tmp_path / "lock").open() as again:
                fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert around["cwd"] == "/"
    assert "SECRET" not in around["environment"]
    assert {"HOME", "USER", "LOGNAME"} <= set(around["environment"])


def test_what_it_fails_in_is_raised_here(someone: Deputy) -> None:
    with pytest.raises(Failure, match="it is not to be") as raised:
        someone.call(refusing)
    assert raised.value.details == {"path": "/x"}
    with pytest.raises(Failure, match="no good"):
        someone.call(broken)
    with pytest.raises(Failure, match="/no/such/file: No such file"):
        someone.call(text_of, "/no/such/file")
    assert someone.call(os.path.basename, "/a/b") == "b"


def test_names_that_are_no_text_come_back_as_they_were(someone: Deputy) -> None:
    name = "a\udcff\n\0é"
    assert someone.call(str, name) == name


def test_it_is_not_waited_for_for_ever(someone: Deputy) -> None:
    begun = time.monotonic()
    with pytest.raises(Failure, match=r"sleep as user \S+ did not end within 0.2 s"):
        someone.call(time.sleep, 30, patience=0.2)
    someone.close()
    assert time.monotonic() - begun < 10
    with pytest.raises(Failure, match="was broken off"):
        someone.call(os.getpid)


def test_its_end_is_told(someone: Deputy) -> None:
    with pytest.raises(Failure, match=r"ending as user \S+ was broken off"):
        someone.call(ending)


def test_it_ends_with_whoever_started_it(someone: Deputy) -> None:
    process = someone.call(os.getpid)
    someone.close()
    assert not os.path.exists(f"/proc/{process}")


@AS_ROOT
def test_powers_that_do_not_go_with_the_number_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deputy, "_has_capabilities", lambda: True)
    with Deputy(SOMEBODY) as found, pytest.raises(Failure, match="Nothing was done"):
        found.call(who)


def test_accounts_are_found_by_name_and_by_number() -> None:
    assert deputy.account("root") == deputy.account_of(0)
    assert deputy.account("nobody-at-all") is None
    assert deputy.account("nobody\0at all") is None
    assert deputy.account_of(4321).uid == 4321
