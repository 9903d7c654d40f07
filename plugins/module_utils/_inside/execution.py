# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A command of a task: where it shall run, and unless what. Private to the collection.

All for the module C(machine_exec). How a command is run is known to C(commands).
"""

from __future__ import annotations

import base64
import dataclasses
import shlex
import typing as t

from .._core import masks
from .._core.plan import Failure
from .._core.printable import printable
from .._core.run import Result
from . import commands, offline
from .commands import Command

# --- wanted ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A command, in a machine that runs or in an image that does not."""

    command: Command
    place: str
    in_image: bool
    ephemeral: bool = False
    creates: t.Optional[str] = None
    removes: t.Optional[str] = None


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    if params["ephemeral"] and params["image"] is None:
        raise Failure("ephemeral: is for an image, not for a machine that runs")
    command = command_of(params)
    commands.check(command)
    in_image = params["machine"] is None
    return Wanted(
        command,
        place=params["image" if in_image else "machine"],
        in_image=in_image,
        ephemeral=params["ephemeral"],
        creates=params["creates"],
        removes=params["removes"],
    )


def command_of(params: t.Mapping[str, t.Any]) -> Command:
    stdin = params["stdin"] or ""
    if params["stdin"] is not None and params["stdin_add_newline"]:
        stdin += "\n"
    return Command(
        argv=_argv(params),
        user=params["user"],
        environment={str(name): str(value) for name, value in params["environment"].items()},
        chdir=params["chdir"],
        stdin=stdin.encode("utf-8", "surrogateescape"),
        timeout=params["timeout"],
        limit=params["max_output"],
    )


def _argv(params: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    if params["argv"] is not None:
        return tuple(params["argv"])
    try:
        return tuple(shlex.split(params["cmd"]))
    except ValueError as error:
        raise Failure(f"cmd: cannot be taken apart: {error}") from None


# --- seen -----------------------------------------------------------------------------------


def reason_to_leave_it(wanted: Wanted) -> t.Optional[str]:
    """What makes the command needless, if anything."""
    if wanted.creates is not None and _exists(wanted, wanted.creates):
        return f"{wanted.creates} exists"
    if wanted.removes is not None and not _exists(wanted, wanted.removes):
        return f"{wanted.removes} does not exist"
    return None


def _exists(wanted: Wanted, path: str) -> bool:
    asked = Command(("test", "-e", path), timeout=wanted.command.timeout)
    return _run(wanted, asked).rc == 0


def _run(wanted: Wanted, command: Command) -> Result:
    if wanted.in_image:
        return offline.run(wanted.place, command, ephemeral=wanted.ephemeral)
    return commands.run(wanted.place, command, for_caller=True)


# --- act ------------------------------------------------------------------------------------


def execute(wanted: Wanted, *, check_mode: bool) -> dict[str, t.Any]:
    """Run the command unless something speaks against it, and tell what came of it."""
    program, *arguments = wanted.command.argv
    result: dict[str, t.Any] = {"changed": True, "cmd": [program, *masks.leaves(arguments)]}
    reason = reason_to_leave_it(wanted)
    if reason:
        return {**result, "changed": False, "skipped": True, "msg": f"Not run: {reason}."}
    if check_mode:
        conditional = wanted.creates or wanted.removes
        return {
            **result,
            "changed": bool(conditional),
            "skipped": not conditional,
            "msg": "Not run: this is check mode.",
        }
    done = _run(wanted, wanted.command)
    result.update(rc=done.rc, **said(done), changed=not wanted.ephemeral)
    if done.rc != 0:
        last = (result["stderr"].strip() or result["stdout"].strip() or "nothing")[-2000:]
        raise Failure(
            f"{wanted.place}: {printable(wanted.command.argv[0])} exited with {done.rc}: "
            f"{printable(last, lines=True)}",
            **result,
        )
    return result


def said(done: Result) -> dict[str, t.Any]:
    """Both streams as text, as bytes as well where they are none, and what is missing of them."""
    told: dict[str, t.Any] = {"truncated": bool(done.lost)}
    for name, text in (("stdout", done.stdout), ("stderr", done.stderr)):
        data = text.encode("utf-8", "surrogateescape")
        told[name] = data.decode("utf-8", "replace")
        if data != told[name].encode():
            told[f"{name}_base64"] = base64.b64encode(data).decode()
        if name in done.lost:
            told[f"{name}_lost"] = done.lost[name]
    return told
