# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import files, memory
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    state, runtime = tmp_path / "state", tmp_path / "run"
    monkeypatch.setattr(memory, "DIRECTORY", str(state))
    monkeypatch.setattr(memory, "RUNTIME", str(runtime))
    return state, runtime


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_our_places_are_made_where_there_was_nothing(places: tuple[Path, Path]) -> None:
    state, runtime = places
    old = os.umask(0o027)
    try:
        memory.write(memory.of("machines/web.json"), "{}")
        memory.write(memory.runtime("locks/web"), "")
    finally:
        os.umask(old)
    modes = [mode_of(path) for path in (state, state / "machines", runtime, runtime / "locks")]
    assert modes == [0o700, 0o700, 0o711, 0o700]


def test_what_was_open_to_others_is_closed(places: tuple[Path, Path]) -> None:
    state, _runtime = places
    (state / "machines").mkdir(parents=True)
    for path in (state, state / "machines"):
        path.chmod(0o755)
    memory.ensure(memory.of("machines"))
    assert (mode_of(state), mode_of(state / "machines")) == (0o700, 0o700)


def test_a_place_that_others_can_write_to_is_refused(places: tuple[Path, Path]) -> None:
    state, _runtime = places
    state.mkdir()
    state.chmod(0o770)
    with pytest.raises(Failure, match="a directory with the mode 0770; expected a directory of"):
        memory.write(memory.of("machines/web.json"), "{}")
    assert os.listdir(state) == []


def test_a_link_in_the_place_of_ours_is_refused(places: tuple[Path, Path], tmp_path: Path) -> None:
    _state, runtime = places
    (tmp_path / "elsewhere").mkdir()
    runtime.symlink_to("elsewhere")
    with pytest.raises(Failure, match="is a symbolic link; expected a directory"):
        memory.write(memory.runtime("locks/web"), "")
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_place_of_somebody_else_is_refused(places: tuple[Path, Path]) -> None:
    state, _runtime = places
    state.mkdir()
    os.chown(state, 12345, 12345)
    with pytest.raises(Failure, match="a directory of user 12345; expected a directory of user 0"):
        memory.ensure(memory.of("machines"))


@pytest.mark.parametrize("place", [0, 1])
def test_a_module_believes_nothing_of_a_place_that_others_can_write_to(
    places: tuple[Path, Path], place: int
) -> None:
    memory.inspect()
    places[place].mkdir()
    memory.inspect()
    places[place].chmod(0o1777)
    with pytest.raises(Failure, match="a directory with the mode 1777; expected a directory of"):
        memory.inspect()
    places[place].rmdir()
    places[place].symlink_to("nowhere")
    with pytest.raises(Failure, match="is a symbolic link; expected a directory"):
        memory.inspect()


def test_what_is_remembered_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "machines" / "web.json"
    memory.write(str(path), "{}")
    modes = [stat.S_IMODE(os.stat(one).st_mode) for one in (path, *list(path.parents)[:2])]
    assert modes == [0o600, 0o700, 0o700]
    assert files.read(str(path)) == "{}"


def test_forgetting_the_last_one_leaves_no_directory(tmp_path: Path) -> None:
    paths = [str(tmp_path / "state" / name) for name in ("machines/a", "machines/b", "images/c")]
    for path in paths:
        memory.write(path, "x")
    memory.forget(paths[0])
    assert files.read(paths[1]) == "x"
    memory.forget(paths[1])
    assert os.listdir(tmp_path / "state") == ["images"]
    memory.forget(paths[2])
    assert os.listdir(tmp_path) == []


def test_forgetting_what_was_never_known_changes_nothing(tmp_path: Path) -> None:
    memory.forget(str(tmp_path / "state" / "machines" / "web.json"))
    assert os.listdir(tmp_path) == []


def test_threads_that_forget_do_not_disturb_those_that_remember(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def work(name: str) -> None:
        try:
            for _round in range(200):
                memory.write(str(tmp_path / "state" / "images" / name), "x", durable=False)
                memory.forget(str(tmp_path / "state" / "images" / name))
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
