# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a checkout weighs, or several beside each other: figures.py [CHECKOUT...]."""

from __future__ import annotations

import argparse
import ast
import base64
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import typing as t
import zipfile
from dataclasses import dataclass
from pathlib import Path

from import_map import Arrows, among_rooms, floors, import_map

ROOT = Path(__file__).resolve().parents[2]
# What is long, and how long a thing of its kind should be at most.
LIMITS = {"files": 500, "classes": 200, "functions": 50, "main": 15}
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}


@dataclass(frozen=True)
class Zip:
    """What Ansible sends to a target for one module."""

    size: int
    files: int  # of ours in it
    ours: int  # what these take of the size


@dataclass(frozen=True)
class Figures:
    """All of one checkout."""

    lengths: dict[str, dict[str, int]]  # by kind and name
    arrows: dict[str, Arrows]
    zips: dict[str, Zip]


def lengths(plugins: Path) -> dict[str, dict[str, int]]:
    """How many lines everything has; the documentation of a module is not counted."""
    found: dict[str, dict[str, int]] = {kind: {} for kind in LIMITS}
    for path in sorted(plugins.rglob("*.py")):
        name = path.relative_to(plugins).as_posix()
        text = path.read_text()
        tree = ast.parse(text, filename=str(path))
        found["files"][name] = len(text.splitlines()) - sum(map(documentation, tree.body))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found["classes"][f"{name} {node.name}"] = extent(node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                kind = (
                    "main" if name.startswith("modules/") and node.name == "main" else "functions"
                )
                found[kind][f"{name} {node.name}"] = extent(node)
    return found


def extent(node: ast.stmt) -> int:
    """The lines of a statement."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def documentation(node: ast.stmt) -> int:
    """The lines of a statement, if it is a module's documentation."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return 0
    return extent(node) if node.targets[0].id in DOCUMENTATION else 0


def zips(checkout: Path) -> t.Iterator[tuple[str, Zip]]:
    """Each module as Ansible would send it, without arguments."""
    with tempfile.TemporaryDirectory() as place:
        collection = Path(place, "ansible_collections", "nspawn", "machined")
        collection.parent.mkdir(parents=True)
        collection.symlink_to(checkout)
        # Before Ansible is imported: it reads them once.
        os.environ.update(ANSIBLE_COLLECTIONS_PATH=place, ANSIBLE_LOCAL_TEMP=f"{place}/tmp")
        from ansible.plugins.loader import init_plugin_loader

        init_plugin_loader()
        for path in sorted((checkout / "plugins" / "modules").glob("[!_]*.py")):
            yield path.stem, read_zip(built(path.stem))


def built(module: str) -> bytes:
    """What is sent for one module of the collection."""
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import module_loader
    from ansible.template import Templar

    name = f"nspawn.machined.{module}"
    return modify_module(
        module_name=name,
        module_path=module_loader.find_plugin_with_context(name).plugin_resolved_path,
        module_args={},
        templar=Templar(loader=DataLoader()),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
    ).b_module_data


def read_zip(sent: bytes) -> Zip:
    """The archive within what is sent."""
    encoded = max(re.findall(rb"[A-Za-z0-9+/=]+", sent), key=len)
    content = base64.b64decode(encoded)
    entries = zipfile.ZipFile(io.BytesIO(content)).infolist()
    # Of a folder's __init__.py there is only an empty one, which Ansible adds.
    ours = [one for one in entries if "/nspawn/machined/" in one.filename and one.file_size]
    return Zip(len(content), len(ours), sum(one.compress_size for one in ours))


def measure(checkout: Path) -> Figures:
    """The figures of one checkout; Ansible knows one at a time, so each has a process."""
    command = [sys.executable, __file__, "--zips", str(checkout)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    sent = {name: Zip(**fields) for name, fields in json.loads(result.stdout).items()}
    files = import_map(checkout / "plugins")
    arrows = {"all files": files, "rooms": among_rooms(files)}
    return Figures(lengths(checkout / "plugins"), arrows, sent)


def longest(figures: Figures, kind: str, count: int) -> t.Iterator[str]:
    """The longest things of a kind, and how many are too long."""
    found = figures.lengths[kind]
    over = sum(length > LIMITS[kind] for length in found.values())
    yield f"{kind}: {len(found)}, of which {over} have more than {LIMITS[kind]} lines"
    for name in sorted(found, key=lambda name: (-found[name], name))[:count]:
        yield f"{found[name]:6}  {name}"


def imports(figures: Figures) -> t.Iterator[str]:
    """How many imports there are, and how high they are stacked."""
    for kind, arrows in figures.arrows.items():
        count = sum(map(len, arrows.values()))
        yield f"{kind}: {len(arrows)}, arrows {count}, floors {max(floors(arrows).values())}"


def table(zipped: t.Sequence[dict[str, Zip]]) -> t.Iterator[str]:
    """The size of each module's archive in bytes, and how many files of ours are in it."""
    for module in sorted(set().union(*zipped)):
        cells = [
            f"{one[module].size:9} {one[module].ours:9} {one[module].files:5}"
            if module in one
            else " " * 25
            for one in zipped
        ]
        yield f"{module:18} {' |'.join(cells)}"


def main() -> int:
    """Print the figures of each checkout, and their archives beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT], metavar="CHECKOUT")
    parser.add_argument("--longest", type=int, default=8, metavar="N", help="how many of each")
    parser.add_argument("--zips", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    checkouts = [checkout.resolve() for checkout in arguments.checkouts]
    if arguments.zips:
        print(json.dumps({name: vars(one) for name, one in zips(checkouts[0])}))
        return 0
    measured = [measure(checkout) for checkout in checkouts]
    for checkout, figures in zip(checkouts, measured, strict=True):
        print(f"=== {checkout}", *imports(figures), sep="\n")
        for kind in LIMITS:
            print("", *longest(figures, kind, arguments.longest), sep="\n")
        print()
    print("=== zip, ours in it, files of ours", *table([one.zips for one in measured]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
