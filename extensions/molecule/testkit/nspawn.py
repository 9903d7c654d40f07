# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A testinfra backend for machines: what can be said of a host can be said of a machine's inside.

::

    machine = testinfra.get_host("nspawn://web@server", ansible_inventory="inventory.yml")
    assert machine.service("systemd-networkd").is_running
"""

from __future__ import annotations

import typing as t

import testinfra
import testinfra.backend
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

# --uid=root brings HOME and the like. systemd ignores SIGPIPE for services: "yes | head" would
# complain.
ENTER = (
    "systemd-run --quiet --machine=%s --pipe --wait --collect --uid=root "
    "--property=IgnoreSIGPIPE=no -- /bin/sh -c %s"
)
# How systemd-run begins when it was not the command that failed.
NOT_ENTERED = ("Failed to connect to ", "Failed to start transient ")


class NspawnBackend(BaseBackend):
    """Runs commands in a machine: ``nspawn://MACHINE`` or, on another host, ``MACHINE@HOST``.

    The host is reached as the inventory says, or is given as O(outside).
    """

    NAME = "nspawn"

    def __init__(self, hostspec: str, *, outside: Host | None = None, **options: t.Any) -> None:
        self.machine, _at, host = hostspec.partition("@")
        super().__init__(hostspec, sudo=options.pop("sudo", False))
        options.pop("connection", None)
        self.outside = outside or testinfra.get_host(
            f"ansible://{host}" if host else "local://", **options
        )

    def run(self, command: str, *args: str, **_options: t.Any) -> CommandResult:
        # systemd-run expands $NAME as in a unit's ExecStart=, before the machine's shell can.
        inside = self.get_command(command, *args).replace("$", "$$")
        result = self.outside.run(ENTER, self.machine, inside)
        if result.rc and result.stderr.startswith(NOT_ENTERED):
            # Otherwise "the service does not run" would hold in a machine that does not run.
            raise RuntimeError(f"cannot enter {self.hostname}: {result.stderr.strip()}")
        return result


def register() -> None:
    """Teach testinfra the scheme ``nspawn://``."""
    testinfra.backend.BACKENDS["nspawn"] = f"{__name__}.{NspawnBackend.__name__}"
