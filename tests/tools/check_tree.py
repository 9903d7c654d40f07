# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check what no other tool knows of: names, paths and lists in the tree that must agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from pip_settings import pip_options

ROOT = Path(__file__).resolve().parents[2]
# Hosts that stand for a registry itself, not for where one machine gets it from.
PUBLIC = {"pypi.org", "files.pythonhosted.org", "localhost"}
# Directories that every system has: a path in one of them says nothing about one machine.
COMMON = {"dev", "etc", "home", "media", "mnt", "opt", "root", "run", "srv", "tmp", "usr", "var"}


def tracked(root: Path) -> list[Path]:
    """The files that git has or would take, and that are there."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others"]
    names = subprocess.run([*command, "--exclude-standard"], check=True, capture_output=True)
    paths = (root / name for name in names.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def hosts_in(text: str) -> set[str]:
    """The hosts of all URLs in a text."""
    urls = re.findall(r"https?://[^\s'\"<>;\]]+", text)
    return {host for url in urls if (host := urlsplit(url).hostname)}


def mirrors() -> set[str]:
    """The hosts that this machine gets its packages from."""
    texts = []
    for pattern in ("sources.list", "sources.list.d/*", "apt.conf", "apt.conf.d/*"):
        texts += [path.read_text(errors="replace") for path in Path("/etc/apt").glob(pattern)]
    texts += pip_options().values()
    uncommented = re.sub(r"(?m)^\s*(#|//).*$", "", "\n".join(texts))
    return hosts_in(uncommented) - PUBLIC


def machine_paths(root: Path) -> set[str]:
    """Beginnings of paths that exist on this machine only."""
    paths = {f"{root}/", f"{Path.home()}/.pyenv/"}
    if root.parts[1] not in COMMON:
        paths.add(f"/{root.parts[1]}/")
    return paths


def check_strings(root: Path) -> t.Iterator[str]:
    """No file names a package mirror or a path of the machine that it was written on."""
    words = {word: f"the package mirror {word}" for word in mirrors()}
    words.update(
        {word: f"the path {word}, which is this machine's own" for word in machine_paths(root)}
    )
    named = re.compile("|".join(rf"(?<![\w.-]){re.escape(word)}" for word in words))
    for path in tracked(root):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            for word in named.findall(line):
                yield f"{path.relative_to(root)}:{number}: names {words[word]}"


def check_action_groups(root: Path) -> t.Iterator[str]:
    """Every module is in the action group, and nothing else."""
    runtime = root / "meta" / "runtime.yml"
    groups = yaml.safe_load(runtime.read_text()).get("action_groups", {})
    listed = set(groups.get("machined", []))
    modules = {path.stem for path in (root / "plugins" / "modules").glob("[!_]*.py")}
    for name in sorted(modules - listed):
        yield f"meta/runtime.yml: the action group machined lacks the module {name}"
    for name in sorted(listed - modules):
        yield f"meta/runtime.yml: the action group machined has {name}, which is no module"


def check_roles(root: Path) -> t.Iterator[str]:
    """Every role says what its variables are."""
    for role in sorted((root / "roles").glob("*/")):
        if not (role / "meta" / "argument_specs.yml").is_file():
            yield f"roles/{role.name}: has no meta/argument_specs.yml"


def check_ignores(root: Path) -> t.Iterator[str]:
    """Sanity passes without being told to look away."""
    for path in sorted((root / "tests" / "sanity").glob("ignore-*.txt")):
        yield f"{path.relative_to(root)}: sanity must pass without ignore files"


def check_linted(root: Path) -> t.Iterator[str]:
    """No Python file is outside of what the linters look at."""
    configuration = tomllib.loads((root / "antsibull-nox.toml").read_text())
    linted = [root / name for name in configuration["sessions"]["lint"]["code_files"]]
    for path in tracked(root):
        if path.suffix == ".py" and not any(path.is_relative_to(place) for place in linted):
            yield f"{path.relative_to(root)}: is in none of antsibull-nox.toml's code_files"


def role_variables(root: Path) -> dict[str, t.Any]:
    """The variables of all roles, and their defaults."""
    found: dict[str, t.Any] = {}
    for path in sorted((root / "roles").glob("*/meta/argument_specs.yml")):
        spec = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        defaults = yaml.safe_load((path.parents[1] / "defaults" / "main.yml").read_text()) or {}
        found.update({name: defaults.get(name) for name in spec.get("options", {})})
    return found


class _AnyTag(yaml.SafeLoader):
    """Reads what Ansible's own tags stand before as text."""


_AnyTag.add_multi_constructor("!", lambda _loader, _suffix, node: str(node.value))


def mappings_in(value: t.Any) -> t.Iterator[dict[t.Any, t.Any]]:
    """All mappings in what a file of YAML says, however deep."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from mappings_in(item)


def check_role_variables(root: Path) -> t.Iterator[str]:
    """Some test gives each variable of a role another value than its default."""
    defaults = role_variables(root)
    entered: set[str] = set()
    for top in ("extensions/molecule", "tests/integration"):
        for path in sorted((root / top).rglob("*.yml")):
            for document in yaml.load_all(path.read_text(), Loader=_AnyTag):
                for mapping in mappings_in(document):
                    entered |= {
                        name
                        for name, value in mapping.items()
                        if name in defaults and value != defaults[name]
                    }
    for name in sorted(defaults.keys() - entered):
        yield (
            f"{name}: no test gives this variable of a role another value than its default; "
            "tests/integration/targets/role_variables is the place"
        )


CHECKS = (
    check_strings,
    check_action_groups,
    check_roles,
    check_role_variables,
    check_ignores,
    check_linted,
)


def main() -> int:
    """Print every finding; the exit status says whether there was one."""
    findings = [finding for check in CHECKS for finding in check(ROOT)]
    for finding in findings:
        print(finding)
    print(f"{len(CHECKS)} checks, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
