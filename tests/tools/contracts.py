# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kind of contract that import-linter does not bring: see one face, and nothing behind it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from importlinter import Contract, ContractCheck, fields, output

if t.TYPE_CHECKING:
    import grimp


@dataclass(frozen=True)
class Finding:
    """One importer that sees something else than one face."""

    importer: str
    faces: tuple[str, ...]
    others: tuple[tuple[str, tuple[int, ...]], ...]  # each with its lines


def path_of(module: str) -> str:
    """The file of a module, as one names it on the command line."""
    return f"{module.replace('.', '/')}.py"


def lines(graph: grimp.ImportGraph, importer: str, imported: str) -> tuple[int, ...]:
    """Where one imports another."""
    details = graph.get_import_details(importer=importer, imported=imported)
    return tuple(detail["line_number"] for detail in details)


def sentences(finding: Finding) -> t.Iterator[str]:
    """What is wrong with one importer."""
    path = path_of(finding.importer)
    for other, places in finding.others:
        for line in places:
            yield f"{path}:{line}: imports {path_of(other)}, which is no face"
    if len(finding.faces) > 1:
        yield f"{path}: imports several faces: {', '.join(map(path_of, finding.faces))}"
    elif not finding.faces:
        yield f"{path}: imports no face"


class OneFace(Contract):
    """Of what is ours, each of the importers imports exactly one of the faces and nothing else."""

    importers = fields.ModuleExpressionField()
    faces = fields.ModuleExpressionField()
    broken_contract_guidance = fields.TextField()

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Look at what each of the importers imports itself."""
        importers = graph.find_matching_modules(str(self.importers))
        faces = graph.find_matching_modules(str(self.faces))
        if not importers or not faces:
            raise ValueError(f"{self.importers} or {self.faces}: there is no such file")
        findings = []
        for importer in sorted(importers):
            output.verbose_print(verbose, f"Looking at the imports of {importer}...")
            imported = set(filter(self._is_ours, graph.find_modules_directly_imported_by(importer)))
            if len(imported & faces) != 1 or imported - faces:
                others = [
                    (other, lines(graph, importer, other)) for other in sorted(imported - faces)
                ]
                seen = tuple(sorted(imported & faces))
                findings.append(Finding(importer, seen, tuple(others)))
        return ContractCheck(kept=not findings, metadata={"findings": findings})

    def _is_ours(self, module: str) -> bool:
        return module.partition(".")[0] in self.session_options["root_packages"]

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say what was found, and what to do instead."""
        for finding in check.metadata["findings"]:
            for sentence in sentences(finding):
                output.print_error(sentence, bold=False)
        output.print(str(self.broken_contract_guidance))
