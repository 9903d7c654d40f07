# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is run on a host to get into its machines. Private to the collection.

No Python is needed there: systemd's own tools and a POSIX shell do it.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import typing as t
import uuid
from pathlib import Path

from ...module_utils._core.lines import lines_of
from ...module_utils._core.printable import printable
from ...module_utils._inside import commands, offline
from ...module_utils._systemd import machined
from . import helper

NO_PYTHON = "nspawn.machined: there is no Python 3.8 or later"
_NO_PYTHON_CODE = 98

_PYTHONS = "python3 /usr/bin/python3 /usr/local/bin/python3 /usr/libexec/platform-python"
# It reads just as much as is the helper's text: requests come right behind it.
_READ = f"""import os, sys
if sys.version_info < (3, 8):
    sys.exit({_NO_PYTHON_CODE})
size, text = int(sys.argv[1]), b""
while len(text) < size:
    piece = os.read(0, size - len(text))
    if not piece:
        sys.exit(1)
    text += piece
exec(compile(text, "nspawn.machined helper", "exec"))
"""
_BOOT = f"""for python in {_PYTHONS}; do
if command -v "$python" >/dev/null 2>&1; then
"$python" -I -S -c "$1" "$2" && exit
code=$?
[ "$code" = {_NO_PYTHON_CODE} ] || exit "$code"
fi
done
echo '{NO_PYTHON}' >&2
exit {_NO_PYTHON_CODE}
"""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A helper to be: what is run on the host, and what is written to it then."""

    command: str
    text: bytes
    hello: str
    ready: bytes = b""
    """What is said when the text may be written."""
    veiled: bool = False
    """Whether a terminal is on the way, which takes some bytes for its own."""


@dataclasses.dataclass(frozen=True)
class Single:
    """A command without a helper: what is run on the host, and the unit that it is."""

    command: str
    unit: str


_EXEC = 'exec "$@"'


def shell(argv: t.Sequence[str], script: str = _EXEC) -> str:
    """A line for whatever shell a host's user has, which gives all of it to a POSIX one."""
    search = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin LC_ALL=C; export PATH LC_ALL"
    return shlex.join(["/bin/sh", "-c", f"{search}\n{script}", "sh", *argv])


def _entry(wrap: t.Callable[[t.Sequence[str]], str]) -> Entry:
    hello = uuid.uuid4().hex
    text = f"{_source()}\nmain({hello!r})\n".encode()
    return Entry(wrap(["/bin/sh", "-c", _BOOT, "sh", _READ, str(len(text))]), text, hello)


def _source() -> str:
    return Path(helper.__file__).read_text(encoding="utf-8")


# What leads into a machine does not end by itself when that is paused, or hostile: it is ended when
# nobody reads its output any more, which C(tail) notices.
_WATCHED = r"""exec 3<&0 </dev/null
"$@" <&3 3<&- &
command=$!
exec 3<&-
(
trap 'kill "$!"; exit' TERM
tail -f /dev/null &
wait "$!"
kill "$command"
sleep 5
kill -KILL "$command"
) 2>/dev/null &
watcher=$!
wait "$command"
code=$?
kill "$watcher"
exit "$code"
"""


# It is told one unit after the other; an empty line when that has come to its end. The unit may not
# have begun yet when its caller is gone already.
_GUARD = r"""printf '\110\000\000\000\040%s' "$1"
shift
unit=
while IFS= read -r line; do unit=$line; done
[ -n "$unit" ] || exit 0
for attempt in 1 2 3 4; do
"$@" "$unit" >/dev/null 2>&1
sleep 1
done
"""


def _guard(argv: t.Sequence[str]) -> Entry:
    hello = uuid.uuid4().hex
    return Entry(shell([hello, *argv], _GUARD), b"", hello)


def _missing(answer: str, program: str) -> bool:
    return (
        re.search(rf"\b{program}\b.*: not found|\b{program}: command not found", answer) is not None
    )


# --- machines -------------------------------------------------------------------------------

