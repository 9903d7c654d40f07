# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Commands in an image that does not run. Private to the collection.

Through C(systemd-nspawn), with nothing else of the machine around. However it ends, its scope, its
snapshot and its mounts go as well: it takes them away itself when it is asked to end, we do when
it was killed, and the next command in an image does when we were killed with it: what is under way
stands under /run, each with a lock that ends with us.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import typing as t
import uuid

from .._core import caller, memory, trees
from .._core import run as core_run
from .._core.plan import Failure
from .._core.printable import printable
from .._systemd import machined
from . import commands
from .commands import Command

SUBJECT = "exec"

_GRACE = 10
_HELP = 20
# Of what it makes for each machine, and takes away at an orderly end.
_EXPORTS = "/run/systemd/nspawn/unix-export"
_PROPAGATED = "/run/systemd/nspawn/propagate"


def run(name: str, command: Command, *, ephemeral: bool) -> core_run.Result:
    """Run a command in an image to its end; its exit code is the result's, whatever it is."""
    commands.check(command)
    image = _find(name)
    wrapped = commands.Wrapped(command)
    machine = f"exec-{uuid.uuid4().hex[:12]}"
    argv = [*_systemd_nspawn(image, command, machine, ephemeral), "--", *wrapped.argv]
    with caller.awaited(), _clean(machine, image.path if ephemeral else None):
        try:
            result = core_run.run(
                argv,
                input=wrapped.stdin,
                timeout=command.timeout,
                grace=_GRACE,
                check=False,
                limit=command.limit,
                cut=True,
                raw=True,
                for_caller=True,
            )
        except core_run.CommandFailed as error:
            if error.result.rc != -1:
                raise
            raise commands.overdue(f"image {name}", command, error.result) from None
        return wrapped.result(result) or _without_end(name, command, result)


def _find(name: str) -> machined.Image:
    machined.check_image_name(name)
    images = machined.images()
    if name not in images:
        there = ", ".join(sorted(images)) or "none"
        raise Failure(f"image {name}: does not exist; there are: {printable(there)}")
    return images[name]


def _systemd_nspawn(
    image: machined.Image, command: Command, machine: str, ephemeral: bool
) -> list[str]:
    argv = systemd_nspawn(machine)
    argv += [f"--{'image' if image.type == 'raw' else 'directory'}={image.path}"]
    argv.append(f"--property=RuntimeMaxSec={command.timeout + commands.LATER:.3f}")
    argv.append(f"--property=TimeoutStopSec={_GRACE}")
    if ephemeral:
        argv.append("--ephemeral")
    elif image.read_only:
        argv.append("--read-only")
    if command.user is not None:
        argv.append(f"--user={command.user}")
    if command.chdir is not None:
        argv.append(f"--chdir={command.chdir}")
    return argv


def systemd_nspawn(machine: str) -> list[str]:
    """What runs a command in an image whose streams are the caller's; it has to be told which."""
    argv = ["systemd-nspawn", "--quiet", "--pipe", "--as-pid2", "--register=no"]
    # The machine's own file could start something else than what was asked for.
    argv += ["--settings=no", "--private-users=pick", "--private-users-ownership=auto"]
    return [*argv, "--link-journal=no", f"--machine={machine}"]


def _without_end(name: str, command: Command, result: core_run.Result) -> t.NoReturn:
    """Why a command has not ended by itself."""
    said = printable(result.stderr.strip()[-2000:], lines=True)
    if result.rc == 1 and "is currently busy" in said:
        raise Failure(
            f"image {name} is in use, so its files cannot be written at the same time; run the "
            "command in the machine, or say ephemeral: true to run it in a snapshot",
            rc=result.rc,
            stderr=said,
        )
    raise Failure(
        f"image {name}: {printable(command.argv[0])} did not come to its end: something ended it, "
        f"or systemd-nspawn could not run it (exit code {result.rc}): {said or 'nothing was said'}",
        rc=result.rc,
        stderr=said,
    )


# --- what is left ---------------------------------------------------------------------------


@contextlib.contextmanager
def _clean(machine: str, ephemeral: t.Optional[str]) -> t.Iterator[None]:
    """Leave nothing of a systemd-nspawn, however it ends."""
    records = memory.runtime(SUBJECT)
    memory.ensure(records)
    directory = os.open(records, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _clean_others(directory)
        with _recorded(directory, machine, ephemeral or ""):
            try:
                yield
            except BaseException:
                # The error itself counts; what stays stays recorded.
                with contextlib.suppress(Failure, OSError):
                    _bury(machine, ephemeral or "")
                    os.unlink(machine, dir_fd=directory)
                raise
            os.unlink(machine, dir_fd=directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def _recorded(directory: int, machine: str, image: str) -> t.Iterator[None]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        descriptor = os.open(machine, flags, 0o600, dir_fd=directory)
        # Somebody may have taken it for left behind before it was locked.
        if _try(descriptor):
            break
        os.close(descriptor)
    try:
        os.write(descriptor, os.fsencode(image))
        yield
    finally:
        os.close(descriptor)


def _clean_others(directory: int) -> None:
    """Take away what is left of those whose module was killed, unless their command still runs."""
    for machine in os.listdir(directory):
        with contextlib.suppress(Failure, OSError):
            descriptor = os.open(
                machine, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
            )
            try:
                if _try(descriptor) and not _runs(machine):
                    _bury(machine, os.fsdecode(os.read(descriptor, 4096)))
                    os.unlink(machine, dir_fd=directory)
            finally:
                os.close(descriptor)


def _runs(machine: str) -> bool:
    argv = ["systemctl", "--quiet", "is-active", "--", f"{machine}.scope"]
    return core_run.run(argv, timeout=_HELP, check=False).rc == 0


def _bury(machine: str, image: str) -> None:
    """Take away what a systemd-nspawn that was killed has started, mounted and made."""
    for words in (["kill", "--signal=SIGKILL"], ["stop"]):
        argv = ["systemctl", *words, "--", f"{machine}.scope"]
        core_run.run(argv, timeout=_HELP, check=False)
    export = f"{_EXPORTS}/{machine}"
    if os.path.ismount(export):
        core_run.run(["umount", "--", export], timeout=_HELP, check=False)
    for directory in (export, f"{_PROPAGATED}/{machine}"):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    if image:
        sweep(image)


def sweep(image: str) -> None:
    """Remove snapshots of an image that systemd-nspawn made and has left behind.

    It holds a lock on each of its own from before it is made until after it is removed.
    """
    parent, base = os.path.split(image)
    directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in abandoned(os.listdir(directory), base):
            with _locked(directory, name) as ours:
                if ours and _is_there(directory, name):
                    trees.remove_at(directory, name, parent)
    finally:
        os.close(directory)


def _is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def abandoned(names: t.Iterable[str], base: str) -> list[str]:
    """What may be a snapshot of an image, by names alone."""
    pattern = re.compile(rf"(?:\.#)?(\.#machine\.{re.escape(base)}[0-9a-f]{{16}})(?:\.lck)?", re.S)
    found = (pattern.fullmatch(name) for name in names)
    return sorted({match.group(1) for match in found if match})


@contextlib.contextmanager
def _locked(directory: int, name: str) -> t.Iterator[bool]:
    """Whether nobody else had the lock of a snapshot; the lock goes with what it is of."""
    lock = f".#{name}.lck"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(lock, flags, 0o600, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not _try(descriptor):
            yield False
            return
        yield True
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock, dir_fd=directory)
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Whoever had it before has removed its name, and it is no lock of anything any more.
    return os.fstat(descriptor).st_nlink > 0
