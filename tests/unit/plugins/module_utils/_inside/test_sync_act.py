# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, apply
from ansible_collections.nspawn.machined.plugins.module_utils._core.run import Result
from ansible_collections.nspawn.machined.plugins.module_utils._inside import (
    commands,
    leader,
    sync,
    sync_act,
    sync_seen,
)
from ansible_collections.nspawn.machined.plugins.module_utils._inside.sync import Changes, Wanted


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is in the machine's /data."""

    def root(_name: str, *, deadline: float) -> beneath.Root:
        return beneath.image(str(tmp_path / "root"), deadline=deadline)

    monkeypatch.setattr(leader, "root", root)
    data = tmp_path / "root/data"
    (data / "sub/deep").mkdir(parents=True)
    (data / "file").write_text("one")
    (data / "sub/deep/file").write_text("two")
    (data / "sub/link").symlink_to("deep")
    return data


def synced(tmp_path: Path, **more: t.Any) -> Changes:
    wanted = sync.check(Wanted("web", "/data", str(tmp_path / "out"), to_machine=False, **more))
    seen = sync_seen.snapshot(wanted)
    todo = sync.changes(seen, wanted)
    failure = apply(sync.plan(seen, wanted), sync_act.VERBS).failure()
    if failure:
        raise failure
    assert sync.plan(sync_seen.snapshot(wanted), wanted) == ()
    return todo


def test_all_that_may_come_along_comes_and_then_nothing(inside: Path, tmp_path: Path) -> None:
    (inside / "file").chmod(0o4755)
    (inside / "sub").chmod(0o3755)
    os.mkfifo(inside / "fifo")
    assert synced(tmp_path).copied == ("", "file", "sub", "sub/deep", "sub/deep/file")
    out = tmp_path / "out"
    assert (out / "file").stat().st_mode & 0o7777 == 0o755
    assert (out / "sub").stat().st_mode & 0o7777 == 0o755
    assert not (out / "sub/link").is_symlink()
    assert (out / "file").stat().st_mtime_ns == (inside / "file").stat().st_mtime_ns


def test_only_what_differs_is_written(inside: Path, tmp_path: Path) -> None:
    synced(tmp_path)
    before = (tmp_path / "out/file").stat().st_ino
    (inside / "sub/deep/file").write_text("three")
    (inside / "new").write_text("")
    todo = synced(tmp_path)
    assert (todo.copied, todo.updated) == (("new",), ("sub/deep/file",))
    assert (tmp_path / "out/file").stat().st_ino == before
    assert (tmp_path / "out/sub/deep/file").read_text() == "three"


