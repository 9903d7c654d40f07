# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Shows on the controller how far a long module has come. Private to the collection.

Ansible hands a module's output over when it ends. Meanwhile a second channel of the connection
reads the small files in which the module counts; over ssh that is one more command through the
connection that is open anyway, and only when the module takes more than a few seconds.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import threading
import time
import typing as t

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

from ...module_utils._core.lines import lines_of
from ...module_utils._core.printable import printable
from ...module_utils._core.progress import DIRECTORY

PATIENCE = 3.0
ON_TERMINAL = 1.0
ELSEWHERE = 30.0
PHASE_LENGTH = 80

Fields = t.Mapping[str, t.Any]
Probe = t.Callable[[], t.Iterable[Fields]]

_UNITS = ("B", "kB", "MB", "GB", "TB")


# --- words ----------------------------------------------------------------------------------


def sentence(fields: Fields) -> str:
    """One line that says how far something is: percent, rate, time left; or phase and time.

    What came from the host, and what a build has said there, must not command the terminal.
    """
    return printable(_sentence(fields))


def _sentence(fields: Fields) -> str:
    if "phase" in fields:
        words = [str(fields["phase"])[:PHASE_LENGTH], _clock(fields["seconds"])]
        return f"{fields['doing']} {fields['subject']}: {', '.join(filter(None, words))}"
    done, total, seconds = fields["done"], fields.get("total"), fields["seconds"]
    rate = done / seconds if seconds > 0 else 0
    words = []
    if total:
        words.append(f"{min(100, 100 * done // total)} %")
    if fields.get("unit") != "part":
        words.append(f"{_size(rate)}/s" if total else f"{_size(done)}, {_size(rate)}/s")
    if total and rate:
        words.append(f"{_clock((total - done) / rate)} left")
    return f"{fields['doing']} {fields['subject']}: {', '.join(words)}"


def _size(number: float) -> str:
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return (
        f"{number:.0f} {_UNITS[unit]}"
        if number >= 10 or not unit
        else f"{number:.1f} {_UNITS[unit]}"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def parse(output: str) -> list[dict[str, t.Any]]:
    """What the files on the host said, one JSON object a line; half of one is left out."""
    found = []
    for line in lines_of(output):
        with contextlib.suppress(ValueError):
            fields = json.loads(line)
            if isinstance(fields, dict) and {"doing", "subject", "done", "seconds"} <= set(fields):
                found.append(fields)
    return found


# --- watching -------------------------------------------------------------------------------


def on_terminal() -> bool:
    """Whether a person looks on. A worker's own output leads nowhere; its parent's does."""
    try:
        target = os.readlink(f"/proc/{os.getppid()}/fd/1")
    except OSError:
        return False
    return target.startswith(("/dev/pts/", "/dev/tty", "/dev/console"))


class Watcher:
    """Says how far it is while the body of a C(with) statement runs."""

    def __init__(self, host: str, probe: Probe) -> None:
        self._host = host
        self._probe = probe
        self._end = threading.Event()
        self._terminal = on_terminal()
        self._written = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join(timeout=5)
        if self._written and self._terminal:
            Display().display("\r\033[K", newline=False)

    def _watch(self) -> None:
        pause = PATIENCE if self._terminal else ELSEWHERE
        while not self._end.wait(pause):
            pause = ON_TERMINAL if self._terminal else ELSEWHERE
            try:
                lines = [sentence(fields) for fields in self._probe()]
            except Exception:
                # What is only shown must not make the task fail, whatever the connection says.
                return
            if lines and not self._end.is_set():
                self._show(lines)

    def _show(self, lines: t.Sequence[str]) -> None:
        self._written = True
        if self._terminal:
            text = "; ".join(lines)
            Display().display(f"\r\033[K[{self._host}] {text}", newline=False)
            return
        for line in lines:
            Display().display(f"[{self._host}] {line}")


class ProgressAction(ActionBase):
    """An action that runs its module and shows how far it is."""

    _supports_check_mode = True
    _supports_diff = True
    _requires_connection = True
    _host = ""

    def run(
        self, tmp: t.Optional[str] = None, task_vars: t.Optional[dict[str, t.Any]] = None
    ) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        self._host = str((task_vars or {}).get("inventory_hostname", ""))
        result.update(self.run_module(dict(self._task.args), task_vars or {}))
        return result

    def run_module(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        # With async nobody waits, so nobody looks on.
        alone = bool(self._task.async_val)
        with contextlib.nullcontext() if alone else self.watching(self._files_on_host):
            return t.cast(
                "dict[str, t.Any]",
                self._execute_module(
                    module_name=self._task.action,
                    module_args=arguments,
                    task_vars=task_vars,
                    wrap_async=alone and not self._connection.has_native_async,
                ),
            )

    def watching(self, probe: t.Callable[[t.Any], t.Iterable[Fields]]) -> Watcher:
        """A watcher whose probe gets a connection of its own."""
        channel: list[t.Any] = []

        def ask() -> t.Iterable[Fields]:
            if not channel:
                channel.append(self._second_connection())
            return probe(channel[0])

        return Watcher(str(self._task.delegate_to or self._host), ask)

    def _second_connection(self) -> t.Any:
        """Another connection of the same kind: one cannot be used by two threads at once.

        Without becoming another user: the files may be read by anybody.
        """
        connection = connection_loader.get(
            self._connection._load_name, self._play_context, task_uuid=self._task._uuid
        )
        connection._options = copy.copy(self._connection._options)
        connection._origins = copy.copy(getattr(self._connection, "_origins", {}))
        return connection

    @staticmethod
    def _files_on_host(connection: t.Any) -> list[dict[str, t.Any]]:
        # A file that nobody has written for a while is that of a run that was killed.
        command = f"find {DIRECTORY} -name '*.json' -mmin -0.2 -exec cat {{}} + -exec echo \\;"
        _rc, stdout, _stderr = connection.exec_command(f"{command} 2>/dev/null", sudoable=False)
        return parse(stdout.decode("utf-8", "replace"))


def elapsed() -> t.Callable[[], float]:
    """A clock that starts now."""
    started = time.monotonic()
    return lambda: time.monotonic() - started
