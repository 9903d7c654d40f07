# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make an image as nobody expects one, or look whether a copy of it has all of it.

Run on a test host, as root: tree.py make|check PATH… Subvolumes in subvolumes, read-only from
within; more levels than Python's stack; names that are no text, or have several lines.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEPTH = 1200
STRANGE = os.fsdecode(b"not \xff utf-8\n\x1b[2J")


def say(*argv: object) -> None:
    words = [os.fsencode(str(word)) for word in argv]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def is_btrfs(path: Path) -> bool:
    argv = ["stat", "--file-system", "--format=%T", str(path)]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout == "btrfs\n"


def make(tree: Path) -> None:
    btrfs = is_btrfs(tree.parent)
    nested = [tree / "var", tree / "var/lib", tree / "var/lib/deep/subvolume", tree / "empty"]
    for path in [tree, *nested]:
        path.parent.mkdir(parents=True, exist_ok=True)
        if btrfs:
            say("btrfs", "subvolume", "create", path)
        else:
            path.mkdir()
        (path / "file").write_text("text")
    (tree / "usr/lib").mkdir(parents=True)
    (tree / "usr/lib/os-release").write_text("ID=deep\n")
    (tree / "etc").mkdir()
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
    (tree / "link").symlink_to("/etc")
    os.mkfifo(tree / "fifo")
    (tree / STRANGE).write_text("text")
    (tree / f"{STRANGE}.d").mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _level in range(DEPTH):
        os.mkdir("level", dir_fd=here)
        here = down(here)
    os.close(os.open(STRANGE, os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    for path in reversed(nested):
        if btrfs:
            say("btrfs", "property", "set", path, "ro", "true")


def down(here: int) -> int:
    below = os.open("level", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
    os.close(here)
    return below


def check(tree: Path) -> None:
    for file in ("file", "var/file", "var/lib/file", "var/lib/deep/subvolume/file", STRANGE):
        assert (tree / file).read_text() == "text", file
    assert (tree / "link").is_symlink() and (tree / f"{STRANGE}.d").is_dir()
    here = os.open(tree, os.O_RDONLY)
    for _level in range(DEPTH):
        here = down(here)
    assert os.listdir(here) == [STRANGE]
    os.close(here)


if __name__ == "__main__":
    for word in sys.argv[2:]:
        {"make": make, "check": check}[sys.argv[1]](Path(word))
    print("well")
