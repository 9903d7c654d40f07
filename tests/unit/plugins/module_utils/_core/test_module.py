# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib
import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.nspawn.machined.plugins import modules
from ansible_collections.nspawn.machined.plugins.module_utils._core import memory
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


@pytest.mark.parametrize("login", [0o000, 0o077])
def test_what_a_module_makes_does_not_depend_on_how_somebody_logged_in(
    login: int, tmp_path: Path
) -> None:
    def body() -> dict[str, t.Any]:
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "file").touch()
        raise Failure("that was it")

    old = os.umask(login)
    try:
        with pytest.raises(Ended):
            core_module.run(t.cast("t.Any", Module()), body)
    finally:
        os.umask(old)
    paths = (tmp_path / "made", tmp_path / "made" / "file")
    assert [f"{path.stat().st_mode:o}"[-3:] for path in paths] == ["755", "644"]


def test_a_module_refuses_to_run_where_others_write_what_it_would_believe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "DIRECTORY", str(tmp_path))
    tmp_path.chmod(0o777)
    assert "with the mode 0777; expected" in failed(Failure("it has run"))["msg"]


# --- arguments ------------------------------------------------------------------------------

SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "no_log": False},
    "settings": {"type": "dict"},
    "stdin": {"type": "str", "no_log": True},
    "timeout": {"type": "float"},
}
GIVEN = {
    "name": "web",
    "stdin": "planted-stdin",
    "settings": {"Exec": {"Environment": "A=planted-variable"}},
}
NAMES = sorted(
    path.stem for path in Path(modules.__path__[0]).glob("*.py") if path.stem != "__init__"
)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Ansible hands to the journal or to syslog."""
    lines: list[str] = []

    def log(_self: AnsibleModule, msg: str, log_args: object = None) -> None:
        lines.append(f"{msg} {log_args}")

    monkeypatch.setattr(AnsibleModule, "log", log)
    return lines


def ended(capsys: pytest.CaptureFixture[str]) -> dict[str, t.Any]:
    result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
    return result


def run(given: t.Mapping[str, t.Any], body: t.Callable[[core_module.Module], t.Any]) -> None:
    def main() -> None:
        module = core_module.Module(argument_spec=SPEC)
        core_module.run(module, lambda: body(module))

    with patch_module_args(dict(given)), pytest.raises(SystemExit):
        main()


def test_the_journal_is_told_the_keys_of_arguments(logged: list[str]) -> None:
    run(GIVEN, lambda _module: {})
    (line,) = logged
    assert "planted" not in line
    assert '"name": "web"' in line
    assert '"settings": {"Exec": {"Environment": "********"}}' in line


def test_a_result_does_not_give_back_secret_arguments(
    logged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(GIVEN, lambda module: {"changed": module.params["stdin"] == "planted-stdin"})
    result = ended(capsys)
    assert result["changed"] is True
    assert result["invocation"]["module_args"]["name"] == "web"
    assert "planted" not in json.dumps(result)


def test_what_a_command_said_is_returned_as_it_is(
    logged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run({"stdin": "y"}, lambda _module: {"stdout": "yes, it is my way", "path": "/y"})
    result = ended(capsys)
    assert (result["stdout"], result["path"]) == ("yes, it is my way", "/y")


def test_nothing_that_is_returned_or_warned_of_steers_a_terminal(
    logged: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, warning: warned.append(warning))

    def body(module: core_module.Module) -> dict[str, t.Any]:
        module.warn("it said \x1b[2J")
        return {"os": {"na\x9bme": ["\x1b]0;x\x07", 1, None]}, "stdout": "\u202e", "plan": ["a\rb"]}

    run({}, body)
    result = ended(capsys)
    assert result["os"] == {"na\\x9bme": ["\\x1b]0;x\\x07", 1, None]}
    assert (result["stdout"], result["plan"]) == ("\\u202e", ["a\\x0db"])
    assert warned == ["it said \\x1b[2J"]


def test_what_is_documented_as_raw_is_returned_as_it_is(
    logged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def body(module: core_module.Module) -> dict[str, t.Any]:
        module.raw = frozenset(("stdout",))
        raise Failure("\x1b", stdout="\x1b[2J", stderr="\x1b[2J")

    run({}, body)
    result = ended(capsys)
    assert (result["msg"], result["stdout"]) == ("\\x1b", "\x1b[2J")
    assert result["stderr"] == "\\x1b[2J"


def test_no_sentence_has_a_secret_in_it(
    logged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def body(module: core_module.Module) -> dict[str, t.Any]:
        module.warn("perhaps planted-variable")
        details = {"cmd": ["a", "planted-stdin"], "machines": {"web": {"msg": "planted-stdin"}}}
        cause = OSError("planted-variable")
        raise Failure("web: planted-stdin is wrong", **details) from cause

    run(GIVEN, body)
    result = ended(capsys)
    assert result["msg"] == "web: ******** is wrong"
    assert result["machines"] == {"web": {"msg": "********"}}
    assert "planted" not in json.dumps(result)


def test_an_argument_that_is_refused_is_not_told(
    logged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run({**GIVEN, "timeout": "planted-timeout"}, lambda _module: {})
    result = ended(capsys)
    assert "timeout" in result["msg"]
    assert "planted" not in json.dumps(result)
    assert logged == []


class Caught(Exception):
    pass


@pytest.mark.parametrize("name", NAMES)
def test_each_module_tells_its_arguments_in_this_way(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def init(self: object, **_arguments: t.Any) -> None:
        made.append(self)
        raise Caught

    monkeypatch.setattr(AnsibleModule, "__init__", init)
    module = importlib.import_module(f"{modules.__name__}.{name}")
    with pytest.raises(Caught):
        module.main()
    assert [type(one) for one in made] == [core_module.Module]
