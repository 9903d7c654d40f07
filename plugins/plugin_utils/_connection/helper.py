# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What stays in a machine while a play lasts, and runs its commands there.

Private to the collection. The text of this file goes through the connection to a Python in the
machine, and never onto a disk: it imports nothing of ours, and takes any Python from 3.8 on. It
speaks in frames: one byte that says what it is, four that say how long, and that much. It carries
out one request at a time, and ends when its stream does, with the command that is under way.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import select
import signal
import stat
import struct
import time
import typing as t

HEAD = struct.Struct(">cI")
OFFSET = struct.Struct(">Q")
CHUNK = 128 * 1024
# Of what a command is to read, this much is under way at most: the stream behind it stays free,
# and its end is seen at once.
WINDOW = 1024 * 1024
LONGEST = 4 * 1024 * 1024
# What stands before a byte that is not itself.
VEIL = b"\x1c"
GROUPS = "/sys/fs/cgroup"


class Lost(Exception):
    """Whoever gave the orders is not there any more."""


class Refused(Exception):
    """What was asked for cannot be done: a sentence."""


# --- the stream -----------------------------------------------------------------------------


class Wire:
    """Frames from one descriptor, and to another."""

    def __init__(self, source: int, target: int, *, veiled: bool) -> None:
        self.source, self._target = source, target
        self._veiled = veiled

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        data = memoryview(HEAD.pack(kind, len(payload)) + payload)
        try:
            while data:
                data = data[os.write(self._target, data) :]
        except OSError:
            raise Lost from None

    def say(self, kind: bytes, words: t.Mapping[str, t.Any]) -> None:
        self.send(kind, json.dumps(words).encode())

    def receive(self) -> tuple[bytes, bytes]:
        kind, length = HEAD.unpack(self._exactly(HEAD.size))
        if length > LONGEST:
            raise Lost
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        pieces = []
        while count:
            try:
                piece = os.read(self.source, min(count, LONGEST))
            except OSError:
                raise Lost from None
            if not piece:
                raise Lost
            if self._veiled:
                piece = self._unveiled(piece)
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _unveiled(self, piece: bytes) -> bytes:
        """What a terminal would have taken as meant for it, as it was."""
        if piece.endswith(VEIL):
            piece += os.read(self.source, 1)
        return piece.replace(VEIL + b"\2", b"\x1d").replace(VEIL + b"\1", VEIL)


# --- users ----------------------------------------------------------------------------------


# What systemd tells the unit of itself.
_NOT_THEIRS = (
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
)


