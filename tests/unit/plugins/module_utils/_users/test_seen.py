# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath
from ansible_collections.nspawn.machined.plugins.module_utils._users.seen import (
    first_user,
    home_of,
    tree,
)


@pytest.fixture(name="homes")
def _homes(tmp_path: Path) -> Path:
    (tmp_path / "homes/alan").mkdir(parents=True)
    return tmp_path / "homes"


def test_a_home_is_resolved_through_links_and_dots(homes: Path) -> None:
    (homes / "link").symlink_to("../homes/./alan")
    for spelled in ("alan", "link", "../homes/alan", "alan/", "link/."):
        home = home_of(f"{homes}/{spelled}", [str(homes)], {})
        assert (home.real, home.is_directory, home.uid) == (f"{homes}/alan", True, os.getuid())


def test_a_home_that_leads_nowhere_is_none(homes: Path) -> None:
    for path in ("", f"{homes}/nosuch", f"{homes}/a\0b"):
        assert home_of(path, [str(homes)], {}).real == ""
    (homes / "loop").symlink_to("loop")
    assert not home_of(f"{homes}/loop", [str(homes)], {}).is_directory


def test_a_file_is_no_folder(homes: Path) -> None:
    (homes / "file").touch()
    assert not home_of(f"{homes}/file", [str(homes)], {}).is_directory


def test_the_home_of_others_is_known_and_what_is_in_it(homes: Path) -> None:
    (homes / "alan/deep").mkdir()
    others = {"alan": f"{homes}/alan", "al": f"{homes}/al"}
    assert home_of(f"{homes}/alan", [], others).shared_with == ("alan",)
    assert home_of(f"{homes}/alan/deep", [], others).shared_with == ("alan",)
    assert home_of(str(homes), [], others).shared_with == ()


def test_a_folder_that_others_may_change_is_named(homes: Path) -> None:
    # On the way there is one that everybody may write to, wherever tests keep their files.
    homes.chmod(0o777)
    assert home_of(f"{homes}/alan", [str(homes)], {}).replaceable
    assert home_of(f"{homes}/alan", ["/nonexistent"], {}).replaceable == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, 1000),
        ("", 1000),
        ("# UID_MIN 5\nUID_MIN\t\t 500\nSYS_UID_MIN 100\n", 500),
        ("UID_MIN\nUID_MIN x\n", 1000),
    ],
)
def test_people_begin_where_the_host_says(text: str | None, number: int) -> None:
    assert first_user(text) == number


def test_a_tree_tells_who_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/lib/systemd/linger").mkdir(parents=True)
    (tmp_path / "var/lib/systemd/linger/alan").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/zsh").touch(0o755)
    (tmp_path / "bin/text").touch(0o644)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n+nis\n#no:x\n\nalan:x:1:1\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nstaff:x:5:alan")
    found = tree(str(tmp_path), ["/bin/zsh", "/bin/text", "/bin/none"])
    assert found.users == {"root", "alan"} and found.groups == {"root", "staff"}
    assert found.linger == {"alan"} and found.shells == {"/bin/zsh"} and not found.has_library


def test_a_tree_tells_whether_users_can_have_managers_and_buses(tmp_path: Path) -> None:
    found = tree(str(tmp_path))
    assert not found.has_manager and not found.has_bus
    for path in (
        "usr/lib/systemd/systemd-logind",
        "usr/lib/x86_64-linux-gnu/security/pam_systemd.so",
        "usr/lib/systemd/user/dbus.socket",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = tree(str(tmp_path))
    assert found.has_manager and found.has_bus


def test_a_list_of_users_that_is_a_pipe_holds_nobody(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    with pytest.raises(beneath.Unusable, match="etc/passwd"):
        tree(str(tmp_path))


def test_a_list_of_users_is_never_that_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    with pytest.raises(beneath.Unusable, match="links"):
        tree(str(tmp_path))
    (tmp_path / "etc/passwd").unlink()
    (tmp_path / "etc/passwd").symlink_to("../../../../../../../../etc/group")
    (tmp_path / "etc/group").write_text("own:x:1:\n")
    assert tree(str(tmp_path)).users == {"own"}
