# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath, descriptors
from ansible_collections.nspawn.machined.plugins.module_utils._core.beneath import (
    Links,
    Root,
    Unusable,
)


@pytest.fixture(params=["openat2", "on foot"], autouse=True)
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_directory: int, path: str, _flags: int, _resolve: int) -> int:
        raise descriptors.failed(errno.ENOSYS, path)

    if request.param == "on foot":
        monkeypatch.setattr(descriptors, "openat2", refuse)


@pytest.fixture(name="root")
def an_image(tmp_path: Path) -> Iterator[Root]:
    tree = tmp_path / "image"
    (tree / "etc").mkdir(parents=True)
    (tmp_path / "secret").write_text("the host's")
    (tree / "etc" / "hostname").write_text("web\n")
    with beneath.image(str(tree)) as root:
        yield root


def test_a_file_is_read_and_what_is_missing_is_nothing(root: Root) -> None:
    assert root.read_text("/etc/hostname") == "web\n"
    assert root.read_text("etc/none") is None
    assert root.read_text("/etc/hostname/none") is None
    assert root.find("/none") is None
    assert (root.exists("/etc"), root.exists("/none")) == (True, False)
    assert root.listing("/etc") == ["hostname"]


@pytest.mark.parametrize(
    "target",
    ["/etc/hostname", "../../../../etc/hostname", "hostname", "../etc/./hostname"],
)
def test_links_mean_the_files_of_the_image(root: Root, tmp_path: Path, target: str) -> None:
    (tmp_path / "image" / "etc" / "link").symlink_to(target)
    assert root.read_text("/etc/link") == "web\n"


@pytest.mark.parametrize("target", ["secret", "../secret", "../../secret", "/../secret"])
def test_no_link_leads_out_of_it(root: Root, tmp_path: Path, target: str) -> None:
    (tmp_path / "image" / "link").symlink_to(target)
    (tmp_path / "image" / "absolute").symlink_to(tmp_path / "secret")
    (tmp_path / "image" / "directory").symlink_to(tmp_path)
    for path in ("/link", "/absolute", "/directory/secret", "/../secret", "../../secret"):
        assert root.read_text(path) is None


def test_links_of_proc_that_are_none_lead_nowhere(tmp_path: Path) -> None:
    # The magic is in /proc itself: who has it below a root has a way out of that root.
    with beneath.image("/proc") as root:
        for path in ("/self/root/etc", "/self/cwd", "/1/root/etc/passwd"):
            try:
                found = root.find(path)
            except Unusable:
                continue
            assert found is None


def test_a_loop_of_links_is_an_error_that_names_it(root: Root, tmp_path: Path) -> None:
    (tmp_path / "image" / "etc" / "a").symlink_to("b")
    (tmp_path / "image" / "etc" / "b").symlink_to("a")
    with pytest.raises(Unusable, match="/image:/etc/a cannot be used: there are links"):
        root.read_text("/etc/a")


@pytest.mark.parametrize("name", ["fifo", "directory", "device"])
def test_what_is_no_file_is_named_and_does_not_hold_us(
    root: Root, tmp_path: Path, name: str
) -> None:
    tree = tmp_path / "image"
    os.mkfifo(tree / "fifo")
    (tree / "directory").mkdir()
    if os.geteuid() == 0:
        os.mknod(tree / "device", 0o20666, os.makedev(1, 5))
    elif name == "device":
        pytest.skip("only root makes devices")
    began = time.monotonic()
    with pytest.raises(Unusable, match=f"/image:/{name} is a.*expected a regular file"):
        root.read_text(name)
    assert time.monotonic() - began < 5


