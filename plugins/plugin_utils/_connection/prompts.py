# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Passwords for those who ask before they let somebody become another user.

Private to the collection.
"""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible.plugins.become import BecomeBase

from ...module_utils._core.printable import printable


class Prompts:
    """Watches what a command says until it has become who it shall be."""

    def __init__(self, become: BecomeBase, where: str, patience: float) -> None:
        self._become = become
        self._where = where
        self._end = time.monotonic() + patience
        self._waiting = bool(become.expect_prompt())
        self._sent = False
        self._seen = {b"O": b"", b"R": b""}

    def ready(self) -> bool:
        """Whether the command may have its input."""
        if self._waiting and time.monotonic() > self._end:
            said = printable(b"".join(self._seen.values())[-500:].decode("utf-8", "replace"))
            raise AnsibleConnectionFailure(
                f"{self._where}: timeout waiting for privilege escalation prompt: {said}"
            )
        return not self._waiting

    def rest(self, kind: bytes) -> bytes:
        """What was held back, once the command has ended without becoming anybody."""
        return self._seen[kind] if self._waiting else b""

    def feed(self, kind: bytes, data: bytes) -> tuple[bytes, bytes]:
        """What of it is the command's, and what is to be written to it."""
        if not self._waiting:
            return data, b""
        self._seen[kind] += data
        seen = self._seen[kind]
        if self._become.check_success(seen):
            self._waiting = False
            return bytes(self._become.strip_become_prompt(seen)) if self._sent else seen, b""
        if not self._sent and self._become.check_password_prompt(seen):
            self._sent = True
            self._seen[kind] = b""
            return b"", self.password()
        self.refused(seen)
        return b"", b""

    def answer(self, seen: bytes) -> t.Optional[bytes]:
        """What is to be written to somebody who has said all this so far; None when it is let in.

        Whoever is not asked for a password may have its input at once.
        """
        if not self._waiting or self._become.check_success(seen):
            return None
        if not self._sent:
            if self._become.check_password_prompt(seen):
                self._sent = True
                return self.password()
            return b""
        self.refused(seen)
        return b""

    def password(self) -> bytes:
        given = self._become.get_option("become_pass") or ""
        return str(given).encode() + b"\n"

    def refused(self, seen: bytes) -> None:
        """An error when a password was wrong, or is missing."""
        name = self._become.name
        if self._sent and self._become.check_incorrect_password(seen):
            raise AnsibleAuthenticationFailure(f"{self._where}: Incorrect {name} password")
        if self._become.check_missing_password(seen):
            raise AnsibleAuthenticationFailure(f"{self._where}: Missing {name} password")
