# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Commands inside a machine that runs, or in an image that does not. Private to the collection.

In a machine through C(systemd-run), which confines the command as the machine is confined and
keeps its exit code, both its streams and binary input; nothing else does all of that.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
import uuid

from .._core import run as core_run
from .._core.plan import Failure
from .._systemd import machined

# What systemd says when it could not even begin, in the place of an exit code.
_NOT_BEGUN: t.Mapping[int, str] = {
    200: "the directory {chdir} does not exist in it, or {user} may not enter it",
    203: "there is no command {command} in it, or it cannot be executed",
    217: "there is no user {user} in it",
}
# A killed process counts as a success for systemd when the signal was SIGTERM. A shell in
# between says 143 instead.
_THROUGH_SHELL = ("/bin/sh", "-c", '"$@"', "sh")


@dataclasses.dataclass(frozen=True)
class Command:
    """What is to be run, and as whom."""

    argv: tuple[str, ...]
    user: t.Optional[str] = None
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    chdir: t.Optional[str] = None
    stdin: t.Optional[bytes] = None
    timeout: float = 3600


def check(command: Command) -> None:
    """Refuse what would be taken for something else on the way."""
    if not command.argv or not command.argv[0]:
        raise Failure("argv: expected the command and its arguments, found nothing")
    for number, word in enumerate(command.argv):
        if "\0" in word:
            raise Failure(f"argv: word {number} contains a null character, which no argument can")
    for name in command.environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Failure(
                f"environment: {name!r} is no name of a variable; expected letters, digits and _"
            )
    if command.chdir is not None and not command.chdir.startswith("/"):
        raise Failure(f"chdir: {command.chdir!r}: expected an absolute path inside the machine")
    if command.user is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", command.user):
        raise Failure(f"user: {command.user!r} cannot be the name of a user")
    if command.timeout <= 0:
        raise Failure(f"timeout: {command.timeout:g} is too short; expected seconds above 0")


# --- in a machine ---------------------------------------------------------------------------


def run(machine: str, command: Command) -> core_run.Result:
    """Run a command in a machine to its end; its exit code is the result's, whatever it is."""
    check(command)
    _check_running(machine)
    unit = f"nspawn-machined-{uuid.uuid4().hex}.service"
    argv = [*_systemd_run(machine, command, unit), "--", *escaped(_THROUGH_SHELL + command.argv)]
    try:
        result = core_run.run(argv, input=command.stdin, timeout=command.timeout, check=False)
    except core_run.CommandFailed as error:
        if error.result.rc == -1:
            # Ending our end of it leaves the unit running in the machine.
            _stop(machine, unit)
            raise Failure(
                f"{machine}: {command.argv[0]} did not end within {command.timeout:g} s and was "
                "stopped",
                stdout=error.result.stdout,
                stderr=error.result.stderr,
            ) from None
        raise
    _check_begun(machine, command, result)
    return dataclasses.replace(result, argv=command.argv)


def _check_running(machine: str) -> None:
    machined.check_name(machine)
    registered = machined.registered()
    if machine not in registered:
        there = ", ".join(sorted(registered)) or "none"
        raise Failure(f"{machine} does not run; machines that do: {there}")


def _systemd_run(machine: str, command: Command, unit: str) -> list[str]:
    argv = ["systemd-run", f"--machine={machine}", f"--unit={unit}", "--quiet", "--pipe", "--wait"]
    # Without a user HOME is not set; and "yes | head" needs SIGPIPE to end.
    argv += ["--collect", f"--uid={command.user or 'root'}", "--property=IgnoreSIGPIPE=no"]
    if command.chdir is not None:
        argv.append(f"--working-directory={command.chdir}")
    argv += [f"--setenv={name}={value}" for name, value in command.environment.items()]
    return argv


def escaped(argv: t.Iterable[str]) -> list[str]:
    """Arguments that C(systemd-run) gives on as they are: it would put in variables for them."""
    return [word.replace("$", "$$") for word in argv]


def _stop(machine: str, unit: str) -> None:
    argv = ["systemctl", f"--machine={machine}", "kill", "--signal=SIGKILL", "--", unit]
    core_run.run(argv, timeout=30, check=False)


def _check_begun(machine: str, command: Command, result: core_run.Result) -> None:
    if result.rc in _NOT_BEGUN and not result.stdout and not result.stderr:
        reason = _NOT_BEGUN[result.rc].format(
            chdir=command.chdir or "/", user=command.user or "root", command="/bin/sh"
        )
        raise Failure(f"{machine}: {command.argv[0]} was not run: {reason}", rc=result.rc)
    if result.rc == 1 and re.match(
        r"Failed to (connect to bus|create bus connection|get D-Bus connection)", result.stderr
    ):
        raise Failure(
            f"{machine}: commands need a D-Bus inside: {result.stderr.strip()}. Install dbus in "
            "it, or wait until it has booted",
            rc=result.rc,
        )


# --- in an image ----------------------------------------------------------------------------


def run_in_image(image: str, command: Command, *, ephemeral: bool) -> core_run.Result:
    """Run a command in an image that is not running, with nothing else of the machine around."""
    check(command)
    found = _find_image(image)
    argv = ["systemd-nspawn", "--quiet", "--pipe", "--as-pid2", "--register=no"]
    # The machine's own file could start something else than what was asked for.
    argv += ["--settings=no", "--private-users=pick", "--private-users-ownership=auto"]
    argv += [f"--{'image' if found.type == 'raw' else 'directory'}={found.path}"]
    argv += ["--link-journal=no", f"--machine=exec-{uuid.uuid4().hex[:12]}"]
    if ephemeral:
        argv.append("--ephemeral")
    elif found.read_only:
        argv.append("--read-only")
    if command.user is not None:
        argv.append(f"--user={command.user}")
    if command.chdir is not None:
        argv.append(f"--chdir={command.chdir}")
    argv += [f"--setenv={name}={value}" for name, value in command.environment.items()]
    result = core_run.run(
        [*argv, "--", *command.argv], input=command.stdin, timeout=command.timeout, check=False
    )
    if result.rc == 1 and "is currently busy" in result.stderr:
        raise Failure(
            f"image {image} is in use, so its files cannot be written at the same time; run the "
            "command in the machine, or say ephemeral: true to run it in a snapshot",
            stderr=result.stderr,
        )
    return dataclasses.replace(result, argv=command.argv)


def _find_image(name: str) -> machined.Image:
    machined.check_image_name(name)
    images = machined.images()
    if name not in images:
        there = ", ".join(sorted(images)) or "none"
        raise Failure(f"image {name}: does not exist; there are: {there}")
    return images[name]
