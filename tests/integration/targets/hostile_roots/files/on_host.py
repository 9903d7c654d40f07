# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trees as nobody expects them, where images are: to be run on a test host, as root.

on_host.py remove|copy|mounted
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.nspawn.machined.plugins.module_utils._core import beneath, takeout, trees
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure

PLACE = Path("/var/lib/machines/hostile-roots")
TREE = PLACE / "tree"
DEPTH = 1200


def say(*argv: str | bytes | Path) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def make() -> None:
    """All at once: subvolumes in subvolumes, read-only from within; depth; names; odd files."""
    say("btrfs", "subvolume", "create", PLACE)
    say("btrfs", "subvolume", "create", TREE)
    nested = [TREE / "var", TREE / "var/lib", TREE / "var/lib/deep/subvolume", TREE / "empty"]
    for path in nested:
        path.parent.mkdir(parents=True, exist_ok=True)
        say("btrfs", "subvolume", "create", path)
        (path / "file").write_text("text")
    for path in reversed(nested):
        say("btrfs", "property", "set", path, "ro", "true")
    (TREE / "immutable").mkdir()
    (TREE / "immutable" / "file").touch()
    say("chattr", "+i", TREE / "immutable" / "file", TREE / "immutable")
    os.mkfifo(TREE / "fifo")
    (TREE / "link").symlink_to("/etc")
    (TREE / os.fsdecode(b"not \xff utf-8\n\x1b[2J")).write_text("text")
    with (TREE / "sparse").open("wb") as stream:
        stream.truncate(300 << 20)
    here = os.open(TREE, os.O_RDONLY)
    for _level in range(DEPTH):
        os.mkdir("level", dir_fd=here)
        below = os.open("level", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    say("btrfs", "property", "set", TREE, "ro", "true")


def removed() -> None:
    trees.remove(str(TREE))
    assert os.listdir(PLACE) == [], os.listdir(PLACE)
    assert os.path.isdir("/etc/systemd")


def copied() -> None:
    copy = PLACE / "copy"
    rules = takeout.Rules(links=True)
    with beneath.image(str(TREE)) as root:
        said = takeout.summary(root, "/", rules)
        taken = takeout.copy(root, "/", str(copy), rules)
    assert said is not None
    assert takeout.present(str(copy), rules) == said
    assert taken.left_out == 2, taken
    assert os.listdir(PLACE / "copy" / "var/lib/deep/subvolume") == ["file"]
    assert not (copy / "link").is_symlink()
    assert (copy / "sparse").stat().st_blocks == 0
    trees.remove(str(copy))
    assert os.listdir(PLACE) == ["tree"], os.listdir(PLACE)


def mounted() -> None:
    say("mount", "-t", "tmpfs", "none", TREE / "var/lib/deep")
    said = ""
    try:
        trees.remove(str(TREE))
    except Failure as failure:
        said = failure.message
    finally:
        say("umount", TREE / "var/lib/deep")
    assert "something is mounted at" in said, said
    assert "tree/var/lib/deep. Unmount it first" in said, said
    assert (TREE / "var/lib/deep/subvolume/file").read_text() == "text"
    assert sorted(os.listdir(TREE))[0] == "empty"


if __name__ == "__main__":
    make()
    try:
        {"remove": removed, "copy": copied, "mounted": mounted}[sys.argv[1]]()
    finally:
        trees.remove(str(PLACE))
    print("well")
