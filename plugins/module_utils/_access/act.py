# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Put polkit's rules into force. Private to the collection."""

from __future__ import annotations

import os
import time
import typing as t

from .._core import files as core_files
from .._core.plan import Step, Verbs
from .._core.run import run
from . import rules
from . import seen as access_seen

# A polkit that cannot be told notices the change of the directory by itself, within milliseconds,
# and tells nobody when.
NOTICE = 0.5


def revoke(machines: t.Collection[str]) -> None:
    """Take away the rights to machines that go."""
    text = core_files.read(rules.PATH)
    left = rules.without(text, machines)
    if left != text:
        _put(left)


def _write(step: Step) -> None:
    _put(step.arguments["text"])


def _remove(_step: Step) -> None:
    _put(None)


def _put(text: t.Optional[str]) -> None:
    if text is None:
        core_files.remove(rules.PATH, durable=True)
    else:
        if os.path.lexists(rules.PATH) and not access_seen.is_sound(rules.PATH):
            # A file hands its owner and attributes on to the one that replaces it.
            core_files.remove(rules.PATH)
        # Polkit runs as a user of its own; the directory is closed to all others by its package.
        core_files.write(rules.PATH, text, mode=0o644)
    _let_read()


def _let_read() -> None:
    """Return when the rules are in force."""
    reloads = access_seen.polkit_reloads()
    if reloads:
        run(["systemctl", "reload", "--", access_seen.POLKIT_UNIT])
    elif reloads is not None:
        time.sleep(NOTICE)


VERBS: Verbs = {"write": _write, "remove": _remove}
