# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import figures

MODULE = '''\
DOCUMENTATION = """
a: b
"""

from ..module_utils._core import face


def main() -> None:
    face.converge()
'''


def test_the_documentation_of_a_module_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/image.py").write_text(MODULE)
    found = figures.lengths(tmp_path)
    assert found["files"] == {"modules/image.py": len(MODULE.splitlines()) - 3}
    assert found["main"] == {"modules/image.py main": 2}
    assert found["functions"] == {}


def test_classes_and_functions_are_counted_with_the_methods(tmp_path: Path) -> None:
    (tmp_path / "plan.py").write_text("class A:\n    def b(self):\n\n        return 1\n")
    found = figures.lengths(tmp_path)
    assert found["classes"] == {"plan.py A": 4}
    assert found["functions"] == {"plan.py b": 3}


def test_of_what_is_sent_the_archive_and_our_files_in_it_are_counted() -> None:
    content = io.BytesIO()
    ours = "ansible_collections/nspawn/machined/plugins"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{ours}/__init__.py", "")
        archive.writestr(f"{ours}/module_utils/_core/plan.py", "x" * 100)
        archive.writestr("ansible/module_utils/basic.py", "x" * 1000)
    encoded = base64.b64encode(content.getvalue())
    found = figures.read_zip(b"import sys\nZIPDATA = '%s'\nmain()\n" % encoded)
    assert found == figures.Zip(len(content.getvalue()), files=1, ours=100)


def test_what_is_too_long_is_counted_and_the_longest_named() -> None:
    lengths = {"functions": {"a": 51, "b": 50, "c": 9}}
    said = figures.longest(figures.Figures(lengths, {}, {}), "functions", 2)
    assert list(said) == [
        "functions: 3, of which 1 have more than 50 lines",
        "    51  a",
        "    50  b",
    ]


def test_a_module_that_one_checkout_lacks_has_an_empty_place() -> None:
    one = {"image": figures.Zip(3, 2, 1)}
    lines = list(figures.table([one, {}]))
    assert [line.split() for line in lines] == [["image", "3", "1", "2", "|"]]
