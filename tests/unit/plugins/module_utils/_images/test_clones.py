# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import fcntl
import os
import struct
import threading
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import clones, hidden, keepers
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import (
    image_classes,
    machined,
)

HIDDEN = ".nspawn-machined-new.web.new"


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directories of the host, somewhere else."""
    for name in ("images", "etc", "run", "locks"):
        (tmp_path / name).mkdir()
    images = str(tmp_path / "images")
    here = dataclasses.replace(image_classes.MACHINE, directories=(images,), root=images)
    monkeypatch.setattr(image_classes, "MACHINE", here)
    monkeypatch.setattr(machined, "MACHINES_DIRECTORY", images)
    monkeypatch.setattr(nspawn_file, "DIRECTORY", str(tmp_path / "etc"))
    monkeypatch.setattr(nspawn_file, "RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setattr(clones, "NAME_LOCKS", f"{tmp_path}/locks/name-")
    return tmp_path


def all_in(host: Path) -> set[str]:
    return {str(path.relative_to(host)) for path in host.rglob("*") if path.is_file()}


def cloned(host: Path) -> Path:
    """As machined leaves a clone under its hidden name."""
    root = host / "images" / HIDDEN
    root.mkdir()
    (root / "os-release").write_text("ID=x\n")
    (host / "etc" / f"{HIDDEN}.nspawn").write_text("etc\n")
    (host / "run" / f"{HIDDEN}.nspawn").write_text("run\n")
    (host / "images" / f"{HIDDEN}.nspawn").write_text("beside\n")
    return root


# --- what nobody else may read --------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "text", "mode"),
    [
        (0o644, "[Exec]\nBoot=yes\n", 0o644),
        (0o640, "[Exec]\nBoot=yes\n", 0o640),
        (0o600, "[Exec]\nBoot=yes\n", 0o600),
        (0o644, "[Exec]\nEnvironment=TOKEN=s3cret\n", 0o600),
        # Not more than machined gives.
        (0o666, "[Exec]\nBoot=yes\n", 0o644),
    ],
)
def test_settings_of_a_clone_are_as_closed_as_their_parents(
    host: Path, parent: int, text: str, mode: int
) -> None:
    for directory in ("etc", "run", "images"):
        (host / directory / "guest.nspawn").write_text(text)
        (host / directory / "guest.nspawn").chmod(parent)
    clones.bring_settings("guest", "web")
    brought = list(host.rglob(f"{HIDDEN}.nspawn"))
    assert {path.parent.name for path in brought} == {"etc", "run", "images"}
    assert {path.read_text() for path in brought} == {text}
    assert {path.stat().st_mode & 0o777 for path in brought} == {mode}


def test_settings_are_there_before_machined_makes_a_clone(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host / "etc/guest.nspawn").write_text("[Exec]\nBoot=yes\n")
    at_the_call: set[str] = set()

    def call(*_arguments: object, **_more: object) -> None:
        at_the_call.update(all_in(host))
        (host / "images" / HIDDEN).mkdir()

    monkeypatch.setattr(keepers, "call", call)
    with clones.made("guest", "web", [], sweep_first=False) as path:
        clones.publish(path, "web")
    assert f"etc/{HIDDEN}.nspawn" in at_the_call
    assert all_in(host) == {"etc/guest.nspawn", "etc/web.nspawn"}


def test_where_machined_makes_no_clone_no_settings_are_left(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*_arguments: object, **_more: object) -> None:
        raise Failure("machined says no")

    (host / "etc/guest.nspawn").write_text("[Exec]\nBoot=yes\n")
    monkeypatch.setattr(keepers, "call", call)
    with (
        pytest.raises(Failure, match="says no"),
        clones.made("guest", "web", [], sweep_first=False),
    ):
        pass
    assert all_in(host) == {"etc/guest.nspawn"}


# --- publish --------------------------------------------------------------------------------


def test_a_clone_gets_its_name_and_its_settings(host: Path) -> None:
    clones.publish(str(cloned(host)), "web")
    assert all_in(host) == {
        "images/web/os-release",
        "images/web.nspawn",
        "etc/web.nspawn",
        "run/web.nspawn",
    }


def test_a_raw_clone_gets_its_name_and_its_hash(host: Path) -> None:
    raw = host / "images" / f"{HIDDEN}.raw"
    raw.write_text("")
    (host / "images" / f"{HIDDEN}.roothash").write_text("00\n")
    clones.publish(str(raw), "web")
    assert all_in(host) == {"images/web.raw", "images/web.roothash"}


def test_settings_that_are_there_are_kept(host: Path) -> None:
    (host / "etc/web.nspawn").write_text("mine\n")
    clones.publish(str(cloned(host)), "web")
    assert (host / "etc/web.nspawn").read_text() == "mine\n"
    assert not (host / "etc" / f"{HIDDEN}.nspawn").exists()


@pytest.mark.parametrize("theirs", ["images/web", "images/web.raw"])
def test_an_image_that_has_appeared_meanwhile_is_not_touched(host: Path, theirs: str) -> None:
    (host / theirs).write_text("theirs")
    before = all_in(host)
    root = cloned(host)
    with pytest.raises(Failure, match="has appeared meanwhile; nothing of it was changed"):
        clones.publish(str(root), "web")
    clones.sweep("web")
    assert all_in(host) == before
    assert (host / theirs).read_text() == "theirs"


# --- sweep ----------------------------------------------------------------------------------


def test_all_that_is_left_of_a_cut_off_clone_goes_and_nothing_else(host: Path) -> None:
    others = {"images/web2/x", "images/.nspawn-machined-new.web2.new/x", "etc/web.nspawn"}
    for other in sorted(others):
        (host / other).parent.mkdir(exist_ok=True)
        (host / other).write_text("theirs")
    cloned(host)
    (host / "images" / f".#{HIDDEN}.raw0123456789abcdef").write_text("")
    assert hidden.is_left("web")
    clones.sweep("web")
    assert all_in(host) == others
    assert not hidden.is_left("web")


@pytest.mark.parametrize("ending", ["", ".raw", ".nspawn"])
@pytest.mark.parametrize("name", ["a", "a.raw", "a.new", "a.new.raw", "a-b", "a.b"])
def test_no_name_is_taken_for_another_one_that_begins_or_ends_like_it(
    name: str, ending: str, host: Path
) -> None:
    (host / "images" / f"{hidden.name_of(name)}{ending}").touch()
    assert hidden.left() == {name}
    for other in {"a", "a.raw", "a.new", "a.new.raw", "a-b", "a.b"} - {name}:
        assert not hidden.is_left(other)
        clones.sweep(other)
    assert hidden.left() == {name}


def test_a_directory_whose_name_ends_as_a_raw_image_is_another_machine(host: Path) -> None:
    (host / "images/web.raw").mkdir()
    clones.publish(str(cloned(host)), "web")
    assert (host / "images/web").is_dir() and (host / "images/web.raw").is_dir()


def hold(path: Path) -> int:
    """Lock a name in the way of machined."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, whole)
    return descriptor


def test_a_name_that_nobody_clones_is_not_waited_for(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clones, "TIMEOUT", 0)
    clones.await_end("web")
    (host / "locks" / f"name-{HIDDEN}").touch()
    clones.await_end("web")


def test_a_clone_that_machined_is_still_making_is_waited_for_before_it_is_removed(
    host: Path,
) -> None:
    descriptor = hold(host / "locks" / f"name-{HIDDEN}")
    ending = threading.Timer(0.3, os.close, [descriptor])
    ending.start()
    clones.sweep("web")
    assert ending.finished.is_set()


def test_a_clone_that_never_ends_is_not_waited_for_for_ever(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clones, "TIMEOUT", 0.2)
    descriptor = hold(host / "locks" / f"name-{HIDDEN}")
    with pytest.raises(Failure, match="image web: machined has been cloning an image for it"):
        clones.await_end("web")
    os.close(descriptor)
