# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import within
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.translate import Beside
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.wanted import (
    Request,
    check,
    check_all,
    image,
    request_of,
)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"directory": "a"}, "expected the absolute path"),
        ({"directory": "//"}, "expected the absolute path"),
        ({"import_as": "a/b"}, "slash"),
        ({"read_only": True}, "name it with import_as"),
        ({"timeout": 0}, "is not above 0"),
        ({"timeout": float("inf")}, "has no end"),
        ({"timeout": float("nan")}, "is not above 0"),
        ({"directory": "/srv/a\nb"}, "has a control character"),
        ({"root_password": "one\ntwo"}, "root_password has a control character"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: t.Mapping[str, t.Any], words: str) -> None:
    with pytest.raises(Failure, match=words):
        check(dataclasses.replace(Request("/srv/a"), **fields))


def test_root_is_nobody_else() -> None:
    assert request_of(arguments(user="root"), within.source_of).user is None
    assert request_of(arguments(user="alan"), within.source_of).user == "alan"


@pytest.mark.parametrize("field", ["directory", "import_as"])
def test_two_builds_that_would_take_from_each_other_are_refused(field: str) -> None:
    one, other = Request("/srv/a", import_as="a"), Request("/srv/b", import_as="b")
    with pytest.raises(Failure, match=f"the same {field} is given twice"):
        check_all([one, dataclasses.replace(other, **{field: getattr(one, field)})])


# --- what arguments mean ---


def arguments(**given: t.Any) -> dict[str, t.Any]:
    """The arguments of one build as the module has them when hardly any is given."""
    usual: dict[str, t.Any] = {"directory": "/srv/a", "config": None, "repart": {}, "users": []}
    trees = ("scripts", "sandbox_files", "skeleton_files", "extra_files")
    return {**usual, **{tree: {} for tree in trees}, **given}


@pytest.mark.parametrize(
    "config", ["[Content]\nBootable=yes\n", {"Content": {"Bootable": True, "Hostname": None}}]
)
def test_a_configuration_is_sections_or_the_text_of_a_file(config: t.Any) -> None:
    said = request_of(arguments(config=config), within.source_of).config
    assert said == {"Content": {"Bootable": ("yes",)}}


def test_the_content_of_a_file_is_given_or_read_on_the_host(tmp_path: pathlib.Path) -> None:
    (tmp_path / "motd").write_text("read")
    given = {
        "a": "plain",
        "b": {"content": "given\n", "mode": "0600"},
        "c": {"src": str(tmp_path / "motd")},
    }
    extra = request_of(arguments(extra_files=given), within.source_of).contents.extra
    assert {path: (file.text, file.mode) for path, file in extra.items()} == {
        "a": ("plain\n", 0o644),
        "b": ("given\n", 0o600),
        "c": ("read", 0o644),
    }


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.truncate(path, 9 << 20)])
def test_what_is_no_small_file_is_not_read(
    tmp_path: pathlib.Path, make: t.Callable[[pathlib.Path], None]
) -> None:
    source = tmp_path / "motd"
    if make is not os.mkfifo:
        source.touch()
    make(source)
    with pytest.raises(Failure, match=r"extra_files: x: .*(is a FIFO|is larger than 8388608)"):
        request_of(arguments(extra_files={"x": {"src": str(source)}}), within.source_of)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"config": ["Content"]}, "config is list; expected sections"),
        ({"repart": {"x.conf": "Type=root"}}, "repart: x.conf is str; expected sections"),
        ({"extra_files": {"x": {"content": "a", "src": "b"}}}, "either content or src"),
        ({"extra_files": {"x": {"content": "a", "made": "0600"}}}, "either content or src"),
        ({"extra_files": {"x": {"content": 1}}}, "expected a text"),
        ({"extra_files": {"x": {"content": "a", "mode": 600}}}, "octal digits in quotes"),
        ({"extra_files": {"x": {"src": "/nowhere/x"}}}, "this host has no file /nowhere/x"),
        ({"extra_files": {"x": {"src": "motd"}}}, "src 'motd' is no absolute path"),
        ({"scripts": {"build": {"src": "/etc"}}}, "scripts: build: .*expected a regular file"),
        ({"scripts": {"build": {"content": "#!/x", "chroot": "no"}}}, "expected true or false"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(
    given: t.Mapping[str, t.Any], words: str
) -> None:
    with pytest.raises(Failure, match=words):
        request_of(arguments(**given), within.source_of)


@pytest.mark.parametrize(
    ("asked", "in_the_configuration", "read_only"),
    [(None, False, None), (None, True, True), (False, True, False), (True, False, True)],
)
def test_what_is_asked_of_the_image_beats_what_its_configuration_says(
    asked: t.Optional[bool], in_the_configuration: bool, read_only: t.Optional[bool]
) -> None:
    request = Request("/srv/a", import_as="web", read_only=asked)
    assert image(request, Beside(read_only=in_the_configuration)).read_only == read_only
