# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the rooms and their imports into docs/architecture.md; ``make format`` runs it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from import_map import among_rooms, floors, import_map, reached

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
DRAWING = re.compile(r"(?<=^```mermaid\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
SIDES = {
    "controller": ("action", "connection", "inventory", "plugin_utils"),
    "target": ("modules", "module_utils"),
}


def side_of(plugins: Path, room: str) -> str:
    """Where the files of a room run."""
    for side, folders in SIDES.items():
        if room in folders or any((plugins / folder / room).is_dir() for folder in folders):
            return side
    raise ValueError(f"{room}: SIDES of tests/tools/draw_rooms.py does not say where its files run")


def drawing(plugins: Path) -> str:
    """The drawing, as Mermaid's words."""
    arrows = among_rooms(import_map(plugins))
    heights = floors(arrows)
    order = sorted(arrows, key=lambda room: (-heights[room], room))
    lines = ["flowchart TB"]
    for side in SIDES:
        lines.append(f"    subgraph {side}")
        lines += [f"        {room}" for room in order if side_of(plugins, room) == side]
        lines.append("    end")
    for room in order:
        for other in sorted(arrows[room], key=lambda one: (-heights[one], one)):
            # The solid arrows alone lead everywhere; what others lead to as well is dotted.
            past = any(other in reached(arrows, third) for third in arrows[room])
            lines.append(f"    {room} {'-.->' if past else '-->'} {other}")
    return "".join(f"{line}\n" for line in lines)


def drawn(page: str, plugins: Path) -> str:
    """The page with the drawing as it is now."""
    if len(DRAWING.findall(page)) != 1:
        raise ValueError(f"{PAGE}: has not exactly one code block of the type mermaid")
    return DRAWING.sub(lambda _old: drawing(plugins), page)


def main() -> int:
    """Rewrite the page if the rooms have changed."""
    page = PAGE.read_text()
    new = drawn(page, ROOT / "plugins")
    if new != page:
        PAGE.write_text(new)
        print(f"{PAGE.relative_to(ROOT)}: the drawing has changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
