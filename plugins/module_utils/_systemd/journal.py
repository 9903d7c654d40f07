# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What units left in the journal, and their failures in words. Private to the collection."""

from __future__ import annotations

from .._core import run
from .._core.plan import Failure
from .._core.printable import printable, without_colours
from . import causes
from . import units as systemd_units


def tail(unit: str, lines: int = 20, since: float | None = None) -> list[str]:
    """The last lines that a unit, and systemd about it, left in the journal."""
    argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}"]
    if since is not None:
        argv.append(f"--since=@{since:.6f}")
    result = run.run([*argv, f"--unit={unit}"], timeout=30, check=False)
    return [line for line in map(shown, result.stdout.split("\n")) if line]


def shown(line: str) -> str:
    """A line without the colours that systemd prints; what else steers a terminal is escaped."""
    return printable(without_colours(line.rstrip("\r")), lines=True).rstrip()


def explain(
    unit: str,
    message: str = "",
    *,
    lines: int = 20,
    since: float | None = None,
    result: str = "",
) -> Failure:
    """A failure of a unit in words: what systemd knows, the likely cause, the last lines.

    O(since) leaves out what was said before; O(result) stands for systemd's own word.
    """
    known = systemd_units.details([unit])[unit]
    # What was said last may still be on its way to the journal's files.
    run.run(["journalctl", "--sync"], timeout=10, check=False)
    said = tail(unit, lines, since)
    text = (message or f"{unit} failed").rstrip(".")
    if known.result not in ("", "success"):
        text += f". systemd says {known.result}, exit status {known.exit_status}"
    cause = causes.likely(said, result or known.result, message)
    if cause:
        text += f". Likely cause: {cause}"
    text = f"{text.rstrip('.')}."
    if said:
        text += " The last lines of its journal:\n" + "\n".join(f"  {line}" for line in said)
    return Failure(text, unit=unit, result=known.result, cause=cause, journal=said)
