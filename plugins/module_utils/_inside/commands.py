# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Commands inside a machine that runs. Private to the collection.

Through C(systemd-run), which confines the command as the machine is confined and keeps its exit
code, both its streams and binary input; nothing else does all of that.

Whoever is at the other end gets our descriptors, and not only what is said through them: only
pipes are given to it, never a file or a device of the host.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t
import uuid

from .._core import caller
from .._core import run as core_run
from .._core.plan import Failure
from .._core.printable import printable
from . import leader as leaders

# What systemd says when it could not even begin, in the place of an exit code.
_NOT_BEGUN: t.Mapping[int, str] = {
    200: "the directory {chdir} does not exist in it, or {user} may not enter it",
    203: "there is no command /bin/sh in it, or it cannot be executed",
    217: "there is no user {user} in it",
}
LONGEST = 10 * 365 * 24 * 3600
# At its deadline a command is ended from here. When nobody is here any more, systemd does it so
# much later.
LATER = 15
_HELP = 5
_WAIT = 5


@dataclasses.dataclass(frozen=True)
class Command:
    """What is to be run, and as whom."""

    argv: tuple[str, ...]
    user: t.Optional[str] = None
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    chdir: t.Optional[str] = None
    stdin: bytes = b""
    timeout: float = 3600
    limit: int = core_run.OUTPUT_LIMIT
    """How much is kept of each of its streams."""


def check(command: Command) -> None:
    """Refuse what would be taken for something else on the way."""
    if not command.argv or not command.argv[0]:
        raise Failure("argv: expected the command and its arguments, found nothing")
    for number, word in enumerate(command.argv):
        if "\0" in word:
            raise Failure(f"argv: word {number} contains a null character, which no argument can")
    for name, value in command.environment.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Failure(
                f"environment: {name!r} is no name of a variable; expected letters, digits and _"
            )
        if "\0" in value:
            raise Failure(f"environment: {name} contains a null character, which no variable can")
    if command.chdir is not None and not command.chdir.startswith("/"):
        raise Failure(f"chdir: {command.chdir!r}: expected an absolute path inside the machine")
    if command.user is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", command.user):
        raise Failure(f"user: {command.user!r} cannot be the name of a user")
    check_timeout(command.timeout)
    if command.limit < 0:
        raise Failure(f"max_output: {command.limit}: expected a number of bytes, 0 or more")


def check_timeout(seconds: float) -> None:
    if math.isnan(seconds) or not 0 < seconds <= LONGEST:
        wrong = "too short" if seconds <= 0 else "no time to wait"
        raise Failure(
            f"timeout: {seconds:g} is {wrong}; expected seconds, more than 0 and at most {LONGEST}"
        )


# --- the shell around it --------------------------------------------------------------------

# What a variable is goes where no other process can read it: neither into arguments nor into
# properties of a unit. So the shell reads it, line by line and nothing of what comes after it.
#
# It says itself how the command ended. systemd-run tells 0 of a machine that was killed
# meanwhile, and of a command that was killed by SIGTERM; systemd-nspawn tells 255 of every
# signal. And a shell that had nothing left to do would become the command.
_SHELL = """_nm_lines=$1 _nm_end=$2 _nm_text=
shift 2
while [ "$_nm_lines" -gt 0 ]; do
IFS= read -r _nm_line || exit 125
_nm_text="$_nm_text$_nm_line
"
_nm_lines=$((_nm_lines - 1))
done
(
eval "$_nm_text" || exit 125
"$@"
exit "$?"
)
_nm_code=$?
printf '%s%s.' "$_nm_end" "$_nm_code" >&2
exit "$_nm_code"
"""


class Wrapped:
    """A command with a shell around it."""

    def __init__(self, command: Command) -> None:
        self.command = command
        end = f"<{uuid.uuid4().hex}:"
        preamble = preamble_of(command.environment)
        lines = preamble.count(b"\n")
        self._end = end.encode()
        self.argv = ("/bin/sh", "-c", _SHELL, "sh", str(lines), end, *command.argv)
        self.stdin = preamble + command.stdin

    def result(self, result: core_run.Result) -> t.Optional[core_run.Result]:
        """What the command itself said and ended with; nothing when it has not ended itself."""
        said = result.stderr.encode("utf-8", "surrogateescape")
        lost = result.lost.get("stderr", 0)
        end = result.ends.get("stderr", b"")
        if lost == len(end):
            said, end, lost = said + end, b"", 0
        before, found, after = (end or said).rpartition(self._end)
        code, dot, after = after.partition(b".")
        if not found or not dot or not re.fullmatch(rb"[0-9]{1,3}", code):
            return None
        if end:
            lost -= len(found + code + dot)
        else:
            said = before + after
        limit = self.command.limit
        losses = {**result.lost, "stderr": lost + max(0, len(said) - limit)}
        return dataclasses.replace(
            result,
            argv=self.command.argv,
            rc=int(code),
            stderr=said[:limit].decode("utf-8", "surrogateescape"),
            lost={name: count for name, count in losses.items() if count},
        )


