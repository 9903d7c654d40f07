# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where everything lies: under the build directory, the shared cache, and one folder in /run."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

from .run import HostError

PROJECT = "nspawn-machined-test"
REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TESTHOST_BUILD") or REPOSITORY / "build").resolve()
CACHE = Path(os.environ.get("TESTHOST_CACHE") or BUILD / "cache" / "testhost").resolve()
HOSTS = BUILD / "hosts"
WWW = BUILD / "www"
SSH_KEY = BUILD / "ssh" / "id_ed25519"

# What belongs to the whole machine and not to one checkout: who holds which address, and how
# things were before the first host came.
REGISTRY = Path("/run") / PROJECT

# Where things lie inside a test host.
INSIDE = Path("/usr/share") / PROJECT


class Host(t.NamedTuple):
    """The files of one test host."""

    name: str

    @property
    def directory(self) -> Path:
        return HOSTS / self.name

    @property
    def disk(self) -> Path:
        return self.directory / "disk.img"

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def state(self) -> Path:
        return self.directory / "host.json"

    @property
    def console(self) -> Path:
        return self.directory / "console.log"

    @property
    def inventory(self) -> Path:
        return self.directory / "inventory.yml"

    @property
    def ssh_host_key(self) -> Path:
        return self.directory / "ssh_host_ed25519_key"

    @property
    def control(self) -> Path:
        """Where ssh keeps the sockets of its shared connections; their names must stay short."""
        return REGISTRY / "ssh" / hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]

    @property
    def distribution(self) -> str:
        try:
            return str(json.loads(self.state.read_text())["distribution"])
        except (OSError, ValueError):
            return "unknown"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"


def host(name: str) -> Host:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name) or name.endswith("-"):
        raise HostError(
            f"{name!r} is no name for a test host: it is a host name, of up to 32 lower case "
            "letters, digits and dashes, and starts with a letter"
        )
    return Host(name)


def hosts() -> list[Host]:
    if not HOSTS.is_dir():
        return []
    return [Host(entry.name) for entry in sorted(HOSTS.iterdir()) if entry.is_dir()]


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock, or say that somebody else does.

    The kernel drops it with the process, however that ends. Whoever holds it may take the file
    away, so a lock counts only while it lies at its path.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            if _lies_at(path, handle):
                yield True
                return


def _lies_at(path: Path, handle: t.IO[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    return False
