# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""How a lane is made, and why it could not be. Private to the collection."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import typing as t
from collections import abc

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ...module_utils._core.plan import Failure
from . import entry
from .direct import Direct
from .guards import Guards
from .hosts import Host
from .keeping import Keeping
from .lane import SETTLE, Broken, Lane
from .prompts import Prompts

Made = tuple[Lane, subprocess.Popen[bytes]]


@dataclasses.dataclass
class Way:
    """From here over a host to where commands are run."""

    host: Host
    target: entry.Target
    patience: float

    def make(self, keeping: Keeping) -> t.Optional[Made]:
        """A lane and what leads to it; nothing where there is no Python for a helper."""
        return self._begun(keeping, self.target.helper)

    def guard(self, keeping: Keeping) -> Made:
        """Who ends a command without a lane, and what leads to that one."""
        made = self._begun(keeping, self.target.guard)
        if made is None:
            raise self.not_entered("")
        return made

    def _begun(self, keeping: Keeping, going_in: abc.Callable[[], entry.Entry]) -> t.Optional[Made]:
        with self.host.opening(keeping):
            for last in (False, True):
                attempt = _Attempt(self)
                try:
                    return attempt.begin(going_in())
                except (Broken, TimeoutError) as error:
                    code, said = attempt.end()
                    if entry.NO_PYTHON in said and self.target.has_other_ways:
                        return None
                    if not last and self.host.reopen(code):
                        continue
                    raise self.not_entered(said or str(error)) from None
                except BaseException:
                    attempt.end()
                    raise
        return None

    def direct(self, user: str, keeping: Keeping, key: str) -> Direct:
        """Without a lane."""
        guards = Guards(self.guard, self.patience, keeping, key)
        return Direct(self.host, self.target, user, guards, self.not_entered)

    def not_entered(self, said: str) -> AnsibleError:
        """Why nothing was run there."""
        _rc, stdout, stderr = self.host.run(self.target.question())
        answer = (stdout + b"\n" + stderr).decode("utf-8", "replace")
        return AnsibleConnectionFailure(self.target.reason(self.host.name, answer, said))


def machine(name: str) -> entry.Machine:
    """A machine, if that can be the name of one."""
    try:
        return entry.Machine(name)
    except Failure as error:
        raise AnsibleError(f"ansible_nspawn_machine: {error}") from None


def owned(name: str, user: str) -> entry.Owned:
    """A machine and its owner, if these can be the names of such."""
    try:
        return entry.Owned(name, user)
    except Failure as error:
        raise AnsibleError(f"ansible_nspawn_as_owner: {error}") from None


def image(name: str, *, ephemeral: bool) -> entry.Image:
    """An image, if that can be the name of one."""
    try:
        return entry.Image(name, ephemeral=ephemeral)
    except Failure as error:
        raise AnsibleError(f"ansible_nspawn_image: {error}") from None


class _Attempt:
    """A lane that is being made."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._lane: t.Optional[Lane] = None
        self._process: t.Optional[subprocess.Popen[bytes]] = None
        self._prompts: t.Optional[Prompts] = None
        self._ready = b""

    def begin(self, going_in: entry.Entry) -> Made:
        host = self._way.host
        argv = host.argv(host.as_root(going_in.command))
        if host.become is not None:
            self._prompts = Prompts(host.become, f"on the host {host.name}", self._way.patience)
        self._process, descriptors = started(argv)
        self._ready = going_in.ready
        self._lane = Lane(descriptors, self._way.patience, veiled=going_in.veiled)
        self._lane.begin(going_in.text, going_in.hello, self._answer)
        return self._lane, self._process

    def _answer(self, seen: bytes) -> t.Optional[bytes]:
        if self._ready not in seen:
            return b""
        return None if self._prompts is None else self._prompts.answer(seen)

    def end(self) -> tuple[int, str]:
        """With what the way to it has ended, and what was said there."""
        said, code = "", 0
        if self._lane is not None:
            said = self._lane.said
            self._lane.close()
        if self._process is not None:
            code = await_end(self._process)
        return code, said


def await_end(process: subprocess.Popen[bytes]) -> int:
    """What it ends with, now that its streams are closed."""
    try:
        return process.wait(SETTLE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def started(argv: abc.Sequence[bytes]) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A process that outlives its caller, and our ends of its output, input and errors.

    With a descriptor for itself, where there is such a thing.
    """
    stdin, target = os.pipe()
    source, stdout = os.pipe()
    errors, stderr = os.pipe()
    theirs = {stdin, stdout, stderr}
    try:
        process = subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    except BaseException:
        theirs |= {target, source, errors}
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    descriptors = [source, target, errors]
    with contextlib.suppress(AttributeError, OSError):
        descriptors.append(os.pidfd_open(process.pid))
    return process, descriptors
