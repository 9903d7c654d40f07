# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that the collection works with nothing left of it but what Ansible itself reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from check_tree import ROOT, tracked

NAME = "nspawn.machined"
KEPT = ("meta", "plugins", "roles", "playbooks")
BARE = ROOT / "build" / "bare"


def strip(source: Path, collection: Path) -> None:
    """Copy what is kept, as it is now."""
    shutil.rmtree(collection, ignore_errors=True)
    for path in tracked(source):
        relative = path.relative_to(source)
        if relative.parts[0] in KEPT:
            (collection / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, collection / relative)


def ansible(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's commands that can see no other collection."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(BARE), "NO_COLOR": "1"}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=BARE, env=environment
    )


def documented(kind: str) -> set[str]:
    """The plugins or roles of one kind that ansible-doc finds."""
    result = ansible("ansible-doc", "--json", "--list", "--type", kind, NAME)
    found = json.loads(result.stdout) if result.returncode == 0 else {}
    return {name.removeprefix(f"{NAME}.") for name in found}


def check(collection: Path) -> t.Iterator[str]:
    """Everything that is there is found, and the playbooks find what they use."""
    modules = {path.stem for path in (collection / "plugins" / "modules").glob("[!_]*.py")}
    for name in sorted(modules - documented("module")):
        yield f"module {name}: ansible-doc does not find it"
    roles = {path.name for path in (collection / "roles").glob("*/")}
    for name in sorted(roles - documented("role")):
        yield f"role {name}: ansible-doc does not find it"
    for path in sorted((collection / "playbooks").glob("*.yml")):
        result = ansible("ansible-playbook", "--syntax-check", f"{NAME}.{path.stem}")
        if result.returncode:
            yield f"playbook {path.stem}: {result.stderr.strip()}"


def main() -> int:
    """Strip, check and print every finding."""
    collection = BARE / "ansible_collections" / "nspawn" / "machined"
    strip(ROOT, collection)
    findings = list(check(collection))
    print(*findings, sep="\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
