# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import graphlib
import sys
from pathlib import Path

import grimp
import import_map
import pytest

ROOT = Path(__file__).resolve().parents[3]
PLAN = "module_utils/_core/plan.py"
OURS = "ansible_collections.nspawn.machined.plugins"


@pytest.mark.parametrize(
    "line",
    [
        "from ..module_utils._core import plan",
        "from ..module_utils._core.plan import Step",
        "from ..module_utils._core import plan as core_plan",
        f"from {OURS}.module_utils._core import plan",
        f"from {OURS}.module_utils._core.plan import Step",
        f"import {OURS}.module_utils._core.plan",
        "def late():\n    from ..module_utils._core import plan",
    ],
)
def test_every_way_to_import_a_file_is_an_arrow_to_it(tmp_path: Path, line: str) -> None:
    for name, text in {PLAN: "import os\n", "modules/image.py": f"{line}\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert import_map.import_map(tmp_path) == {PLAN: set(), "modules/image.py": {PLAN}}


def test_it_finds_just_what_import_linter_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    path = [one for one in sys.path if not Path(one, "plugins").is_dir()]
    monkeypatch.setattr(sys, "path", [str(ROOT), *path])
    graph = grimp.build_graph("plugins", cache_dir=None)
    theirs = {
        (importer, other)
        for importer in graph.modules
        for other in graph.find_modules_directly_imported_by(importer)
    }
    ours = {
        (name_of(importer), name_of(other))
        for importer, imported in import_map.import_map(ROOT / "plugins").items()
        for other in imported
    }
    assert ours == theirs


def name_of(path: str) -> str:
    return f"plugins.{path.removesuffix('.py').replace('/', '.')}"


def test_rooms_are_folders_and_an_import_within_one_is_no_arrow() -> None:
    files = {
        "module_utils/_a/one.py": {"module_utils/_a/two.py", "module_utils/_b/one.py"},
        "module_utils/_a/two.py": set(),
        "module_utils/_b/one.py": set(),
        "doc_fragments/attributes.py": set(),
    }
    assert import_map.among_rooms(files) == {"_a": {"_b"}, "_b": set()}


def test_a_floor_is_one_above_the_highest_that_is_imported() -> None:
    arrows = {"roof": {"middle", "ground"}, "middle": {"ground"}, "ground": set()}
    assert import_map.floors(arrows) == {"ground": 1, "middle": 2, "roof": 3}


def test_a_circle_has_no_floors() -> None:
    with pytest.raises(graphlib.CycleError):
        import_map.floors({"one": {"two"}, "two": {"one"}})


def test_what_is_reached_is_counted_over_others_too() -> None:
    arrows = {"roof": {"middle"}, "middle": {"ground"}, "ground": set()}
    assert import_map.reached(arrows, "roof") == {"middle", "ground"}
