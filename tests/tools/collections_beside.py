# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put modules of other collections, from the package "ansible", beside ours in build/collections.

collections_beside.py COLLECTION MODULE...: such as community.general zypper pacman
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(os.environ["NSPAWN_MACHINED_ROOT"])
COLLECTIONS = ROOT / "build" / "collections"
REQUIREMENTS = ROOT / "tests" / "requirements" / "families.txt"


def main() -> None:
    collection, *modules = sys.argv[1:]
    part = f"ansible_collections/{collection.replace('.', '/')}/"
    files = [f"{part}plugins/modules/{name}.py" for name in modules]
    if all((COLLECTIONS / name).exists() for name in files):
        return
    beside = re.compile(
        re.escape(part)
        + r"((MANIFEST|FILES)\.json|meta/runtime\.yml|plugins/(module_utils|doc_fragments)/.*)"
    )
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as scratch:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*download, "--dest", scratch, "-r", str(REQUIREMENTS)], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            needed = [name for name in archive.namelist() if beside.fullmatch(name)]
            archive.extractall(COLLECTIONS, [*needed, *files])


if __name__ == "__main__":
    main()
