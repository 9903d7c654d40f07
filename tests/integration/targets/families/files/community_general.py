# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put community.general, of the package "ansible", beside our collection in build/collections."""

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
PART = "ansible_collections/community/general/"
# All that the modules of zypper and pacman need.
NEEDED = re.compile(
    PART + r"((MANIFEST|FILES)\.json|meta/runtime\.yml|"
    r"plugins/(modules/(zypper|pacman)\.py|module_utils/.*))$"
)


def main() -> None:
    if (COLLECTIONS / PART / "plugins" / "modules" / "pacman.py").exists():
        return
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as scratch:
        requirements = ROOT / "tests" / "requirements" / "families.txt"
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*download, "--dest", scratch, "-r", str(requirements)], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            needed = [name for name in archive.namelist() if NEEDED.match(name)]
            archive.extractall(COLLECTIONS, needed)


main()
