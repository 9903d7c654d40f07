# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ways to the host of a machine: none at all, and Ansible's own ssh. Private to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.become import BecomeBase
from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import become_loader, get_shell_plugin

from .keeping import Keeping


class Host:
    """A host on which commands can be started, as root if need be."""

    def __init__(self, connection: t.Any, become: t.Optional[BecomeBase]) -> None:
        self.connection = connection
        self.become = become

    @property
    def name(self) -> str:
        """What errors call it."""
        return "localhost"

    def argv(self, command: str) -> list[bytes]:
        """What starts a command there and connects its streams."""
        return [word.encode("utf-8", "surrogateescape") for word in ("/bin/sh", "-c", command)]

    def as_root(self, command: str) -> str:
        """A command, with what makes its user root."""
        if self.become is None:
            return command
        return str(self.become.build_become_command(command, get_shell_plugin("sh", "/bin/sh")))

    def run(self, command: str, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
        """Run a command there to its end, as root if need be."""
        self.connection.become = self.become
        try:
            rc, stdout, stderr = self.connection.exec_command(
                self.as_root(command), in_data=stdin or None, sudoable=self.become is not None
            )
        finally:
            self.connection.become = None
        return rc, bytes(stdout), bytes(stderr)

    @contextlib.contextmanager
    def opening(self, _keeping: Keeping) -> t.Iterator[None]:
        """While a first lane is started."""
        yield

    def reopen(self, _code: int) -> bool:
        """Whether it is worth another try, after a lane has ended with a code."""
        return False


class OverSsh(Host):
    """A host that is reached through ssh, in one session for all that is done there."""

    @property
    def name(self) -> str:
        return str(self.connection.get_option("host"))

    def argv(self, command: str) -> list[bytes]:
        # Whoever has to be asked for something was asked when the session was opened.
        words = ("-o", "BatchMode=yes", self.name, command)
        program = self.connection.get_option("ssh_executable")
        argv: list[bytes] = self.connection._build_command(program, "ssh", *words)
        if argv[0] == b"sshpass":
            for descriptor in self.connection.sshpass_pipe:
                os.close(descriptor)
            argv = argv[argv.index(program.encode()) :]
        return argv

    @contextlib.contextmanager
    def opening(self, keeping: Keeping) -> t.Iterator[None]:
        words = self.argv("")
        path = next((word for word in words if word.startswith(b"ControlPath=")), b"")
        if os.path.exists(path.partition(b"=")[2].strip(b'"')):
            yield
            return
        # One session, and not one for each of the machines whose tasks come first.
        name = hashlib.sha256(b"\0".join(words)).hexdigest()[:32]
        with keeping.alone(f"ssh-{name}"):
            yield

    def reopen(self, code: int) -> bool:
        if code != 255:
            return False
        # It asks, tries again and says what is wrong as it always does.
        self.connection.exec_command("exit 0", sudoable=False)
        return True


def become_of(connection: ConnectionBase) -> t.Optional[BecomeBase]:
    """What makes the user on the host root, if that is wished."""
    if not connection.get_option("host_become"):
        return None
    method = str(connection.get_option("host_become_method"))
    plugin = become_loader.get(method)
    if plugin is None:
        raise AnsibleError(f"ansible_nspawn_host_become_method: there is no become plugin {method}")
    options = {"become_user": "root"}
    for name in ("pass", "exe", "flags"):
        value = connection.get_option(f"host_become_{name}")
        if value:
            options[f"become_{name}"] = value
    plugin.set_options(direct=options)
    return t.cast("BecomeBase", plugin)
