# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is run on a host around what leads into a machine, with other commands in its place."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.nspawn.machined.plugins.plugin_utils._connection import entry


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("code", [0, 3, 255])
def test_what_is_watched_has_its_streams_and_its_code(shell: str, code: int) -> None:
    script = f"cat; echo wrong >&2; exit {code}"
    begin = time.monotonic()
    done = subprocess.run(
        [shell, "-c", entry._WATCHED, "sh", "sh", "-c", script],
        input=b"in",
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"in", b"wrong\n", code)
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("ignored", ["", "trap '' TERM; "])
def test_what_nobody_reads_any_more_is_ended(shell: str, ignored: str, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    script = f"{ignored}echo $$ >{shlex.quote(str(mark))}; while :; do sleep 0.1; done"
    process = subprocess.Popen(
        [shell, "-c", entry._WATCHED, "sh", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    time.sleep(0.3)
    assert process.poll() is None
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    process.wait(15)
    assert not Path(f"/proc/{mark.read_text().strip()}").exists()