_ASK_OF_MACHINE = r"""machinectl show --property=State --property=Leader -- "$1" 2>&1
systemctl show --property=ActiveState --property=FreezerState -- "systemd-nspawn@$1.service" 2>&1
"""
_NO_BUS = r"Failed to (connect to|create|get)\b.*\bbus\b"
_NOT_ALLOWED = r"Access denied|authentication required|not permitted|Permission denied"


class Machine:
    """A machine that runs."""

    what = "the machine"
    has_other_ways = True
    """Whether commands can be run in it without a helper."""

    def __init__(self, name: str) -> None:
        machined.check_name(name)
        self.name = name

    def helper(self) -> Entry:
        """A helper that is confined as the machine's own services are, in a unit of its own."""
        # It makes a group of its own for each command.
        return _entry(
            lambda argv: self._single(_WATCHED, argv, "root", "--property=Delegate=pids").command
        )

    def command(self, argv: t.Sequence[str], user: str) -> Single:
        """One command, without a helper."""
        return self._single(_EXEC, argv, user)

    def guard(self) -> Entry:
        """Who ends such a command when nobody is there for it."""
        words = ["timeout", "20", "systemctl", f"--machine={self.name}"]
        return _guard([*words, "kill", "--signal=SIGKILL", "--"])

    def _single(self, script: str, argv: t.Sequence[str], user: str, *more: str) -> Single:
        unit = f"nspawn-machined-{uuid.uuid4().hex}.service"
        words = commands.systemd_run(self.name, unit, user)
        return Single(shell([*words, *more, "--", *commands.escaped(argv)], script), unit)

    def question(self) -> str:
        """What is asked of a host on which it could not be entered."""
        return shell([self.name], _ASK_OF_MACHINE)

    def reason(self, host: str, answer: str, said: str) -> str:
        """One sentence: what is wrong, and what to do."""
        found = dict(line.partition("=")[::2] for line in lines_of(answer) if "=" in line)
        last = printable(said[-1000:], lines=True) or "nothing was said"
        where, name = f"on the host {host}", self.name
        if _missing(answer, "machinectl"):
            return f"{where}: machinectl is not there; systemd-container has to be installed"
        if re.search(_NOT_ALLOWED, said, re.I):
            return (
                f"{where}: its user may not enter {name}: {last}. Set ansible_nspawn_host_become "
                "to true, or connect as root"
            )
        if not found and "No machine" not in answer:
            return f"{where}: nothing could be run there: {last}"
        if "State" not in found:
            state = found.get("ActiveState") or "unknown"
            return (
                f"{where}: the machine {name} does not run (its unit is {state}). Start it, for "
                f"example with: machinectl start {name}"
            )
        if found.get("FreezerState", "running") != "running":
            return (
                f"{where}: the machine {name} is paused. Let it go on with: systemctl thaw "
                f"systemd-nspawn@{name}.service"
            )
        if found["State"] != "running":
            return f"{where}: the machine {name} is {found['State']}. Wait until it runs"
        if re.search(_NO_BUS, said, re.I):
            return (
                f"in the machine {name}: there is no D-Bus ({last}). Wait until it has booted, or "
                "install dbus in it"
            )
        return f"in the machine {name}: no command could be run in it: {last}"


# --- machines of somebody who is not root ---------------------------------------------------

_RAW = """stty raw -echo || exit 1
printf %s "$1"
shift
"""