def test_a_file_of_three_gibibytes_is_not_read(root: Root, tmp_path: Path) -> None:
    with open(tmp_path / "image" / "etc" / "machine-id", "wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(Unusable, match="machine-id is larger than 65536 bytes"):
        root.read_text("/etc/machine-id")


def test_a_file_may_be_as_long_as_the_limit(root: Root, tmp_path: Path) -> None:
    (tmp_path / "image" / "file").write_bytes(b"x" * 100)
    assert root.read_bytes("/file", 100) == b"x" * 100
    with pytest.raises(Unusable, match="larger than 99 bytes"):
        root.read_bytes("/file", 99)


def test_a_question_that_is_not_answered_is_given_up(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(descriptor: int, _flags: int) -> int:
        time.sleep(3)
        return os.dup(descriptor)

    monkeypatch.setattr(descriptors, "reopen", hang)
    root.deadline = 0.1
    with pytest.raises(Unusable, match=r"/etc/hostname: not done within 0\.1 s"):
        root.read_text("/etc/hostname")


def test_what_is_at_the_path_itself_can_be_asked_for(root: Root, tmp_path: Path) -> None:
    (tmp_path / "image" / "link").symlink_to("etc/hostname")
    status = root.stat("/link", follow=False)
    assert status is not None
    assert descriptors.kind(status.st_mode) == "a symbolic link"
    assert not root.is_directory("/link")
    assert root.is_directory("/etc")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/etc/hostname", ("etc", "hostname")),
        ("/etc/new", ("etc", "new")),
        ("/dangling", ("etc", "target")),
        ("/chain", ("etc", "target")),
        ("/elsewhere/new", ("etc", "new")),
        ("../../up", ("", "up")),
    ],
)
def test_a_place_to_write_to_is_where_the_links_lead(
    root: Root, tmp_path: Path, path: str, place: tuple[str, str]
) -> None:
    tree = tmp_path / "image"
    (tree / "dangling").symlink_to("/etc/target")
    (tree / "chain").symlink_to("dangling")
    (tree / "elsewhere").symlink_to("../../../etc")
    directory, name = root.place(path)
    assert (os.readlink(f"/proc/self/fd/{directory}"), name) == (
        str(tree / place[0]).rstrip("/"),
        place[1],
    )
    os.close(directory)


def test_a_directory_that_is_not_there_is_no_place(root: Root) -> None:
    with pytest.raises(Unusable, match="the directory that it would be in does not exist"):
        root.place("/none/file")


def test_what_belongs_to_a_user_is_told_by_its_directory(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "link").symlink_to(tmp_path)
    with beneath.directory(str(tmp_path / "output"), os.geteuid()) as root:
        with pytest.raises(Unusable, match="a link leads out of it"):
            root.find("link")
        found = root.find("link", follow=False)
        assert found is not None
        os.close(found)
    with pytest.raises(Unusable, match="expected a directory that can be entered"):
        beneath.directory(str(tmp_path / "none"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    beneath.directory(str(tmp_path), 12345).close()
    with pytest.raises(Unusable, match="belongs to user 12345; expected a directory of user 54321"):
        beneath.directory(str(tmp_path), 54321)


def test_where_no_links_may_be_each_one_is_an_error(root: Root, tmp_path: Path) -> None:
    (tmp_path / "image" / "link").symlink_to("etc")
    strict = Root(os.dup(root.descriptor), "image", links=Links.NONE)
    with strict, pytest.raises(Unusable, match="links where there may be none"):
        strict.read_text("/link/hostname")


def test_the_root_of_a_process_that_has_ended_is_nothing() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        # It shares ours, which no machine does.
        assert beneath.machine(process.pid, lambda: True) is None
        process.kill()
    assert beneath.machine(process.pid, lambda: True) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its root")
def test_a_process_is_held_while_one_asks_whose_it_is(root: Root, tmp_path: Path) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        os.chroot(tmp_path / "image")
        os.write(told, b"x")
        os.read(ready, 0)
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)

    def is_leader() -> bool:
        os.kill(child, 9)
        os.waitpid(child, 0)
        return True

    try:
        with beneath.machine(child, lambda: True) or pytest.fail("nothing") as found:
            assert found.read_text("/etc/hostname") == "web\n"
        assert beneath.machine(child, lambda: False) is None
    finally:
        assert beneath.machine(child, is_leader) is None
        os.close(ready)
        os.close(told)


NAMES = ["a", "b", "c"]
TARGETS = st.lists(st.sampled_from([*NAMES, "..", ".", "", "/"]), max_size=5).map("/".join)


@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    links=st.dictionaries(st.sampled_from(["l", "a/l", "a/b/l"]), TARGETS.filter(bool)),
    path=st.lists(st.sampled_from([*NAMES, "l", "..", ".", ""]), max_size=6).map("/".join),
)
def test_no_path_and_no_links_lead_out(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], path: str
) -> None:
    tree = tmp_path_factory.mktemp("host") / "image"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "c").touch()
    for name in ("a", "c"):
        (tree.parent / name).touch()
    for link, target in links.items():
        (tree / link).symlink_to(target)
    with beneath.image(str(tree)) as root:
        try:
            found = root.find(path)
        except Unusable:
            return
    if found is not None:
        real = os.readlink(f"/proc/self/fd/{found}")
        os.close(found)
        assert f"{real}/".startswith(f"{tree}/")
