# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from ansible_collections.nspawn.machined.plugins.module_utils._core import files, memory


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