class Owned(Machine):
    """A machine that runs, and its owner, who may have a shell in it without being root."""

    has_other_ways = False

    def __init__(self, name: str, user: str) -> None:
        super().__init__(name)
        commands.check(commands.Command(("true",), user=user))
        self._user = user

    def helper(self) -> Entry:
        """A helper that is what the owner has run in a shell."""
        ready, hello = uuid.uuid4().hex, uuid.uuid4().hex
        text = f"{_source()}\nmain({hello!r}, veiled=True)\n".encode()
        words = ["/bin/sh", "-c", _RAW + _BOOT, "sh", ready, _READ, str(len(text))]
        argv = ["machinectl", "--quiet", "shell", f"{self._user}@{self.name}"]
        line = shell([*argv, *commands.escaped(words)], _WATCHED)
        return Entry(line, text, hello, ready.encode(), veiled=True)

    def reason(self, host: str, answer: str, said: str) -> str:
        """One sentence: what is wrong, and what to do."""
        if NO_PYTHON in said:
            return f"in the machine {self.name}: an owner can use Ansible only with a Python in it"
        if re.search(_NOT_ALLOWED, said, re.I):
            return (
                f"on the host {host}: its user may not have a shell as {self._user} in "
                f"{self.name}: {printable(said.strip()[-300:])}. The role access lets owners have "
                "one as themselves, so ansible_user has to be the owner's own name"
            )
        return super().reason(host, answer, said)


# --- images ---------------------------------------------------------------------------------

_IN_IMAGE = r"""
path=$(machinectl show-image --property=Path --value -- "$1") || exit 97
place=--image
[ -d "$path" ] && place=--directory
if [ "$2" = yes ]; then how=--ephemeral
elif [ "$(machinectl show-image --property=ReadOnly --value -- "$1")" = yes ]; then how=--read-only
else how=--volatile=no
fi
shift 2
program=$1
shift
set -- "$program" "$place=$path" "$how" "$@"
"""
_GRACE = 5
_ASK_OF_IMAGE = 'machinectl show-image --property=Path -- "$1" 2>&1'


class Image:
    """An image that does not run."""

    what = "the image"
    has_other_ways = True

    def __init__(self, name: str, *, ephemeral: bool) -> None:
        machined.check_image_name(name)
        self.name = name
        self._ephemeral = ephemeral

    def helper(self) -> Entry:
        """A helper with nothing else of the system around it."""
        return _entry(lambda argv: self._single(_WATCHED, argv, []).command)

    def command(self, argv: t.Sequence[str], user: str) -> Single:
        """One command, without a helper."""
        return self._single(_EXEC, argv, [] if user == "root" else [f"--user={user}"])

    def guard(self) -> Entry:
        """Who ends such a command when nobody is there for it."""
        # Asked to end, systemd-nspawn takes away a snapshot and its mounts.
        return _guard(["systemctl", "stop", "--"])

    def _single(self, script: str, argv: t.Sequence[str], more: t.Sequence[str]) -> Single:
        machine = f"exec-{uuid.uuid4().hex[:12]}"
        words = [*offline.systemd_nspawn(machine), f"--property=TimeoutStopSec={_GRACE}"]
        ephemeral = "yes" if self._ephemeral else "no"
        line = shell([self.name, ephemeral, *words, *more, "--", *argv], _IN_IMAGE + script)
        return Single(line, f"{machine}.scope")

    def question(self) -> str:
        """What is asked of a host on which it could not be entered."""
        return shell([self.name], _ASK_OF_IMAGE)

    def reason(self, host: str, answer: str, said: str) -> str:
        """One sentence: what is wrong, and what to do."""
        last = printable(said[-1000:], lines=True) or "nothing was said"
        where = f"on the host {host}"
        if _missing(answer, "machinectl"):
            return f"{where}: machinectl is not there; systemd-container has to be installed"
        if "Path=" not in answer:
            return f"{where}: there is no image {self.name}: {printable(answer.strip()[-300:])}"
        if "is currently busy" in said:
            return (
                f"{where}: the image {self.name} is in use, so its files cannot be written at the "
                "same time. Use the connection nspawn or nspawn_ssh while it runs, or set "
                "ansible_nspawn_ephemeral to true"
            )
        if re.search(r"Need to be root|" + _NOT_ALLOWED, said, re.I):
            return (
                f"{where}: its user may not enter images: {last}. Set ansible_nspawn_host_become "
                "to true, or connect as root"
            )
        return f"in the image {self.name}: no command could be run in it: {last}"


Target = t.Union[Machine, Image]
