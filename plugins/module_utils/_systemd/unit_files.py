# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The files of units: their names and places, what is enabled, and when systemd reads them anew.

Private to the collection.
"""

from __future__ import annotations

import re
import typing as t

from .._core import marks
from .._core.plan import Failure
from . import bus

DIRECTORY = "/etc/systemd/system"
RUNTIME_DIRECTORY = "/run/systemd/system"
TEMPLATE = "systemd-nspawn@.service"
DROP_IN = "50-nspawn-machined"
MACHINES_TARGET = "machines.target"

READER = "units"
"""What the marks say of systemd itself, which reads unit files."""

RELOAD_TIMEOUT = 120


# --- names and places -----------------------------------------------------------------------


def drop_in_directory(unit: str) -> str:
    return f"{DIRECTORY}/{unit}.d"


def drop_in_path(unit: str, name: str = DROP_IN) -> str:
    return f"{drop_in_directory(unit)}/{name}.conf"


def check_drop_in(name: str) -> None:
    """Refuse a name of a drop-in that would be another file, or that systemd would not read."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,199}", name):
        raise Failure(
            f"drop_in: {name!r} cannot be the name of a drop-in; expected letters, digits, '-',"
            " '_' and '.', like 50-limits"
        )
    if name.endswith(".conf"):
        raise Failure(f"drop_in: {name!r}: leave the ending .conf out, it is added")


def check_unit(unit: str, what: str = "unit") -> None:
    """Refuse what is no name of a unit file; it becomes a part of a path."""
    if len(unit) > 255 or not re.fullmatch(
        r"[A-Za-z0-9:_.\\-]+@?[A-Za-z0-9:_.\\-]*\.(service|target|slice|socket|timer|mount|path|scope)",
        unit,
    ):
        raise Failure(f"{what}: {unit!r} is no name of a unit; expected one like {TEMPLATE}")


# --- change ---------------------------------------------------------------------------------


def mark_unread() -> None:
    """Note that unit files change, so that a run that is cut off is followed by a reload."""
    marks.leave(READER)


def unread() -> bool:
    """Whether a run was cut off before systemd read what it had written."""
    return marks.is_left(READER)


def daemon_reload() -> None:
    with marks.reading(READER):
        bus.call(bus.SYSTEMD, "Reload", timeout=RELOAD_TIMEOUT)


def enable(units: t.Sequence[str], *, reload: bool = True) -> None:
    """Enable units, and the target that starts machines at boot, which 252 leaves to the user."""
    if units:
        every = [*units, MACHINES_TARGET]
        _unit_files_call("EnableUnitFiles", "asbb", every, "false", "false", reload=reload)


def disable(units: t.Sequence[str], *, reload: bool = True) -> None:
    """Disable units. The target stays enabled: other machines may want it."""
    if units:
        _unit_files_call("DisableUnitFiles", "asb", units, "false", reload=reload)


def _unit_files_call(
    method: str, signature: str, units: t.Sequence[str], *flags: str, reload: bool
) -> None:
    bus.call(bus.SYSTEMD, method, signature, str(len(units)), *units, *flags)
    if reload:
        daemon_reload()
