# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contracts of pyproject.toml, on a small tree that keeps them and one wrong import."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tomllib
import typing as t
from pathlib import Path

import grimp
import pytest
from contracts import NoCircles, OneFace
from importlinter import Contract, output
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[3]
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}
ROOMS = re.findall(r"\w+", " ".join(CONTRACTS["rooms"]["layers"]))

PLAN = "module_utils/{room}/plan.py"
MODULE = "modules/machines.py"
ACTION = "action/machines.py"
UPLOAD = "plugin_utils/_actions/upload.py"
CONNECTION = "connection/nspawn.py"
HELPER = "plugin_utils/_connection/helper.py"
INVENTORY = "inventory/machined.py"
QUESTION = "plugin_utils/_inventory/question.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Each room with a plan, an act and a face, one module, one action plugin and what it needs."""
    files = {
        MODULE: "from ..module_utils._machines import face\n",
        ACTION: "from ..plugin_utils._actions import upload\n",
        CONNECTION: "from ..plugin_utils._connection import here\n",
        "plugin_utils/_connection/here.py": "from ...module_utils._inside import plan\n",
        "plugin_utils/_connection/keeper.py": "import os\n",
        HELPER: "import os\n",
        INVENTORY: "from ..plugin_utils._inventory import listing\n",
        "plugin_utils/_inventory/listing.py": "from ...module_utils._systemd import plan\n",
        QUESTION: "import os\n",
        UPLOAD: "from ...module_utils._systemd import plan\n",
        "plugin_utils/_actions/progress.py": "import os\n",
        "doc_fragments/attributes.py": "",
    }
    for module in CONTRACTS["plans"]["forbidden_modules"]:
        if module.startswith("plugins."):
            files[module.removeprefix("plugins.").replace(".", "/") + ".py"] = "import os\n"
    for room in ROOMS:
        imported = "from .._core import plan\n" if room != "_core" else "import os\n"
        files[PLAN.format(room=room)] = imported
        files[f"module_utils/{room}/act.py"] = "from . import plan\n"
        files[f"module_utils/{room}/face.py"] = "from . import act\n"
    for name, text in files.items():
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}import sys\n")
    return tmp_path


