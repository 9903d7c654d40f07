# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions of ``make lint``; antsibull-nox.toml says what each runs."""

from __future__ import annotations

import os
from pathlib import Path

import antsibull_nox
import nox

ROOT = Path(__file__).parent
# Relative, as the list is split at spaces and the root may have one.
PINS = "tests/requirements/tools.txt tests/requirements/bench.txt"

nox.options.envdir = str(ROOT / "build" / "nox")
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True

# Sessions name packages; the versions of all of them are in one place.
os.environ["PIP_CONSTRAINT"] = os.environ["UV_CONSTRAINT"] = PINS

antsibull_nox.load_antsibull_nox_toml()


@nox.session(name="tree-check", python=False)
def tree_check(session: nox.Session) -> None:
    """Check what no other tool knows of: names, paths and lists that must agree."""
    session.run("python3", "tests/tools/check_tree.py", *session.posargs)


@nox.session(name="bare-check", python=False)
def bare_check(session: nox.Session) -> None:
    """Check that the collection works with only meta, plugins, roles and playbooks left."""
    session.run("python3", "tests/tools/check_bare.py")


@nox.session(name="imports-check", python=False)
def imports_check(session: nox.Session) -> None:
    """Check who imports whom: the contracts are in pyproject.toml."""
    # The type of contract that is ours, and sentences that are not cut at column 80.
    environment = {"PYTHONPATH": "tests/tools", "COLUMNS": "200"}
    cache = "build/cache/import-linter"
    session.run("lint-imports", "--no-logo", "--cache-dir", cache, env=environment)


@nox.session(name="shellcheck", python=False)
def shellcheck(session: nox.Session) -> None:
    """Check the shell scripts."""
    listed = session.run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", silent=True, external=True
    )
    paths = [ROOT / name for name in str(listed).splitlines()]
    scripts = [path for path in paths if path.is_file() and is_shell_script(path)]
    session.run("shellcheck", *map(str, scripts), external=True)


def is_shell_script(path: Path) -> bool:
    """Whether the first line names a shell."""
    with path.open("rb") as file:
        first = file.readline().rstrip()
    return first.startswith(b"#!") and first.endswith((b"/sh", b"bash"))


@nox.session(name="changelog-check")
def changelog_check(session: nox.Session) -> None:
    """Check the changelog fragments."""
    session.install("antsibull-changelog", "ansible-core")
    session.run("antsibull-changelog", "lint")


if __name__ == "__main__":
    nox.main()
