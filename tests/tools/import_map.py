# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file of plugins/ imports which, and on what floor that puts it."""

from __future__ import annotations

import ast
import collections
import graphlib
import typing as t
from pathlib import Path, PurePosixPath

OURS = "ansible_collections.nspawn.machined.plugins"

# From each to all that it imports: files, named by their paths below plugins/, or their rooms.
Arrows = dict[str, set[str]]


def import_map(plugins: Path) -> Arrows:
    """The imports of all files below plugins/, relative ones and ones by full names."""
    paths = {path.relative_to(plugins).as_posix(): path for path in plugins.rglob("*.py")}
    return {
        name: {other for other in _imported(name, path) if other in paths}
        for name, path in sorted(paths.items())
    }


def _imported(name: str, path: Path) -> t.Iterator[str]:
    """The files that an import could mean; those that there are none of among them."""
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # "from . import plan" means a file, "from .plan import Step" something in one.
            base = node.module or ""
            if node.level:
                package = [OURS, *PurePosixPath(name).parts[: -node.level]]
                base = ".".join([*package, base] if base else package)
            modules = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for module in modules:
            if module.startswith(f"{OURS}."):
                yield f"{module.removeprefix(f'{OURS}.').replace('.', '/')}.py"


def room_of(path: str) -> str:
    """The folder that a file lies in."""
    return PurePosixPath(path).parent.name


def among_rooms(arrows: Arrows) -> Arrows:
    """The same among rooms, without those that Python imports nothing from and into."""
    rooms: Arrows = collections.defaultdict(set)
    for path, imported in arrows.items():
        room = room_of(path)
        rooms[room] |= {room_of(other) for other in imported} - {room}
    reachable = set().union(*rooms.values())
    return {room: others for room, others in rooms.items() if others or room in reachable}


def floors(arrows: Arrows) -> dict[str, int]:
    """How many imports stand one upon the other below each; the ground is 1."""
    found: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(arrows).static_order():
        found[name] = 1 + max((found[other] for other in arrows[name]), default=0)
    return found


def reached(arrows: Arrows, name: str) -> set[str]:
    """All that one leads to, over any number of arrows."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        fresh = arrows[waiting.pop()] - seen
        seen |= fresh
        waiting += fresh
    return seen
