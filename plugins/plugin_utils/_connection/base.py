# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the connection plugins have in common. Private to the collection.

Ansible loads and compiles this for every task, and most tasks find a lane that waits for them. So
only what those need is imported here; what makes a lane is imported where one has to be made.
"""

from __future__ import annotations

import multiprocessing
import os
import typing as t
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase
from ansible.template import Templar
from ansible.utils.display import Display

from .keeping import Keeping
from .lane import Broken, Lane, Refused

if t.TYPE_CHECKING:
    import subprocess

    from . import making
    from .direct import Direct

display = Display()

Done = t.TypeVar("Done")


class MachineConnection(ConnectionBase):
    """Commands and files for a system that is inside of a host."""

    has_pipelining = True
    has_tty = True
    what = "the machine"

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        run = multiprocessing.parent_process()
        process = os.getpid() if run is None else int(run.pid or 0)
        self._keeping = Keeping(Path(vars(C)["DEFAULT_LOCAL_TMP"]), process)
        self._lane: t.Optional[Lane] = None
        self._starter: t.Optional[subprocess.Popen[bytes]] = None
        self._direct: t.Optional[Direct] = None
        self._looked_into = False

    # --- its options ---

    def _resolve_option_variables(
        self, variables: t.Mapping[str, t.Any], templar: t.Any
    ) -> dict[str, t.Any]:
        self._looked_into = True
        return dict(super()._resolve_option_variables(variables, templar))

    def set_options(
        self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None
    ) -> None:
        if var_options and not self._looked_into:
            # "meta: reset_connection" gives variables whose templates nobody has looked into.
            templar = Templar(None, dict(var_options))
            names = C.config.get_plugin_vars("connection", self._load_name)
            found = {
                name: templar.template(var_options[name]) for name in names if name in var_options
            }
            var_options = {**var_options, **found}
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)

    # --- what each of them says of itself ---

    def way(self) -> making.Way:
        """How a lane is made."""
        raise NotImplementedError

    def host(self) -> str:
        """The host's name."""
        raise NotImplementedError

    def how(self) -> str:
        """The same for the same way to it."""
        raise NotImplementedError

    @property
    def target(self) -> str:
        """What commands are run in."""
        return str(self.get_option("machine"))

    # --- Ansible's side ---

    def _connect(self) -> MachineConnection:
        if not self._connected:
            self._connected = True
            display.vvv(f"ENTER {self.target} AS {self.user}", host=self.target)
        return self

    @property
    def user(self) -> str:
        """Who commands are run as, inside."""
        return str(self.get_option("remote_user") or (self.owner() if self.owned else "root"))

    def owner(self) -> str:
        """Who is on the host, and so in the machine."""
        raise NotImplementedError

    @property
    def owned(self) -> bool:
        """Whether it is entered with an owner's own rights."""
        return False

    @property
    def _patience(self) -> float:
        return float(self.get_option("timeout"))

    def exec_command(
        self, cmd: str, in_data: t.Optional[bytes] = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        self._connect()
        display.vvv(f"EXEC {cmd}", host=self.target)
        request = {
            "argv": ["/bin/sh", "-c", cmd],
            "user": self.user,
            "terminal": self._wants_terminal(in_data, sudoable),
        }
        watcher = self._watcher() if sudoable else None
        ended = self._do(lambda lane: lane.run(request, bytes(in_data or b""), watcher))
        return ended.rc, ended.stdout, ended.stderr

    def _wants_terminal(self, in_data: t.Optional[bytes], sudoable: bool) -> bool:
        if in_data or not sudoable:
            return False
        # Those who cannot be given a module through a pipe ask for passwords at a terminal.
        return bool(self.get_option("use_tty")) or bool(self.become and not self.become.pipelining)

    def _watcher(self) -> t.Any:
        """Who answers what asks for a password inside."""
        if self.become is None or not self.become.success or not self.become.expect_prompt():
            return None
        from .prompts import Prompts

        return Prompts(self.become, f"in {self.what} {self.target}", self._patience)

    def put_file(self, in_path: str, out_path: str) -> None:
        self._connect()
        display.vvv(f"PUT {in_path} TO {out_path}", host=self.target)
        source = Path(in_path)
        if not source.is_file():
            raise AnsibleFileNotFound(f"file or module does not exist: {in_path}")
        mode = source.stat().st_mode & 0o777
        request = {"path": out_path, "user": self.user, "mode": mode}
        self._do(lambda lane: lane.put(source, request))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        self._connect()
        display.vvv(f"FETCH {in_path} TO {out_path}", host=self.target)
        request = {"path": in_path, "user": self.user}
        self._do(lambda lane: lane.get(Path(out_path), request))

    def reset(self) -> None:
        """The next task gets in anew."""
        if self._lane is not None:
            self._lane.finish()
            self._lane = None
        self._end()
        for kept in self._keeping.drop(self._place):
            Lane(kept.descriptors, self._patience, veiled=self.owned).finish()

    def close(self) -> None:
        """What is open stays so for the next task of this run."""
        if self._lane is not None:
            lane, self._lane = self._lane, None
            if lane.is_quiet():
                self._keeping.give(self._key, lane.descriptors)
            lane.close()
        if self._starter is not None:
            # It is there for tasks to come; it is an orphan when this one has ended.
            self._starter.returncode = 0
            self._starter = None
        self._connected = False

    # --- lanes ---

    @property
    def _place(self) -> str:
        who = self.user if self.owned else ""
        return f"{self.transport}\n{self.host()}\n{self.target}\n{who}\n"

    @property
    def _key(self) -> str:
        return f"{self._place}{self.how()}"

    def _do(self, request: t.Callable[[t.Any], Done]) -> Done:
        """Carry out a request, once more where the lane that had waited was there no more."""
        while True:
            fresh, lane = self._open()
            try:
                return request(lane)
            except Refused as error:
                raise AnsibleError(f"in {self.what} {self.target}: {_shown(error)}") from None
            except Broken as error:
                self._end()
                if fresh or error.begun:
                    raise self._lost(error) from None
            except BaseException:
                self._end()
                raise

    def _open(self) -> tuple[bool, Lane | Direct]:
        """A lane, and whether it has only just been made."""
        if self._lane is not None:
            return False, self._lane
        if self._direct is not None:
            return True, self._direct
        while True:
            kept = self._keeping.take(self._key)
            if kept.note.get("direct"):
                self._direct = self.way().direct(self.user, self._keeping, self._key)
                return True, self._direct
            if not kept.descriptors:
                return True, self._made()
            self._lane = Lane(kept.descriptors, self._patience, veiled=self.owned)
            if self._lane.is_quiet():
                return False, self._lane
            self._end()

    def _made(self) -> Lane | Direct:
        way = self.way()
        made = way.make(self._keeping)
        if made is None:
            self._keeping.note(self._key, {"direct": True})
            self._direct = way.direct(self.user, self._keeping, self._key)
            return self._direct
        self._lane, self._starter = made
        return self._lane

    def _end(self) -> None:
        """End a lane, and so what is under way at its other end."""
        lane, self._lane = self._lane, None
        starter, self._starter = self._starter, None
        if lane is not None:
            lane.end()
        if starter is not None:
            from . import making

            making.await_end(starter)

    def _lost(self, error: Broken) -> AnsibleError:
        return AnsibleConnectionFailure(
            f"the way into {self.what} {self.target} was lost: {_shown(error)}. It has stopped, "
            "been restarted or paused, or its host has gone; what was under way in it ends"
        )


def _shown(error: Exception) -> str:
    from ...module_utils._core.printable import printable

    return printable(str(error), lines=True)