def test_links_of_the_destination_are_replaced_and_not_followed(
    inside: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    synced(tmp_path)
    (tmp_path / "out/file").unlink()
    (tmp_path / "out/sub/deep/file").unlink()
    (tmp_path / "out/sub/deep").rmdir()
    (tmp_path / "out/file").symlink_to(precious / "file")
    (tmp_path / "out/sub/deep").symlink_to(precious)
    synced(tmp_path, delete=True)
    assert (precious / "file").read_text() == "precious"
    assert (tmp_path / "out/sub/deep/file").read_text() == "two"
    assert not (tmp_path / "out/file").is_symlink()


def test_a_hard_link_of_the_destination_is_not_written_through(
    inside: Path, tmp_path: Path
) -> None:
    synced(tmp_path)
    os.link(tmp_path / "out/file", tmp_path / "other")
    (inside / "file").chmod(0o666)
    synced(tmp_path)
    assert (tmp_path / "other").stat().st_mode & 0o777 != 0o666


def test_too_much_is_removed_but_for_what_is_excluded(inside: Path, tmp_path: Path) -> None:
    synced(tmp_path)
    out = tmp_path / "out"
    (out / "old/keep").mkdir(parents=True)
    (out / "old/gone").write_text("")
    (out / "gone/deep").mkdir(parents=True)
    assert synced(tmp_path, delete=True, exclude=("keep",)).gone == ("gone", "old/gone")
    assert sorted(path.name for path in (out / "old").iterdir()) == ["keep"]


def test_links_come_on_wish_when_they_stay_inside(inside: Path, tmp_path: Path) -> None:
    (inside / "away").symlink_to("/etc")
    synced(tmp_path, links=True)
    assert os.readlink(tmp_path / "out/sub/link") == "deep"
    assert not (tmp_path / "out/away").is_symlink()
    (inside / "sub/link").unlink()
    (inside / "sub/link").symlink_to("deep/file")
    assert synced(tmp_path, links=True).updated == ("sub/link",)


def test_by_contents_what_has_the_same_size_and_time_is_found(inside: Path, tmp_path: Path) -> None:
    synced(tmp_path)
    (tmp_path / "out/file").write_text("two")
    when = (inside / "file").stat().st_mtime_ns
    os.utime(tmp_path / "out/file", ns=(when, when))
    assert synced(tmp_path).updated == ()
    assert synced(tmp_path, checksum=True).updated == ("file",)


def test_a_destination_that_is_a_link_is_refused(inside: Path, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path)
    with pytest.raises(Failure, match="found a link"):
        synced(tmp_path)


def test_a_destination_in_no_directory_is_refused(inside: Path, tmp_path: Path) -> None:
    wanted = Wanted("web", "/data", str(tmp_path / "no/out"), to_machine=False)
    with pytest.raises(Failure, match="cannot be made: No such file"):
        sync_act._fill_here(wanted, Changes(), (0, 0))


# --- in a machine, whose programs are this machine's ----------------------------------------


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(
        _machine: str, command: commands.Command, *, stream: t.Optional[t.Callable[[], int]] = None
    ) -> Result:
        options: dict[str, t.Any] = {"input": command.stdin}
        if stream is not None:
            options = {"stdin": stream()}
        try:
            done = subprocess.run(command.argv, capture_output=True, check=False, **options)
        finally:
            if stream is not None:
                os.close(options["stdin"])
        said = (done.stdout.decode(), done.stderr.decode())
        return Result(tuple(done.args), done.returncode, *said)

    monkeypatch.setattr(commands, "run", run)


def to(source: Path, destination: Path) -> Wanted:
    return sync.check(Wanted("web", str(source), str(destination)))


def test_only_what_was_chosen_is_sent(here: None, inside: Path, tmp_path: Path) -> None:
    wanted = to(inside, tmp_path / "out")
    sync_act._fill_inside(wanted, Changes(copied=("", "sub", "sub/link")), (os.geteuid(), 0))
    found = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "out").rglob("*"))
    assert found == ["out/sub", "out/sub/link"]
    sync_act._fill_inside(wanted, Changes(updated=("file",)), (os.geteuid(), 0))
    assert (tmp_path / "out/file").read_text() == "one"


def test_odd_names_are_removed_and_nothing_beside_them(here: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "-r").mkdir(parents=True)
    for name in ("a", "b", "a\nb", "-x", "*", "-r/deep"):
        (out / name).write_text("")
    changes = Changes(removed=("a\nb", "-x", "*", "-r"))
    sync_act._remove_inside(to(tmp_path / "none", out), changes)
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]


def test_a_destination_that_has_become_a_link_is_left(
    here: None, inside: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("precious")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    wanted = to(inside, tmp_path / "out")
    with pytest.raises(Failure, match="it is a link now"):
        sync_act._remove_inside(wanted, Changes(removed=("file",)))
    with pytest.raises(Failure, match="it is a link now"):
        sync_act._fill_inside(wanted, Changes(copied=("file",)), (0, 0))
    assert (tmp_path / "precious/file").read_text() == "precious"


def test_a_machine_that_does_not_take_all_is_an_error(
    here: None, inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inside / "large").write_bytes(bytes(3_000_000))
    monkeypatch.setattr(sync_act, "_FILL", "true")
    with pytest.raises(Failure, match="has not read all"):
        sync_act._fill_inside(to(inside, tmp_path / "out"), Changes(copied=("large",)), (0, 0))
