# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib
import stat

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import view
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.builder import Builder
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.files import File


@pytest.fixture(autouse=True)
def _rooms(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "_prefix", lambda name: str(tmp_path / f"view-{name}-"))


def test_it_looks_as_the_directory_will(tmp_path: pathlib.Path) -> None:
    real = tmp_path / "real"
    (real / "mkosi.extra/etc").mkdir(parents=True)
    for name in ("mkosi.extra/etc/motd", "mkosi.extra/etc/issue", "mkosi.version", "mkosi.old"):
        (real / name).write_text(name)
    (real / "mkosi.output").mkdir()
    wanted = {"mkosi.conf": File("[Content]\n", 0o600), "mkosi.extra/etc/motd": File("mine")}
    place = pathlib.Path(view.make("it", str(real), wanted, ["mkosi.old"]))
    assert (place / "mkosi.conf").read_text() == "[Content]\n"
    assert stat.S_IMODE((place / "mkosi.conf").stat().st_mode) == 0o600
    assert (place / "mkosi.extra/etc/motd").read_text() == "mine"
    assert (place / "mkosi.extra/etc/issue").readlink() == real / "mkosi.extra/etc/issue"
    assert (place / "mkosi.version").readlink() == real / "mkosi.version"
    assert not (place / "mkosi.old").exists()
    assert list((place / "mkosi.output").iterdir()) == []
    assert (real / "mkosi.extra/etc/motd").read_text() == "mkosi.extra/etc/motd"


def test_nobody_else_can_enter_it_or_guess_its_name(tmp_path: pathlib.Path) -> None:
    place = pathlib.Path(view.make_room("it"))
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert len(place.name) > len("view-it-") + 6
    view.remove_room(str(place))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: pathlib.Path) -> None:
    first = pathlib.Path(view.make_room("it"))
    (first / "left").touch()
    second = pathlib.Path(view.make_room("it"))
    assert [first.exists(), second.exists()] == [False, True]


def test_root_and_users_have_rooms_of_their_own(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.undo()
    # Only now: who builds knows what was there before.
    somebody: Builder = request.getfixturevalue("somebody")
    assert view._prefix("it").startswith("/run/nspawn.machined/")
    assert somebody.call(view._prefix, "it").startswith("/var/tmp/")