def preamble_of(environment: t.Mapping[str, str]) -> bytes:
    """Variables in the shell's words."""
    words = []
    for name, value in environment.items():
        quoted = value.replace("'", "'\\''")
        words.append(f"export {name}='{quoted}'\n")
    return "".join(words).encode("utf-8", "surrogateescape")


def overdue(place: str, command: Command, result: core_run.Result, more: str = "") -> Failure:
    """What is said of a command that took too long: never its arguments or variables."""
    return Failure(
        f"{place}: {printable(command.argv[0])} did not end within {command.timeout:g} s and was "
        f"stopped{more}",
        stdout=printable(result.stdout, lines=True),
        stderr=printable(result.stderr, lines=True),
    )


# --- in a machine ---------------------------------------------------------------------------


def run(
    machine: str,
    command: Command,
    *,
    stream: t.Optional[t.Callable[[], int]] = None,
    for_caller: bool = False,
) -> core_run.Result:
    """Run a command in a machine to its end; its exit code is the result's, whatever it is.

    With O(for_caller) it is ended, too, when nobody waits for the module any more.
    A O(stream) opens a pipe that the command reads, in the place of its C(stdin).
    """
    check(command)
    wrapped = Wrapped(command)
    if stream is not None and wrapped.stdin:
        raise AssertionError("what comes before a stream would have to be in it")
    with leaders.held(machine) as leader, caller.awaited(for_caller):
        unit = f"nspawn-machined-{uuid.uuid4().hex}.service"
        argv = [*_systemd_run(machine, command, unit), "--", *escaped(wrapped.argv)]
        try:
            result = core_run.run(
                argv,
                input=None if stream else wrapped.stdin,
                stdin=stream() if stream else None,
                timeout=command.timeout,
                check=False,
                limit=command.limit,
                cut=True,
                raw=True,
                for_caller=for_caller,
            )
        except BaseException as error:
            # Ending our end of it leaves the unit running in the machine.
            more = _kill(leader, unit)
            if isinstance(error, core_run.CommandFailed) and error.result.rc == -1:
                raise overdue(machine, command, error.result, more) from None
            raise
        return wrapped.result(result) or _without_end(leader, command, result)


def _systemd_run(machine: str, command: Command, unit: str) -> list[str]:
    argv = systemd_run(machine, unit, command.user)
    argv.append(f"--property=RuntimeMaxSec={command.timeout + LATER:.3f}")
    if command.chdir is not None:
        argv.append(f"--working-directory={command.chdir}")
    return argv


def systemd_run(machine: str, unit: str, user: t.Optional[str] = None) -> list[str]:
    """How a unit is started in a machine whose streams are the caller's."""
    argv = ["systemd-run", f"--machine={machine}", f"--unit={unit}", "--quiet", "--pipe", "--wait"]
    # Without a user HOME is not set; and "yes | head" needs SIGPIPE to end.
    argv += ["--collect", f"--uid={user or 'root'}", "--property=IgnoreSIGPIPE=no"]
    # Otherwise its arguments, for the machine's journal.
    argv.append("--description=Command of nspawn.machined")
    return argv


def escaped(argv: t.Iterable[str]) -> list[str]:
    """Arguments that C(systemd-run) gives on as they are: it would put in variables for them."""
    return [word.replace("$", "$$") for word in argv]


def _kill(leader: leaders.Leader, unit: str) -> str:
    """Kill a unit of a machine; what there is to say when it would not let us."""
    if not leader.lives():
        return "; the machine has stopped meanwhile"
    if leader.kill(unit):
        return ""
    argv = ["systemctl", f"--machine={leader.machine.name}", "kill", "--signal=SIGKILL", "--", unit]
    try:
        core_run.run(argv, timeout=_HELP)
    except core_run.CommandFailed:
        return " here; the machine does not answer, so it was never begun there, or runs on"
    return ""


def _without_end(leader: leaders.Leader, command: Command, result: core_run.Result) -> t.NoReturn:
    """Why a command has not ended by itself."""
    machine = leader.machine.name
    program = printable(command.argv[0])
    said = printable(result.stderr.strip()[-2000:], lines=True)
    details = {"rc": result.rc, "stderr": said}
    if result.rc in _NOT_BEGUN and not result.stdout and not said:
        reason = _NOT_BEGUN[result.rc].format(
            chdir=command.chdir or "/", user=command.user or "root"
        )
        raise Failure(f"{machine}: {program} was not run: {reason}", **details)
    if (
        leader.lives()
        and result.rc == 1
        and re.match(r"Failed to (connect to|create|get)\b.*\bbus\b", said, re.I)
    ):
        raise Failure(
            f"{machine}: commands need a D-Bus inside: {said}. Install dbus in it, or wait until "
            "it has booted",
            **details,
        )
    # Its D-Bus ends before it does.
    if not leader.lives(_WAIT):
        raise Failure(
            f"{machine} stopped before {program} had ended. Start it, and see how far that came",
            **details,
        )
    raise Failure(
        f"{machine}: {program} did not come to its end: something ended it, or systemd in the "
        f"machine could not run it (exit code {result.rc}): {said or 'nothing was said'}",
        **details,
    )