def lint(tree: Path) -> tuple[set[str], str]:
    """The contracts that do not hold, and all that is said, as in make lint."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(tree)
        # The files of this repository are "plugins" too.
        path = [str(ROOT / "tests/tools"), *sys.path]
        patch.setattr(sys, "path", [one for one in path if not Path(one, "plugins").is_dir()])
        patch.setattr(output.console, "width", 200)
        status = lint_imports(
            str(ROOT / "pyproject.toml"), no_cache=True, is_debug_mode=True, no_logo=True
        )
    text = said.getvalue()
    broken = {key for key, one in CONTRACTS.items() if f"{one['name']} BROKEN" in text}
    assert bool(status) is bool(broken), text
    return broken, " ".join(text.split())


def plant(tree: Path, name: str, line: str) -> None:
    path = tree / "plugins" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{path.read_text() if path.exists() else ''}{line}\n")


def test_a_tree_without_a_wrong_import_keeps_them_all(tree: Path) -> None:
    assert lint(tree)[0] == set()


@pytest.mark.parametrize(
    ("importer", "line", "broken", "said"),
    [
        pytest.param(
            PLAN.format(room="_core"),
            "from .._machines import plan",
            {"rooms"},
            "plugins.module_utils._core.plan -> plugins.module_utils._machines.plan (l.3)",
            id="up",
        ),
        pytest.param(
            PLAN.format(room="_settings"),
            "from .._images.plan import Step",
            {"rooms"},
            "plugins.module_utils._settings is not allowed to import plugins.module_utils._images",
            id="up by one",
        ),
        pytest.param(
            PLAN.format(room="_mkosi"),
            "from .._machines import plan",
            {"rooms"},
            "plugins.module_utils._mkosi is not allowed to import plugins.module_utils._machines",
            id="sideways",
        ),
        pytest.param(
            PLAN.format(room="_mkosi"),
            "from .._settings import plan",
            {"settings"},
            "plugins.module_utils._mkosi.plan -> plugins.module_utils._settings.plan (l.3)",
            id="from _mkosi down to _settings",
        ),
        pytest.param(
            PLAN.format(room="_images"),
            "from .._inside import plan",
            {"inside"},
            "plugins.module_utils._images.plan -> plugins.module_utils._inside.plan (l.3)",
            id="from _images down to _inside",
        ),
        pytest.param(
            PLAN.format(room="_machines"),
            "from .._firewalld import plan",
            {"firewalld"},
            "plugins.module_utils._machines.plan -> plugins.module_utils._firewalld.plan (l.3)",
            id="from _machines down to _firewalld",
        ),
        pytest.param(
            PLAN.format(room="_cellar"),
            "from .._core import plan",
            {"rooms"},
            "plugins.module_utils._cellar",
            id="a room that has no layer",
        ),
        pytest.param(
            PLAN.format(room="_core"),
            "from . import act",
            {"circles"},
            "a circle of 2 imports "
            "plugins/module_utils/_core/act.py:1: imports plugins/module_utils/_core/plan.py "
            "plugins/module_utils/_core/plan.py:3: imports plugins/module_utils/_core/act.py",
            id="in a circle within a room",
        ),
        pytest.param(
            PLAN.format(room="_images"),
            "from .._core import run",
            {"plans"},
            "plugins.module_utils._images.plan -> plugins.module_utils._core.run (l.3)",
            id="of a plan that would start a process",
        ),
        pytest.param(
            PLAN.format(room="_images"),
            "import subprocess",
            {"plans"},
            "plugins.module_utils._images.plan -> subprocess (l.3)",
            id="of a plan that would start one by itself",
        ),
        pytest.param(
            MODULE,
            "from ..module_utils._machines import plan",
            {"face"},
            "plugins/modules/machines.py:3: imports plugins/module_utils/_machines/plan.py; "
            "expected one plugins/module_utils/*/face.py alone",
            id="of a module behind the face",
        ),
        pytest.param(
            MODULE,
            "from ..module_utils._images import face",
            {"face"},
            "plugins/modules/machines.py: expected one plugins/module_utils/*/face.py, found "
            "plugins/module_utils/_images/face.py, plugins/module_utils/_machines/face.py",
            id="of a module of a second face",
        ),
        pytest.param(
            "modules/two.py",
            "import json",
            {"face"},
            "plugins/modules/two.py: expected one plugins/module_utils/*/face.py, found none",
            id="missing in a module",
        ),
        pytest.param(
            MODULE,
            "from ..plugin_utils._actions import progress",
            {"face"},
            "plugins/modules/machines.py:3: imports plugins/plugin_utils/_actions/progress.py; "
            "expected one plugins/module_utils/*/face.py alone",
            id="of a module from the controller",
        ),
        pytest.param(
            PLAN.format(room="_mkosi"),
            "from .._images import face",
            {"behind"},
            "plugins.module_utils._mkosi.plan -> plugins.module_utils._images.face (l.3)",
            id="of a room through the face of another",
        ),
        pytest.param(
            PLAN.format(room="_images"),
            "from ...plugin_utils._actions import progress",
            {"sides"},
            "plugins.module_utils is not allowed to import plugins.plugin_utils",
            id="of a room from the controller",
        ),
        pytest.param(
            UPLOAD,
            "from ...action import machines",
            {"sides"},
            "plugins.plugin_utils is not allowed to import plugins.action",
            id="of plugin_utils up to an action plugin",
        ),
        pytest.param(
            ACTION,
            "from ..module_utils._core import plan",
            {"action"},
            "plugins/action/machines.py:3: imports plugins/module_utils/_core/plan.py; "
            "expected one plugins/plugin_utils/*/*.py alone",
            id="of an action plugin past plugin_utils",
        ),
        pytest.param(
            CONNECTION,
            "from ..module_utils._inside import plan",
            {"connection", "inside"},
            "plugins/connection/nspawn.py:3: imports plugins/module_utils/_inside/plan.py; "
            "expected one plugins/plugin_utils/*/*.py alone",
            id="of a connection plugin past plugin_utils",
        ),
        pytest.param(
            HELPER,
            "from ...module_utils._core import plan",
            {"inside_there"},
            "plugins.plugin_utils._connection.helper -> plugins.module_utils._core.plan (l.3)",
            id="of ours in what runs in a machine",
        ),
        pytest.param(
            INVENTORY,
            "from ..module_utils._systemd import plan",
            {"inventory"},
            "plugins/inventory/machined.py:3: imports plugins/module_utils/_systemd/plan.py; "
            "expected one plugins/plugin_utils/*/*.py alone",
            id="of an inventory plugin past plugin_utils",
        ),
        pytest.param(
            QUESTION,
            "from ...module_utils._core import plan",
            {"inside_there"},
            "plugins.plugin_utils._inventory.question -> plugins.module_utils._core.plan (l.3)",
            id="of ours in what runs alone on a host",
        ),
        pytest.param(
            PLAN.format(room="_images"),
            "from ansible_collections.nspawn.machined.plugins.module_utils._core import plan",
            {"relative"},
            "plugins.module_utils._images.plan -> ansible_collections (l.3)",
            id="by a full name",
        ),
    ],
)
def test_a_wrong_import_breaks_its_contract_and_is_named(
    tree: Path, importer: str, line: str, broken: set[str], said: str
) -> None:
    plant(tree, importer, line)
    found, text = lint(tree)
    assert found == broken
    assert said in text
    for key in broken:
        assert " ".join(CONTRACTS[key]["broken_contract_guidance"].split()) in text


@pytest.mark.parametrize(
    ("contract", "options"),
    [
        (OneFace, {"importers": "plugins.modules.*", "faces": "plugins.*.face"}),
        (NoCircles, {"folders": ["plugins.module_utils.*"]}),
    ],
)
def test_a_contract_about_files_that_are_not_there_says_so(
    contract: type[Contract], options: dict[str, t.Any]
) -> None:
    options = {**options, "broken_contract_guidance": "none"}
    made = contract("named", {"root_packages": ["plugins"]}, options)
    with pytest.raises(ValueError, match=r"plugins\..*: there is no such file"):
        made.check(grimp.ImportGraph(), verbose=False)


def graph_of(*imports: tuple[str, str]) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    graph.add_module("room")
    for importer, imported in imports:
        graph.add_import(
            importer=f"room.{importer}",
            imported=f"room.{imported}",
            line_number=7,
            line_contents="",
        )
    return graph


def circles(graph: grimp.ImportGraph) -> list[str]:
    contract = NoCircles("named", {}, {"folders": ["room"], "broken_contract_guidance": "none"})
    return list(contract.sentences(graph))


def test_files_that_stand_upon_each_other_make_no_circle() -> None:
    assert circles(graph_of(("c", "b"), ("b", "a"), ("c", "a"))) == []


def test_a_circle_over_a_third_file_is_told_once() -> None:
    (told,) = circles(graph_of(("b", "c"), ("c", "a"), ("a", "b")))
    assert told.splitlines() == [
        "a circle of 3 imports",
        "  room/a.py:7: imports room/b.py",
        "  room/b.py:7: imports room/c.py",
        "  room/c.py:7: imports room/a.py",
    ]


def test_where_files_are_entangled_the_shortest_circle_is_told() -> None:
    (told,) = circles(graph_of(("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")))
    assert told.startswith("a circle of 2 imports")


def test_circles_that_have_no_file_in_common_are_all_told() -> None:
    told = circles(graph_of(("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("a", "c")))
    assert len(told) == 2


def test_a_circle_through_another_folder_is_left_to_the_contracts_about_folders() -> None:
    graph = graph_of(("a", "b"))
    graph.add_import(importer="room.b", imported="attic.a", line_number=7, line_contents="")
    graph.add_import(importer="attic.a", imported="room.a", line_number=7, line_contents="")
    assert circles(graph) == []
