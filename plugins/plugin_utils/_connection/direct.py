# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Commands in a machine without a Python: a unit for each. Private to the collection.

It needs no more than a shell inside, and costs more.
"""

from __future__ import annotations

import shlex
import typing as t
from pathlib import Path

from ansible.errors import AnsibleError

from ...module_utils._core import run as core_run
from ...module_utils._inside import commands
from . import entry
from .guards import Guards
from .hosts import Host
from .lane import Ended, Refused, Watcher

_PUT = """umask 077
cat >"$1" || exit 1
size=$(wc -c <"$1") && [ "$size" -eq "$2" ] && chmod "$3" "$1" && exit 0
rm -f -- "$1"
echo 'not all of it has arrived' >&2
exit 1
"""


class Direct:
    """A machine or image, and who commands are run as in it."""

    def __init__(
        self,
        host: Host,
        target: entry.Target,
        user: str,
        guards: Guards,
        failed: t.Callable[[str], AnsibleError],
    ) -> None:
        self._host, self._target, self._user = host, target, user
        self._guards = guards
        self._failed = failed

    def run(
        self,
        request: t.Mapping[str, t.Any],
        stdin: bytes,
        watcher: t.Optional[Watcher] = None,
    ) -> Ended:
        """Run a command to its end, whatever it ends with."""
        if watcher is not None:
            raise AnsibleError(
                f"in {self._target.what} {self._target.name}: a password can be given only where a "
                "Python is installed in it"
            )
        command = commands.Command(
            argv=tuple(request["argv"]), user=self._user, stdin=stdin, timeout=commands.LONGEST / 2
        )
        wrapped = commands.Wrapped(command)
        single = self._target.command(wrapped.argv, self._user)
        with self._guards.over(single.unit):
            rc, stdout, stderr = self._host.run(single.command, wrapped.stdin)
        found = wrapped.result(
            core_run.Result(
                command.argv,
                rc,
                stdout.decode("utf-8", "surrogateescape"),
                stderr.decode("utf-8", "surrogateescape"),
            )
        )
        if found is None:
            said = stderr.decode("utf-8", "replace").strip()
            raise self._failed(said or f"it ended with {rc}")
        return Ended(found.rc, stdout, found.stderr.encode("utf-8", "surrogateescape"))

    def put(self, path: Path, request: t.Mapping[str, t.Any]) -> None:
        """Write a file of ours there."""
        data = path.read_bytes()
        words = [request["path"], str(len(data)), f"{request['mode']:o}"]
        self._checked(["/bin/sh", "-c", _PUT, "sh", *words], request["path"], data)

    def get(self, path: Path, request: t.Mapping[str, t.Any]) -> None:
        """Make a file of one that is there."""
        name = shlex.quote(request["path"])
        script = f"[ -f {name} ] || {{ echo 'is not a regular file' >&2; exit 1; }}; cat <{name}"
        ended = self._checked(["/bin/sh", "-c", script], request["path"], b"")
        path.write_bytes(ended.stdout)

    def _checked(self, argv: list[str], path: str, stdin: bytes) -> Ended:
        ended = self.run({"argv": argv}, stdin)
        if ended.rc:
            said = ended.stderr.decode("utf-8", "replace").strip()
            raise Refused(f"{path}: {said or f'exit code {ended.rc}'}")
        return ended
