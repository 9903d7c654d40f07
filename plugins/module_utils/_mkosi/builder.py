# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who builds: root, or a user whose deputy does whatever is done in the user's directory.

Private to the collection. Files are read, written and removed by C(Builder.call), programs are
started by C(Builder.run) and by the unit of a build: of a user's in a unit, which ends with all
that it has started, and knows nothing of root's environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import typing as t

from .._core import deputy as core_deputy
from .._core import memory
from .._core import run as core_run
from .._core.deputy import Account, Deputy
from .._core.plan import Failure

ROOT = Account(0, 0, "root", "/root")
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


class Builder:
    """One who builds."""

    def __init__(self, account: Account = ROOT, deputy: t.Optional[Deputy] = None) -> None:
        self.account = account
        self._deputy = deputy

    @property
    def is_root(self) -> bool:
        return self._deputy is None

    def call(
        self,
        work: t.Callable[..., t.Any],
        *arguments: t.Any,
        patience: float = core_deputy.PATIENCE,
    ) -> t.Any:
        """What a function returns that is called as who builds; plain data."""
        if self._deputy is None:
            return work(*arguments)
        return self._deputy.call(work, *arguments, patience=patience)

    def run(
        self,
        argv: t.Sequence[str],
        unit: str,
        *,
        cwd: str,
        timeout: float,
        environment: t.Optional[t.Mapping[str, str]] = None,
        cut: bool = False,
    ) -> core_run.Result:
        """Run a program of which the directory decides what it does. O(unit) begins its name.

        With O(cut) it does not matter what it says, however much that is.
        """
        if self._deputy is None:
            return core_run.run(argv, cwd=cwd, timeout=timeout, environment=environment, cut=cut)
        unit = f"{unit}-{secrets.token_hex(4)}.service"
        with words(self, unit, cwd=cwd, timeout=timeout, environment=environment) as before:
            try:
                return core_run.run([*before, "--", *doubled(argv)], timeout=timeout, cut=cut)
            except BaseException:
                end(unit)
                raise


@contextlib.contextmanager
def as_user(account: Account) -> t.Iterator[Builder]:
    """One who builds as a user; to be made before there are threads."""
    if account.uid == 0:
        yield Builder()
        return
    with Deputy(account) as deputy:
        yield Builder(account, deputy)


def account_named(name: str) -> Account:
    found = core_deputy.account(name)
    if found is None:
        raise Failure(f"user: this host has no user {name!r}, who was to build")
    return found


# --- units ----------------------------------------------------------------------------------


@contextlib.contextmanager
def words(
    builder: Builder,
    unit: str,
    *,
    cwd: str,
    timeout: float,
    description: str = "",
    environment: t.Optional[t.Mapping[str, str]] = None,
) -> t.Iterator[list[str]]:
    """The command line that starts a unit; behind it come C(--) and the program's own."""
    argv = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}"]
    argv += ["--service-type=exec", f"--working-directory={cwd}"]
    # For the case that we do not live to end it ourselves.
    argv += [f"--property=RuntimeMaxSec={timeout + 10:g}", "--property=TimeoutStopSec=10"]
    argv += ["--property=LimitNOFILE=524288"]
    if description:
        argv.append(f"--description={description}")
    if not builder.is_root:
        argv.append(f"--uid={builder.account.name}")
    fixed = {
        "HOME": builder.account.home,
        "PATH": core_run.SEARCH_PATH,
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        **(environment or {}),
    }
    argv += [f"--setenv={name}={value}" for name, value in fixed.items()]
    with _proxies(unit) as file:
        if file:
            argv.append(f"--property=EnvironmentFile={file}")
        yield argv


@contextlib.contextmanager
def _proxies(unit: str) -> t.Iterator[t.Optional[str]]:
    """A file with the proxies of the environment, in which there may be passwords.

    What is given on the command line, or as a property, can be read by everybody on the host.
    """
    names = [spelling for name in PROXIES for spelling in (name, name.upper())]
    lines = [f'{name}="{_quoted(os.environ[name])}"\n' for name in names if os.environ.get(name)]
    if not lines:
        yield None
        return
    path = os.path.join(memory.runtime("mkosi"), f"{unit}.environment")
    memory.write(path, "".join(lines), durable=False)
    try:
        yield path
    finally:
        memory.forget(path)


def _quoted(value: str) -> str:
    if not value.isprintable():
        raise Failure("a proxy in the environment of the module has a control character in it")
    return re.sub(r'(["\\`$])', r"\\\1", value)


def doubled(argv: t.Iterable[str]) -> list[str]:
    """Words as systemd-run gives them on: it would put in variables."""
    return [word.replace("$", "$$") for word in argv]


def end(unit: str) -> None:
    """Stop a unit with all its processes; no error when there is none."""
    core_run.run(["systemctl", "kill", "--signal=KILL", "--", unit], check=False)
    core_run.run(["systemctl", "stop", "--", unit], check=False)
    core_run.run(["systemctl", "reset-failed", "--", unit], check=False)
