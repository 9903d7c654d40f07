# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity without a container, on every Python that is found.

ansible-test wants to stand in a directory ``ansible_collections/NAMESPACE/NAME`` that is no
symbolic link, so the tree is copied; it wants real interpreters, and a script to install pip with.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_test
from ansible_test._util.target.common.constants import (
    CONTROLLER_PYTHON_VERSIONS,
    REMOTE_ONLY_PYTHON_VERSIONS,
)
from check_tree import ROOT, tracked
from outcomes import Outcome, record
from pip_settings import pip_options

BUILD = ROOT / "build" / "sanity"
COPY = BUILD / "ansible_collections" / "nspawn" / "machined"
# A target may be as old as 3.9; beyond that, what this ansible-core knows.
TARGETS = [
    version
    for version in (*REMOTE_ONLY_PYTHON_VERSIONS, *CONTROLLER_PYTHON_VERSIONS)
    if tuple(map(int, version.split("."))) >= (3, 9)
]


def copy_tree(source: Path, copy: Path) -> None:
    """Make copy hold exactly the files that git has or would take, touching only what differs."""
    copy.mkdir(parents=True, exist_ok=True)
    # A repository of its own: in the project's, ansible-test would find that git ignores build/.
    subprocess.run(["git", "init", "--quiet", str(copy)], check=True)
    (copy / ".git" / "info" / "exclude").write_text("/tests/output/\n")
    wanted = {path.relative_to(source) for path in tracked(source)}
    for path in tracked(copy):
        if path.relative_to(copy) not in wanted:
            path.unlink()
    for relative in wanted:
        old, new = copy / relative, source / relative
        if not old.exists() or old.stat().st_mtime_ns != new.stat().st_mtime_ns:
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(new, old)


def real_interpreter(command: str) -> str | None:
    """The interpreter behind a command, if it runs, is real and can make virtual environments."""
    code = "import ensurepip, os, sys, venv; print(os.path.realpath(sys.executable))"
    try:
        ask = [command, "-I", "-c", code]
        found = subprocess.run(ask, check=False, capture_output=True, text=True)
    except OSError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def candidates(version: str) -> t.Iterator[str]:
    """Commands that may be this version of Python."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield sys.executable
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield f"{directory}/python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True):
        yield str(path)


def find_interpreters() -> dict[str, str]:
    """Each version's real interpreter, of those that are there."""
    found = {}
    for version in TARGETS:
        reals = (real_interpreter(command) for command in candidates(version))
        real = next((real for real in reals if real), None)
        if real:
            found[version] = real
    return found


def prepare_home(home: Path) -> None:
    """A home directory for ansible-test: pip's configuration, and how to come by pip."""
    source = Path(ansible_test.__path__[0]) / "_internal" / "python_requirements.py"
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"\bpip='([\d.]+)'", source.read_text()):
        name = f"get_pip_{version.replace('.', '_')}.py"
        shutil.copy(Path(__file__).with_name("get_pip.py"), cache / name)
    # ansible-test drops PIP_* variables, and this is another home: both are written down here.
    options = {
        **pip_options(),
        "cache-dir": str(ROOT / "build" / "cache" / "pip"),
        "disable-pip-version-check": "1",
        "quiet": "1",
    }
    options.pop("constraint", None)
    lines = [
        f"{key} = {value}\n".replace("\n", "\n  ").rstrip(" ") for key, value in options.items()
    ]
    configuration = home / ".config" / "pip" / "pip.conf"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text("[global]\n" + "".join(lines))


def link_interpreters(directory: Path, interpreters: dict[str, str]) -> None:
    """A directory for PATH with these interpreters and no version manager's shims."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for version, interpreter in interpreters.items():
        (directory / f"python{version}").symlink_to(interpreter)


def search_path(directory: Path) -> str:
    """The PATH for ansible-test: our interpreters first, shims not at all."""
    others = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([str(directory), *(path for path in others if "shims" not in path)])


class Reader:
    """Turns ansible-test's lines into outcomes."""

    def __init__(self) -> None:
        self.ran: dict[str, Outcome] = {}

    def read(self, line: str) -> None:
        """Take in one line of output."""
        if match := re.search(r'Running sanity test "([\w-]+)"(?: on Python ([\d.]+))?', line):
            name = " ".join(filter(None, match.groups()))
            self.ran[name] = Outcome(name, "passed")
        elif match := re.search(
            r'Skipping sanity test "([\w-]+)"(?: on Python ([\d.]+))?(.*)', line
        ):
            name = " ".join(filter(None, match.groups()[:2]))
            self.ran[name] = Outcome(name, "skipped", match[3].strip(" .") or "does not apply")
        elif match := re.search(r"WARNING: Skipping (tests? .*)", line):
            self.ran[match[0]] = Outcome("disabled", "skipped", match[1])
        elif match := re.match(
            r"(?:ERROR: )?Found \d+ ([\w-]+) issue\(s\)(?: on python ([\d.]+))?", line
        ):
            name = " ".join(filter(None, match.groups()))
            self.ran[name] = Outcome(name, "failed", match[0])


def main(arguments: list[str]) -> int:
    """Copy the tree, prepare the surroundings, run ansible-test and sum up."""
    copy_tree(ROOT, COPY)
    interpreters = find_interpreters()
    link_interpreters(BUILD / "bin", interpreters)
    prepare_home(BUILD / "home")
    environment = {
        **os.environ,
        "HOME": str(BUILD / "home"),
        "PATH": search_path(BUILD / "bin"),
    }
    environment.pop("PYTHONPYCACHEPREFIX", None)
    environment.pop("ANSIBLE_HOME", None)
    command = ["ansible-test", "sanity", "--color", "no", *arguments]
    reader = Reader()
    process = subprocess.Popen(
        command,
        cwd=COPY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            reader.read(line)
    record("sanity", list(reader.ran.values()))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
