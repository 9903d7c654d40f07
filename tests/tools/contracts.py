# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of contracts that import-linter does not bring. pyproject.toml has what they are about."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

from importlinter import Contract, ContractCheck, fields, output

if t.TYPE_CHECKING:
    import grimp


def path_of(module: str) -> str:
    """The file of a module, as one names it on the command line; also of a pattern of them."""
    return f"{module.replace('.', '/')}.py"


def lines(graph: grimp.ImportGraph, importer: str, imported: str) -> tuple[int, ...]:
    """Where one imports another."""
    details = graph.get_import_details(importer=importer, imported=imported)
    return tuple(detail["line_number"] for detail in details)


def matching(graph: grimp.ImportGraph, pattern: str) -> set[str]:
    """The modules of a pattern, which has to have some."""
    found = graph.find_matching_modules(pattern)
    if not found:
        raise ValueError(f"{pattern}: there is no such file")
    return found


class OurContract(Contract):
    """What both have in common: sentences, and then what to do instead."""

    broken_contract_guidance = fields.TextField()

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Find what is wrong."""
        output.verbose_print(verbose, f"Looking for: {self.name}")
        found = list(self.sentences(graph))
        return ContractCheck(kept=not found, metadata={"sentences": found})

    def sentences(self, graph: grimp.ImportGraph) -> t.Iterable[str]:
        """What is wrong, a sentence for each; none when all is well."""
        raise NotImplementedError

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say it."""
        for sentence in check.metadata["sentences"]:
            output.print_error(sentence, bold=False)
        output.print(str(self.broken_contract_guidance))


class OneFace(OurContract):
    """Of what is ours, each of the importers imports exactly one of the faces and nothing else."""

    importers = fields.ModuleExpressionField()
    faces = fields.ModuleExpressionField()

    def sentences(self, graph: grimp.ImportGraph) -> t.Iterable[str]:
        """What the importers import themselves that they shall not, or not together."""
        faces = matching(graph, str(self.faces))
        pattern = path_of(str(self.faces))
        for importer in sorted(matching(graph, str(self.importers))):
            path = path_of(importer)
            imported = set(filter(self._is_ours, graph.find_modules_directly_imported_by(importer)))
            for other in sorted(imported - faces):
                for line in lines(graph, importer, other):
                    yield f"{path}:{line}: imports {path_of(other)}; expected one {pattern} alone"
            seen = sorted(map(path_of, imported & faces))
            if len(seen) != 1:
                yield f"{path}: expected one {pattern}, found {', '.join(seen) or 'none'}"

    def _is_ours(self, module: str) -> bool:
        return module.partition(".")[0] in self.session_options["root_packages"]


@dataclass(frozen=True, order=True)
class Circle:
    """Files that import each the next one, and the last of them the first."""

    length: int
    modules: tuple[str, ...]

    @classmethod
    def of(cls, chain: t.Sequence[str]) -> Circle:
        """The same one, wherever the chain begins."""
        first = chain.index(min(chain))
        return cls(len(chain), (*chain[first:], *chain[:first]))


class NoCircles(OurContract):
    """No file of a folder leads back to itself, over however many others."""

    folders = fields.ListField(subfield=fields.ModuleExpressionField())

    def sentences(self, graph: grimp.ImportGraph) -> t.Iterable[str]:
        """The shortest circle wherever files are entangled; others may end with it."""
        circles: set[Circle] = set()
        for pattern in map(str, t.cast("list[object]", self.folders)):
            for folder in matching(graph, pattern):
                circles |= set(circles_in(graph, folder))
        told: set[str] = set()
        for circle in sorted(circles):
            if told.isdisjoint(circle.modules):
                told.update(circle.modules)
                yield described(graph, circle)


def circles_in(graph: grimp.ImportGraph, folder: str) -> t.Iterator[Circle]:
    """For each import within a folder the shortest way back."""
    files = graph.find_children(folder)
    for importer in files:
        for imported in graph.find_modules_directly_imported_by(importer) & files:
            back = graph.find_shortest_chain(importer=imported, imported=importer)
            # One through other folders is for the contracts about these.
            if back and files.issuperset(back):
                yield Circle.of(back)


def described(graph: grimp.ImportGraph, circle: Circle) -> str:
    """A circle as one goes round it."""
    steps = [
        f"{path_of(importer)}:{lines(graph, importer, imported)[0]}: imports {path_of(imported)}"
        for importer, imported in itertools.pairwise((*circle.modules, circle.modules[0]))
    ]
    return f"a circle of {circle.length} imports\n" + "\n".join(f"  {step}" for step in steps)