class User:
    """Whoever a command runs as."""

    def __init__(self, name: str) -> None:
        try:
            entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        except KeyError:
            raise Refused(f"there is no user {name}") from None
        self.name, self.uid, self.gid = entry.pw_name, entry.pw_uid, entry.pw_gid
        self.home, self.shell = entry.pw_dir or "/", entry.pw_shell or "/bin/sh"
        self.groups = os.getgrouplist(self.name, self.gid)

    def environment(self) -> dict[str, str]:
        found = dict(os.environ)
        for name in _NOT_THEIRS:
            found.pop(name, None)
        found.update(HOME=self.home, USER=self.name, LOGNAME=self.name, SHELL=self.shell)
        runtime = f"/run/user/{self.uid}"
        if os.path.isdir(runtime):
            found["XDG_RUNTIME_DIR"] = runtime
            if os.path.exists(runtime + "/bus"):
                found["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=" + runtime + "/bus"
        return found

    def become(self) -> None:
        """For good."""
        if os.geteuid() == 0:
            os.setgroups(self.groups)
            os.setgid(self.gid)
            os.setuid(self.uid)
        elif os.geteuid() != self.uid:
            raise PermissionError(errno.EPERM, "only root can become " + self.name)

    @contextlib.contextmanager
    def for_files(self) -> t.Iterator[None]:
        """For as long as a file is opened."""
        if self.uid == os.geteuid():
            yield
            return
        if os.geteuid() != 0:
            raise PermissionError(errno.EPERM, "only root can become " + self.name)
        before = os.getgroups()
        os.setgroups(self.groups)
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(before)


# --- groups of processes --------------------------------------------------------------------


class Group:
    """A control group for each command, so that all of it can be ended: or else its processes."""

    def __init__(self, number: int) -> None:
        self._path = ""
        self.pid = 0
        with contextlib.suppress(OSError):
            with open("/proc/self/cgroup", encoding="utf-8") as stream:
                ours = [line[3:].strip() for line in stream if line.startswith("0::")]
            # Only in a unit of our own, never beside processes of somebody else.
            if ours and "/nspawn-machined-" in ours[0]:
                path = f"{GROUPS}{ours[0]}/{number}"
                os.mkdir(path)
                self._path = path

    def enter(self) -> None:
        if self._path:
            with open(self._path + "/cgroup.procs", "w", encoding="ascii") as stream:
                stream.write("0")

    def members(self) -> list[int]:
        if not self._path:
            return []
        try:
            with open(self._path + "/cgroup.procs", encoding="ascii") as stream:
                return [int(line) for line in stream if line.strip() != "0"]
        except OSError:
            return []

    def kill(self) -> None:
        if self._path:
            with contextlib.suppress(OSError):
                with open(self._path + "/cgroup.kill", "w", encoding="ascii") as stream:
                    stream.write("1")
                return
            for pid in self.members():
                _kill(pid)
        for pid in _descendants(self.pid):
            _kill(pid)

    def close(self) -> None:
        """What the command has left running stays, in a scope of its own."""
        if not self._path:
            return
        # Some may end meanwhile, others begin; and it takes a moment until they have moved.
        asked: set[int] = set()
        refusals, end = 0, time.monotonic() + 5
        while time.monotonic() < end and refusals < 5:
            left = set(self.members())
            if not left:
                break
            if left <= asked:
                time.sleep(0.005)
            elif _keep(sorted(left - asked)):
                asked |= left
            else:
                refusals += 1
                time.sleep(0.02)
        with contextlib.suppress(OSError):
            os.rmdir(self._path)


def _kill(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """A process with all that come from it, or are of its session."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    words = file.read().rpartition(")")[2].split()
                parents[int(name)] = (int(words[1]), int(words[3]))
    found = [pid]
    for one in found:
        found += [
            other
            for other, (parent, session) in parents.items()
            if other not in found and (parent == one or session == pid)
        ]
    return found


def _keep(pids: t.Sequence[int]) -> bool:
    """Give processes a unit of their own; whether somebody did."""
    import subprocess

    name = f"nspawn-machined-kept-{os.urandom(8).hex()}.scope"
    argv = ["busctl", "--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"]
    argv += ["org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))", name]
    argv += ["fail", "2", "Description", "s", "Left running by a task of Ansible"]
    argv += ["PIDs", "au", str(len(pids)), *map(str, pids), "0"]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


# --- commands -------------------------------------------------------------------------------


class Command:
    """One command, from its start to its end."""

    def __init__(
        self, wire: Wire, wakeup: int, number: int, request: t.Mapping[str, t.Any]
    ) -> None:
        self._wire, self._wakeup = wire, wakeup
        self._request = request
        self._terminal = bool(request["terminal"])
        self._user = User(request["user"])
        self._group = Group(number)
        self._poll = select.poll()
        self._pending = bytearray()
        self._closing = False
        self._status: t.Optional[int] = None
        self._stdin = -1
        self._outputs: dict[int, bytes] = {}

    def run(self) -> dict[str, t.Any]:
        try:
            self._start()
            self._wire.send(b"B")
            self._follow()
        except BaseException:
            self._group.kill()
            raise
        finally:
            for descriptor in {self._stdin, *self._outputs} - {-1}:
                os.close(descriptor)
            self._group.close()
        return {"rc": _code(self._status or 0)}

    def _start(self) -> None:
        if self._terminal:
            master, slave = os.openpty()
            theirs = (slave, slave, slave)
            self._stdin, self._outputs = os.dup(master), {master: b"O"}
        else:
            pipes = [os.pipe() for _stream in range(3)]
            theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
            self._stdin = pipes[0][1]
            self._outputs = {pipes[1][0]: b"O", pipes[2][0]: b"R"}
        told, tell = os.pipe()
        pid = os.fork()
        if not pid:
            self._become_it(theirs, tell)
        self._group.pid = pid
        os.close(tell)
        for descriptor in set(theirs):
            os.close(descriptor)
        os.set_blocking(self._stdin, False)
        with open(told, encoding="utf-8", errors="replace") as stream:
            wrong = stream.read(4096)
        if wrong:
            os.waitpid(pid, 0)
            raise Refused(wrong)

    def _become_it(self, theirs: t.Sequence[int], tell: int) -> t.NoReturn:
        """In the new process: what it takes to be the command."""
        doing = "cannot begin"
        try:
            os.setsid()
            self._group.enter()
            # Those that a Python does not leave as it has found them.
            for taken in (
                signal.SIGPIPE,
                signal.SIGXFSZ,
                signal.SIGINT,
                signal.SIGQUIT,
                signal.SIGCHLD,
            ):
                signal.signal(taken, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            for number, descriptor in enumerate(theirs):
                os.dup2(descriptor, number)
            if self._terminal:
                import fcntl
                import termios

                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            environment = self._user.environment()
            environment.update(self._request.get("environment") or {})
            self._user.become()
            try:
                os.chdir(self._user.home)
            except OSError:
                os.chdir("/")
            argv = self._request["argv"]
            doing = "cannot run " + argv[0]
            os.execve(argv[0], argv, environment)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                os.write(tell, f"{doing}: {_why(error)}".encode())
        finally:
            os._exit(127)

    def _follow(self) -> None:
        """Carry its streams until it has ended and has closed them."""
        self._poll.register(self._wire.source, select.POLLIN)
        self._poll.register(self._wakeup, select.POLLIN)
        for descriptor in self._outputs:
            self._poll.register(descriptor, select.POLLIN)
        while self._outputs or self._status is None:
            for descriptor, _events in self._poll.poll():
                self._handle(descriptor)
            if self._terminal and self._status is not None:
                # What others still hold of a terminal does not keep anybody.
                self._drain()
                break

    def _handle(self, descriptor: int) -> None:
        if descriptor == self._wire.source:
            self._take()
        elif descriptor == self._wakeup:
            os.read(self._wakeup, 4096)
            self._reap()
        elif descriptor == self._stdin:
            self._feed()
        elif not self._carry(descriptor):
            self._poll.unregister(descriptor)
            os.close(descriptor)
            del self._outputs[descriptor]

    def _take(self) -> None:
        kind, payload = self._wire.receive()
        if kind == b"I":
            if self._stdin < 0:
                self._acknowledge(len(payload))
                return
            if not self._pending:
                self._poll.register(self._stdin, select.POLLOUT)
            self._pending += payload
        elif kind == b"E":
            self._closing = True
            if not self._pending:
                self._close_stdin()
        elif kind == b"P":
            self._wire.send(b"p")
        else:
            raise Lost

    def _acknowledge(self, count: int) -> None:
        if count:
            self._wire.send(b"A", OFFSET.pack(count))

    def _feed(self) -> None:
        try:
            count = os.write(self._stdin, memoryview(self._pending)[: 4 * CHUNK])
        except BlockingIOError:
            return
        except OSError:
            # It does not read any more.
            count, self._closing = len(self._pending), True
        del self._pending[:count]
        self._acknowledge(count)
        if not self._pending:
            self._poll.unregister(self._stdin)
            if self._closing:
                self._close_stdin()

    def _close_stdin(self) -> None:
        if self._terminal:
            with contextlib.suppress(OSError):
                os.write(self._stdin, b"\4")
        elif self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def _carry(self, descriptor: int) -> bool:
        """Whether there can be more."""
        try:
            data = os.read(descriptor, CHUNK)
        except OSError:
            data = b""
        if data:
            self._wire.send(self._outputs[descriptor], data)
        return bool(data)

    def _drain(self) -> None:
        for descriptor in list(self._outputs):
            os.set_blocking(descriptor, False)
            while self._carry(descriptor):
                pass

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._group.pid:
                self._status = status


def _code(status: int) -> int:
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _why(error: BaseException) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


# --- files ----------------------------------------------------------------------------------


_NOT_REGULAR = "is not a regular file"


class Target:
    """A file that is written: what goes wrong is kept until all that is under way has come."""

    def __init__(self, request: t.Mapping[str, t.Any]) -> None:
        self._path, self._mode = request["path"], request["mode"]
        self._user = User("0")
        self._descriptor = -1
        self._made = False
        self.wrong = ""
        with self._noted():
            self._user = User(request["user"])
            self._open()

    @contextlib.contextmanager
    def _noted(self) -> t.Iterator[None]:
        try:
            yield
        except Refused as error:
            self.wrong = str(error)
        except OSError as error:
            self.wrong = f"{self._path}: {_why(error)}"

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with self._user.for_files():
            try:
                self._descriptor = os.open(self._path, flags | os.O_EXCL, self._mode)
                self._made = True
            except FileExistsError:
                self._descriptor = os.open(self._path, flags, self._mode)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise OSError(errno.EINVAL, _NOT_REGULAR)
        os.ftruncate(self._descriptor, 0)

    def write(self, data: memoryview, offset: int) -> None:
        with self._noted():
            while data and not self.wrong:
                count = os.pwrite(self._descriptor, data, offset)
                data, offset = data[count:], offset + count

    def finish(self, size: int) -> None:
        """Nothing but this makes it whole."""
        with self._noted():
            if not self.wrong:
                os.ftruncate(self._descriptor, size)
                self._made = False

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        if self._made:
            with contextlib.suppress(OSError), self._user.for_files():
                os.unlink(self._path)


def put(wire: Wire, request: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Write a file, in the place of what it had in it."""
    target = Target(request)
    try:
        kind, payload = wire.receive()
        while kind in (b"D", b"P"):
            if kind == b"D":
                target.write(memoryview(payload)[OFFSET.size :], *OFFSET.unpack_from(payload))
                wire.send(b"A", OFFSET.pack(len(payload) - OFFSET.size))
            else:
                wire.send(b"p")
            kind, payload = wire.receive()
        if kind != b"F":
            raise Lost
        target.finish(json.loads(payload.decode())["size"])
    finally:
        target.close()
    if target.wrong:
        raise Refused(target.wrong)
    return {}


def get(wire: Wire, request: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Read a file to its end, and only where there is something in it."""
    path = request["path"]
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        with User(request["user"]).for_files():
            descriptor = os.open(path, flags)
    except OSError as error:
        raise Refused(f"{path}: {_why(error)}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, _NOT_REGULAR)
        size = _send_from(wire, descriptor, found)
        return {"size": size, "mode": stat.S_IMODE(found.st_mode)}
    except OSError as error:
        raise Refused(f"{path}: {_why(error)}") from None
    finally:
        os.close(descriptor)


def _send_from(wire: Wire, descriptor: int, found: os.stat_result) -> int:
    """As much as was there at first; those that do not tell their length, to their end."""
    end, offset = found.st_size or 2**63 - 1, 0
    sparse = found.st_blocks * 512 < found.st_size
    while offset < end:
        if sparse:
            try:
                offset = os.lseek(descriptor, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    sparse = False
                    continue
                break
        data = os.pread(descriptor, min(CHUNK, end - offset), offset)
        if not data:
            break
        wire.send(b"D", OFFSET.pack(offset) + data)
        offset += len(data)
    return max(offset, min(end, os.fstat(descriptor).st_size)) if sparse else offset


# --- from its start to its end --------------------------------------------------------------


def serve(wire: Wire) -> t.NoReturn:
    """Carry out one request after the other."""
    wakeup, waker = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_ignored: None)
    number = 0
    while True:
        kind, payload = wire.receive()
        if kind in (b"I", b"E"):
            continue  # for a command that has ended meanwhile
        if kind == b"P":
            wire.send(b"p")
            continue
        number += 1
        try:
            request = json.loads(payload.decode())
            if kind == b"C":
                ended = Command(wire, wakeup, number, request).run()
            elif kind == b"W":
                ended = put(wire, request)
            elif kind == b"G":
                ended = get(wire, request)
            else:
                raise Lost
        except Refused as error:
            ended = {"error": str(error)}
        except OSError as error:
            ended = {"error": _why(error)}
        wire.say(b"X", ended)


def main(hello: str, *, veiled: bool = False) -> t.NoReturn:
    """The text of this file is followed by a call of it."""
    # Commands must not find our descriptors.
    source, target = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    wire = Wire(source, target, veiled=veiled)
    try:
        wire.send(b"H", hello.encode())
        serve(wire)
    except Lost:
        pass
    os._exit(0)
