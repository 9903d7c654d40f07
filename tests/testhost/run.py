# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that starts processes, and the error that every room raises."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import typing as t
from collections.abc import Mapping, Sequence

# What starts behind this loses its mounts and all of its processes when it ends, however it ends.
IN_NAMESPACES = (
    *("unshare", "--mount", "--propagation", "private"),
    *("--pid", "--kill-child", "--mount-proc", "--"),
)

ENVIRONMENT = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class HostError(Exception):
    """Says what was found and what to do about it; shown without a traceback."""


def run(
    command: Sequence[str],
    *,
    check: bool = True,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    log: t.IO[bytes] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; with log, both streams go there instead of into the result.

    It ends with this program: nothing is left at work by a kill -9.
    """
    streams: dict[str, t.Any] = (
        {"stdout": log, "stderr": subprocess.STDOUT}
        if log
        else {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    )
    try:
        done = subprocess.run(
            list(command),
            check=False,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            text=True,
            errors="replace",
            env={**os.environ, **ENVIRONMENT, **(env or {})},
            preexec_fn=die_with_parent,
            **streams,
        )
    except FileNotFoundError as exc:
        raise HostError(
            f"{command[0]} is not installed; run: python3 tests/testhost requirements"
        ) from exc
    if check and done.returncode:
        said = (done.stderr or done.stdout or "").strip() if not log else f"see {log.name}"
        raise HostError(f"{' '.join(command)}: exit code {done.returncode}: {said}")
    return done


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def output(command: Sequence[str]) -> str:
    return run(command).stdout
