# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that the web server of the test network serves while a test needs them."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import tarfile
import typing as t
from pathlib import Path

from ansible_collections.nspawn.machined.extensions.molecule.testkit.hosts import Inventory

FOLDER = "molecule"
# As tasks name them; "truncated" is how the server breaks a connection off.
CORRUPT_PATH = f"{{{{ testhost_www }}}}/{FOLDER}/corrupt.tar.gz"
CORRUPT_URL = f"{{{{ testhost_url }}}}/{FOLDER}/corrupt.tar.gz"
HOLLOW_URL = f"{{{{ testhost_url }}}}/{FOLDER}/hollow.tar.gz"
WHOLE_URL = f"{{{{ testhost_url }}}}/{FOLDER}/whole.tar.gz"
BROKEN_URL = f"{{{{ testhost_url }}}}/truncated/{FOLDER}/whole.tar.gz"


@contextlib.contextmanager
def files(inventory: Inventory) -> t.Iterator[Path]:
    """A small image, one that ends in the middle, and one that has nothing to boot."""
    folder = Path(inventory.variables[inventory.names[0]]["testhost_www"]) / FOLDER
    folder.mkdir(exist_ok=True)
    try:
        noise = random.Random(1).randbytes(500_000)
        _pack(folder / "whole.tar.gz", {"usr/lib/os-release": b"ID=test\n", "usr/noise": noise})
        _pack(folder / "hollow.tar.gz", {"usr/lib/os-release": b"ID=test\n"})
        whole = (folder / "whole.tar.gz").read_bytes()
        (folder / "corrupt.tar.gz").write_bytes(whole[: len(whole) // 2])
        yield folder
    finally:
        shutil.rmtree(folder)


def _pack(path: Path, contents: t.Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
