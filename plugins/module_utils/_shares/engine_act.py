# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Let people inside of machines use a socket of the host. Private to the collection.

By the machine's own programs: no process of the host follows a path that the machine has made.
"""

from __future__ import annotations

from .._core.plan import Failure, Step, Verbs
from .._core.printable import printable
from .._inside import commands
from .._systemd import jobs, machined
from . import memory

DEADLINE = 60
STOP = 90
BOOT = 120
# What gpasswd ends with when somebody else was faster.
_NOT_A_MEMBER = 3


def _group(step: Step) -> None:
    _remember(step)
    words = step.arguments
    shared = ["--non-unique"] if words["shared"] else []
    _inside(step, "groupadd", "--gid", str(words["gid"]), *shared, words["group"])


def _members(step: Step) -> None:
    _remember(step)
    for member in step.arguments["more"]:
        _inside(step, "gpasswd", "--add", member, step.arguments["group"])
    for member in step.arguments["less"]:
        _inside(step, "gpasswd", "--delete", member, step.arguments["group"], also=_NOT_A_MEMBER)


def _mask(step: Step) -> None:
    _remember(step)
    for verb, units in (("mask", step.arguments["more"]), ("unmask", step.arguments["less"])):
        if units:
            now = ["--now"] if verb == "mask" else []
            _inside(step, "systemctl", verb, *now, "--", *units)


def _ungroup(step: Step) -> None:
    _inside(step, "groupdel", step.arguments["group"])
    _remember(step)


def _restart(step: Step) -> None:
    unit = machined.unit_of(step.subject)
    outcome = jobs.restart([unit], STOP, BOOT)[unit]
    if outcome.word != "started":
        raise outcome.failure or Failure(f"{step.subject} did not come back: {outcome.word}")


def _forget(step: Step) -> None:
    memory.forget(step.arguments["machine"])


def _remember(step: Step) -> None:
    """Before it is done: what was begun must be known as ours if it is cut off."""
    memory.write(step.arguments["machine"], step.arguments["record"])


def _inside(step: Step, *argv: str, also: int = 0) -> None:
    machine = step.arguments["machine"]
    result = commands.run(machine, commands.Command(argv, timeout=DEADLINE, limit=1 << 16))
    if result.rc not in (0, also):
        said = printable(result.stderr.strip(), lines=True) or f"exit code {result.rc}"
        raise Failure(f"{machine}: {argv[0]} could not change it: {said}")


VERBS: Verbs = {
    "restart": _restart,
    "group": _group,
    "members": _members,
    "mask": _mask,
    "ungroup": _ungroup,
    "forget": _forget,
}
