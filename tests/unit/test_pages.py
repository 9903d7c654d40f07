# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages for contributors name what is there, and docs/architecture.md what may import what."""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
import typing as t
from pathlib import Path

import draw_rooms
import pytest
import yaml

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Outcome, describe
from ansible_collections.nspawn.machined.plugins.module_utils._machines import plan, result
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import unit_text

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
ROOMS = PLUGINS / "module_utils"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
PAGES = (
    "docs/architecture.md",
    "docs/durability.md",
    "docs/inside-machines.md",
    "CONTRIBUTING.md",
    "tests/README.md",
    "README.md",
)
# What a page may name although it is made, or not ours.
ELSEWHERE = re.compile(r"/|~|\.venv/|build/|\.\./before")
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}


def prose(page: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", (ROOT / page).read_text())


def codes(page: str) -> list[str]:
    """What a page sets as code within a line."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def found(path: str) -> Path | None:
    """Where a path leads, from the root or from the rooms; a bare name may be in any room."""
    places = [ROOT, ROOMS, PLUGINS]
    if "/" not in path:
        places += [*ROOMS.iterdir(), *(PLUGINS / "plugin_utils").iterdir()]
    return next((place / path for place in places if (place / path).exists()), None)


def paths(page: str) -> list[str]:
    """The paths that a page names as code, and those that it links to."""
    words = [word for code in codes(page) for word in code.split()]
    named = [
        word for word in words if re.fullmatch(r"[\w./-]*/[\w./-]*|[\w-]+\.(py|md|toml)", word)
    ]
    named = [word for word in named if not ELSEWHERE.match(word) and "NAME" not in word]
    links = re.findall(r"\]\((?!https?:)([^)#]+)", prose(page))
    return sorted({*named, *(f"{Path(page).parent}/{link}" for link in links)})


@pytest.mark.parametrize(("page", "path"), [(page, path) for page in PAGES for path in paths(page)])
def test_a_path_that_a_page_names_is_there(page: str, path: str) -> None:
    assert found(path), f"{page} names {path}"


def definitions(path: Path) -> set[str]:
    """What a file defines: functions, classes and what they hold, and names that it sets."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


NAMED = re.findall(r"`(\w+)`\s+(?:in|of)\s+`([\w./]+\.py)`", prose("docs/architecture.md"))


@pytest.mark.parametrize(("name", "path"), NAMED)
def test_what_the_page_says_is_in_a_file_is_in_it(name: str, path: str) -> None:
    file = found(path)
    assert file
    assert name in definitions(file)


def test_the_page_says_of_many_names_where_they_are() -> None:
    assert len(NAMED) > 20


def test_the_drawing_shows_the_imports_as_they_are() -> None:
    now = draw_rooms.drawn(ARCHITECTURE, PLUGINS)
    assert now == ARCHITECTURE, "make format draws it anew"


def table() -> dict[str, set[str]]:
    """The rooms of the page's table, and what each may import."""
    rows = re.findall(r"(?m)^\| `(_\w+)` \| .* \| (.*) \|$", ARCHITECTURE)
    return {room: set(re.findall(r"`(\w+)`", cell)) for room, cell in rows}


def allowed() -> dict[str, set[str]]:
    """The same by the contracts: what stands below, and is not kept for others."""
    floors = [set(re.findall(r"\w+", layer)) for layer in CONTRACTS["rooms"]["layers"]]
    result = {
        room: set[str]().union(*floors[number + 1 :])
        for number, floor in enumerate(floors)
        for room in floor
    }
    for contract in CONTRACTS.values():
        if contract["type"] != "protected":
            continue
        importers = {name.rpartition(".")[2] for name in contract["allowed_importers"]}
        kept = {name.rpartition(".")[2] for name in contract["protected_modules"]}
        for room, below in result.items():
            if room not in importers:
                below -= kept
    return result


def test_the_table_says_of_each_room_what_the_contracts_say() -> None:
    assert table() == allowed()


def test_every_room_that_is_there_is_in_the_table() -> None:
    assert set(table()) == {path.name for path in ROOMS.iterdir() if path.is_dir()}


def test_readme_lists_every_room() -> None:
    listed = re.findall(r"(?m)^ {8}(_\w+)/ ", (ROOT / "README.md").read_text())
    assert sorted(listed) == sorted(table())


# --- the machine that is followed -----------------------------------------------------------


def block(kind: str, beginning: str) -> str:
    """The code block of the page that begins like this, wherever it is indented to."""
    blocks = re.findall(r"(?ms)^ *```(\w+)\n(.*?)^ *```$", ARCHITECTURE)
    (text,) = (
        text for word, text in blocks if word == kind and text.lstrip().startswith(beginning)
    )
    return textwrap.dedent(t.cast("str", text))


def followed() -> Wanted:
    (entry,) = yaml.safe_load(block("yaml", "machines_wanted:"))["machines_wanted"]
    return Wanted(
        name=entry.pop("name"),
        state="started",
        image=entry.pop("image"),
        declared=True,
        settings=nspawn_file.normalise(entry.pop("settings")),
        unit=unit_text.render(entry.pop("unit")),
        **entry,
    )


SEEN = Snapshot(machines={}, images=frozenset({"trixie"}))


def test_the_plan_on_the_page_is_the_plan_of_the_machine_on_the_page() -> None:
    steps = describe(plan.plan(SEEN, [followed()]))
    assert block("text", "record web").split("\n")[:-1] == steps


def test_the_result_on_the_page_is_what_is_told_of_that_plan() -> None:
    steps = plan.plan(SEEN, [followed()])
    told = result.tell([followed()], SEEN, Outcome(done=list(steps)), checking=True)
    told["web"]["steps"] = shortened(told["web"]["steps"])
    shown = yaml.safe_load(block("yaml", "changed:"))
    assert shown == {"changed": True, "plan": shortened(describe(steps)), "machines": told}


def shortened(steps: t.Iterable[str]) -> list[str]:
    return [re.sub(r"(?<=write ).*", "…", step) for step in steps]


SHELL = "docs/from-shell-to-yaml.md"
TRIED = re.findall(r"`(\w+)` \(((?:`\w+\.yml`(?:, )?)+)\)", (ROOT / SHELL).read_text())


@pytest.mark.parametrize(
    ("target", "file"),
    sorted({(target, file) for target, files in TRIED for file in re.findall(r"[\w.]+", files)}),
)
def test_what_the_page_of_commands_says_tries_a_line_is_there(target: str, file: str) -> None:
    assert (ROOT / "tests/integration/targets" / target / "tasks" / file).exists()


def test_each_line_of_a_table_with_a_test_names_one() -> None:
    tables = (ROOT / SHELL).read_text().split("| Tried by |")[1:]
    rows = [row for table in tables for row in table.partition("\n\n")[0].splitlines()[2:]]
    assert len(rows) > 60
    for row in rows:
        assert re.search(r"`\w+` \(`\w+\.yml`[^|]*\) \|$", row), row
