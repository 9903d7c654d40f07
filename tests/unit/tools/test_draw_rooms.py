# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import draw_rooms
import pytest

FILES = {
    "modules/machines.py": "from ..module_utils._machines import face",
    "module_utils/_machines/face.py": "from . import plan",
    "module_utils/_machines/plan.py": "from .._systemd import units\nfrom .._core import plan",
    "module_utils/_systemd/units.py": "from .._core import plan",
    "module_utils/_core/plan.py": "import os",
    "action/machines.py": "from ..plugin_utils._actions import progress",
    "plugin_utils/_actions/progress.py": "from ...module_utils._core import plan",
}
DRAWING = """\
flowchart TB
    subgraph controller
        action
        _actions
    end
    subgraph target
        modules
        _machines
        _systemd
        _core
    end
    modules --> _machines
    _machines --> _systemd
    _machines -.-> _core
    action --> _actions
    _actions --> _core
    _systemd --> _core
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    return tmp_path


def test_rooms_stand_on_what_they_import_and_ways_past_others_are_dotted(plugins: Path) -> None:
    assert draw_rooms.drawing(plugins) == DRAWING


def test_the_rest_of_the_page_stays_as_it_is(plugins: Path) -> None:
    page = "# Title\n\n```mermaid\nold\n```\n\n```yaml\nkey: value\n```\n"
    assert draw_rooms.drawn(page, plugins) == page.replace("old\n", DRAWING)


@pytest.mark.parametrize("count", [0, 2])
def test_a_page_without_exactly_one_drawing_is_refused(plugins: Path, count: int) -> None:
    with pytest.raises(ValueError, match="not exactly one code block"):
        draw_rooms.drawn("```mermaid\nold\n```\n" * count, plugins)


def test_a_kind_of_plugin_that_it_does_not_know_is_named(plugins: Path) -> None:
    (plugins / "strategy").mkdir()
    (plugins / "strategy/nspawn.py").write_text("from ..plugin_utils._actions import progress\n")
    with pytest.raises(ValueError, match="strategy: SIDES of"):
        draw_rooms.drawing(plugins)
