# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import module as core_module
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure


class Ended(Exception):
    """A module has ended, as AnsibleModule has it end."""


class Module:
    """What of AnsibleModule is asked when a module fails."""

    def __init__(self) -> None:
        self.said: dict[str, t.Any] = {}

    def fail_json(self, **said: t.Any) -> t.NoReturn:
        self.said = said
        raise Ended


def failed(failure: Failure) -> dict[str, t.Any]:
    module = Module()

    def body() -> dict[str, t.Any]:
        raise failure

    with pytest.raises(Ended):
        core_module.run(t.cast("t.Any", module), body)
    return module.said


def test_what_a_machine_has_said_does_nothing_to_the_screen_that_shows_the_failure() -> None:
    failure = Failure("web said: \x1b[2Jall is well\n\u202e", rc=1)
    failure.__cause__ = OSError(5, "\x9bm")
    said = failed(failure)
    assert said["msg"] == "web said: \\x1b[2Jall is well\n\\u202e"
    assert str(said["exception"]) == said["msg"]
    assert said["exception"].__cause__ is None
    assert said["rc"] == 1


def test_a_failure_that_is_plain_is_told_with_its_cause() -> None:
    failure = Failure("web did not start")
    failure.__cause__ = KeyError("web")
    said = failed(failure)
    assert said["exception"] is failure
    assert said["exception"].__cause__ is not None
