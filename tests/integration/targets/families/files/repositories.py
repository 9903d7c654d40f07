# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository of empty packages, which is the manager's only one.

repositories.py MANAGER DIRECTORY NAME...
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = "[it]\nname=it\nbaseurl=file://{place}\nenabled=1\ngpgcheck=0\n"
PACMAN = "[options]\nArchitecture = auto\nSigLevel = Never\n[it]\nServer = file://{place}\n"
SPEC = """\
Name: {name}
Version: 1
Release: 1
Summary: nothing
License: none
BuildArch: noarch
Provides: {provides}
%description
Nothing.
%files
"""
PKGINFO = """\
pkgname = {name}
pkgbase = {name}
pkgver = 1-1
pkgdesc = nothing
arch = any
size = 0
group = it
"""

# An Arch has some that were installed, and some for others: to pacman's module none is an error.
BASE, FOR_BASE = "filesystem", "iana-etc"


def run(*argv: str | Path, where: Path) -> None:
    subprocess.run(argv, check=True, cwd=where, stdout=subprocess.DEVNULL)


def rpms(place: Path, names: list[str]) -> None:
    specs = place / "specs"
    specs.mkdir()
    for wanted in names:
        # A path stands for a package of another name that has it.
        name = wanted.replace("/", "-").strip("-")
        (specs / f"{name}.spec").write_text(SPEC.format(name=name, provides=wanted))
    top = ["--define", f"_topdir {place}/top", "--define", f"_rpmdir {place}"]
    run("rpmbuild", "-bb", "--quiet", *top, *specs.iterdir(), where=place)
    run("createrepo_c", "--quiet", place, where=place)


def zypper(place: Path, names: list[str]) -> None:
    rpms(place, names)
    write("/etc/zypp/repos.d/it.repo", REPO.format(place=place))


def dnf(place: Path, names: list[str]) -> None:
    rpms(place, names)
    write("/etc/yum.repos.d/it.repo", REPO.format(place=place))


def pacman(place: Path, names: list[str]) -> None:
    for name in (*names, BASE, FOR_BASE):
        root = place / "roots" / name
        root.mkdir(parents=True)
        needs = f"depend = {FOR_BASE}\n" if name == BASE else ""
        (root / ".PKGINFO").write_text(PKGINFO.format(name=name) + needs)
        run(
            "bsdtar", "--zstd", "-cf", place / f"{name}-1-1-any.pkg.tar.zst", ".PKGINFO", where=root
        )
    run("repo-add", "--quiet", "it.db.tar.gz", *sorted(place.glob("*.zst")), where=place)
    write("/etc/pacman.conf", PACMAN.format(place=place))
    run("pacman", "-Sy", "--noconfirm", BASE, where=place)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def main() -> None:
    manager, directory, *names = sys.argv[1:]
    place = Path(directory) / manager
    place.mkdir(parents=True)
    {"zypper": zypper, "dnf": dnf, "pacman": pacman}[manager](place, names)


main()
