# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Work in what belongs to a user, done as that user and never as root.

Private to the collection. A deputy is a process that has given up everything else before it
touches anything: user, groups, capabilities, descriptors, environment. The kernel then refuses
whatever the user may not do, wherever a link or a race may lead. It is started before there are
threads, and asked for one thing after the other; root stays where it is.

What a deputy is asked comes from root, as a function of the collection and its arguments. What
it answers may have been made by somebody else, and is read as plain data.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import json
import os
import pickle
import pwd
import select
import signal
import socket
import struct
import threading
import time
import traceback
import typing as t

from .plan import Failure

PATIENCE = 60.0
ANSWER_LIMIT = 64 << 20
_FAREWELL = 2.0
_LENGTH = struct.Struct("=Q")
_CHUNK = 1 << 16
_KEPT = ("PATH", "LC_ALL", "LANG", "TZ")


@dataclasses.dataclass(frozen=True)
class Account:
    """Somebody who has files and processes."""

    uid: int
    gid: int
    name: str
    home: str = "/"


def account(name: str) -> t.Optional[Account]:
    """The user of a name; nothing when there is none."""
    try:
        return _account(pwd.getpwnam(name))
    except (KeyError, ValueError):
        return None


def account_of(uid: int) -> Account:
    """The user of a number, whom the host may have forgotten."""
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        return Account(uid, uid, str(uid))


def _account(found: pwd.struct_passwd) -> Account:
    return Account(found.pw_uid, found.pw_gid, found.pw_name, found.pw_dir)


class Deputy:
    """A process that does things as a user."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._gate = threading.Lock()
        # Python loads what it has not used yet from where the user may not be allowed to look.
        codecs.lookup("ascii")
        self._channel, theirs = socket.socketpair()
        self._process = os.fork()
        if not self._process:
            # Whatever happens here, the rest of the module must not go on a second time.
            try:
                _serve(account, theirs.detach())
            finally:
                os._exit(1)
        theirs.close()

    def __enter__(self) -> Deputy:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it end. It does so at the end of what it is doing, or is ended."""
        self._channel.close()
        if not self._process:
            return
        end = time.monotonic() + _FAREWELL
        while not self._is_reaped():
            if time.monotonic() > end:
                os.kill(self._process, signal.SIGKILL)
                self._is_reaped()  # one that the kernel does not let go of is left to it
                break
            time.sleep(0.005)
        self._process = 0

    def _is_reaped(self) -> bool:
        return os.waitpid(self._process, os.WNOHANG)[0] != 0

    def call(
        self, work: t.Callable[..., t.Any], *arguments: t.Any, patience: float = PATIENCE
    ) -> t.Any:
        """What a function returns that is called as the user: plain data, tuples as lists.

        Its failures are raised here.
        """
        with self._gate:
            end = time.monotonic() + patience
            try:
                self._send(pickle.dumps((work, arguments)))
                answer = json.loads(_received(self._channel.fileno(), ANSWER_LIMIT, end))
            except (TimeoutError, EOFError, OSError) as error:
                # Nothing more can be told apart on this channel.
                self._channel.close()
                late = isinstance(error, TimeoutError)
                what = f"did not end within {patience:g} s" if late else "was broken off"
                raise Failure(
                    f"{work.__name__} as user {self.account.name} {what}. Look at what is mounted"
                    " in the user's directory, who serves it, and which processes of the user run"
                ) from None
        return _unfolded(answer)

    def _send(self, data: bytes) -> None:
        self._channel.sendall(_LENGTH.pack(len(data)) + data)


# --- what goes through the channel ----------------------------------------------------------


def _received(descriptor: int, limit: int, end: t.Optional[float] = None) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size, end))
    if length > limit:
        raise EOFError
    return _exactly(descriptor, length, end)


def _exactly(descriptor: int, count: int, end: t.Optional[float]) -> bytes:
    data = bytearray()
    while len(data) < count:
        if end is not None:
            left = end - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise TimeoutError
        chunk = os.read(descriptor, min(_CHUNK, count - len(data)))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


def _unfolded(answer: t.Mapping[str, t.Any]) -> t.Any:
    if "result" in answer:
        return answer["result"]
    if "failure" in answer:
        raise Failure(str(answer["failure"]), **answer["details"])
    raise Failure(f"what was done as a user went wrong: {answer['fault']}")


def _answered(request: bytes) -> t.Mapping[str, t.Any]:
    work, arguments = pickle.loads(request)
    try:
        return {"result": work(*arguments)}
    except Failure as failure:
        return {"failure": failure.message, "details": failure.details}
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return {"failure": f"{where}{error.strerror or error}", "details": {}}
    except Exception:
        return {"fault": traceback.format_exc(limit=-4)}


# --- in the process -------------------------------------------------------------------------


def _serve(account: Account, channel: int) -> t.NoReturn:
    problem: t.Optional[t.Mapping[str, t.Any]] = None
    try:
        _become(account, channel)
    except Exception as error:
        problem = {"failure": f"user {account.name}: {error}. Nothing was done", "details": {}}
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = _received(channel, 1 << 40)
            answer = json.dumps(problem or _answered(request), default=str).encode()
            _write(channel, _LENGTH.pack(len(answer)) + answer)
    os._exit(0)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _become(account: Account, channel: int) -> None:
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    _let_go_of_descriptors(channel)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept.update(HOME=account.home, USER=account.name, LOGNAME=account.name)
    os.environ.clear()
    os.environ.update(kept)
    if os.geteuid() == account.uid:
        return
    os.setgroups(os.getgrouplist(account.name, account.gid))
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    if os.getresuid() != (account.uid,) * 3 or _has_capabilities():
        raise Failure("root's powers did not go with its number; are there unusual securebits?")


def _let_go_of_descriptors(channel: int) -> None:
    """Locks above all: they last as long as one process has them."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        if standard != channel:
            os.dup2(nowhere, standard)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != channel:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _has_capabilities() -> bool:
    with open("/proc/self/status", encoding="utf-8", errors="replace") as stream:
        fields = dict(line.split(":", 1) for line in stream if ":" in line)
    return any(int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapAmb"))
