# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Carries out what the plan says of firewalld.

Private to the collection. The permanent configuration is changed through the bus while firewalld
runs, so that firewalld checks every change and knows of it, and in the files while it does not.
"""

from __future__ import annotations

import os
import types
import typing as t

from .._core import files
from .._core.plan import Failure, Step, Verbs
from .._core.run import CommandFailed, run
from .._systemd import bus
from . import daemon, xml
from . import record as firewalld_record
from .model import ZONE, Key, Settings
from .reload import reload
from .seen import ADMIN_DIRECTORY, Snapshot, admin_path, vendor_path

# --- the record -----------------------------------------------------------------------------


def _write_record(step: Step) -> None:
    name = step.subject.split(" ", 1)[1]
    firewalld_record.write(name, step.arguments["record"])


# --- the permanent configuration, firewalld running -----------------------------------------


def _create(step: Step) -> None:
    key, settings = _about(step)
    method = "addZone2" if key.kind == ZONE else "addPolicy"
    bus.call(daemon.CONFIG, method, "sa{sv}", key.name, *daemon.to_bus(key.kind, settings))


def _change(step: Step) -> None:
    key, settings = _about(step)
    method = "update2" if key.kind == ZONE else "update"
    if settings:
        bus.call(daemon.permanent(key), method, "a{sv}", *daemon.to_bus(key.kind, settings))


def _remove(step: Step) -> None:
    key, _settings = _about(step)
    bus.call(daemon.permanent(key), "remove")
    _tidy(step)


def _reset(step: Step) -> None:
    key, _settings = _about(step)
    bus.call(daemon.permanent(key), "loadDefaults")
    _tidy(step)


def _restore(step: Step) -> None:
    _change(step)
    _put_back(step)


def _about(step: Step) -> tuple[Key, Settings]:
    return step.arguments["key"], step.arguments.get("settings", {})


# --- the permanent configuration, firewalld stopped -----------------------------------------


def _edit_file(step: Step) -> None:
    key: Key = step.arguments["key"]
    path = admin_path(key)
    text = files.read(path)
    if text is None and step.verb != "create":
        text = files.read(vendor_path(key))
    os.makedirs(ADMIN_DIRECTORY, mode=0o750, exist_ok=True)
    new = xml.edit(key.kind, text, step.arguments["goal"])
    _written_if_valid(path, files.read(path), new)


def _written_if_valid(path: str, old: t.Optional[str], new: str) -> None:
    """Put a file in place, and take it back if firewalld would not start with it."""
    files.write(path, new, directory_mode=0o750)
    try:
        run(["firewall-offline-cmd", "--check-config"])
    except CommandFailed as error:
        if old is None:
            files.remove(path)
        else:
            files.write(path, old)
        said = error.result.stderr.strip() or error.result.stdout.strip()
        raise Failure(
            f"firewalld refuses the configuration: {said}", cmd=list(error.result.argv)
        ) from None


def _remove_file(step: Step) -> None:
    files.remove(admin_path(step.arguments["key"]))
    _tidy(step)


def _restore_file(step: Step) -> None:
    _put_back(step)


# --- what firewalld leaves beside its files -------------------------------------------------


def _tidy(step: Step) -> None:
    """Leave the backup as it was before the first call: firewalld makes one at every change."""
    if not step.arguments.get("tidy", True):
        return
    backup = f"{admin_path(step.arguments['key'])}.old"
    text: t.Optional[str] = step.arguments["backup"]
    if text is None:
        files.remove(backup)
    else:
        files.write(backup, text)


def _put_back(step: Step) -> None:
    path = admin_path(step.arguments["key"])
    files.write(path, step.arguments["file"])
    _tidy(step)


# --- the running firewall -------------------------------------------------------------------


def _change_live(step: Step) -> None:
    key, settings = _about(step)
    daemon.set_live(key, settings)


def _reload(step: Step) -> None:
    reload(step.arguments["live"])


# --- verbs ----------------------------------------------------------------------------------

_RECORD_VERBS: Verbs = {"open": _write_record, "close": _write_record}

_RUNNING: Verbs = {
    **_RECORD_VERBS,
    "unbind": _change,
    "create": _create,
    "change": _change,
    "remove": _remove,
    "reset": _reset,
    "restore": _restore,
    "reload": _reload,
    "unbind live": _change_live,
    "change live": _change_live,
}

_STOPPED: Verbs = {
    **_RECORD_VERBS,
    "unbind": _edit_file,
    "create": _edit_file,
    "change": _edit_file,
    "remove": _remove_file,
    "reset": _remove_file,
    "restore": _restore_file,
}


def verbs(seen: Snapshot) -> Verbs:
    return types.MappingProxyType(_RUNNING if seen.running else _STOPPED)
