# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Give users private groups, and machines what makes users known in them.

Private to the collection.
"""

from __future__ import annotations

import contextlib
import errno
import os

from .._core import beneath, beneath_write
from .._core.plan import Step, Verbs
from .._core.run import run
from .._nsswitch import act as nsswitch_act
from . import record as users_record
from .equip import Equipment
from .seen import LINGER

# --- private groups -------------------------------------------------------------------------


def _group(step: Step) -> None:
    """What was so before is remembered first: a run that is cut off can be taken back."""
    name, record = step.subject, step.arguments["record"]
    users_record.write(name, record)
    if record.made:
        number = step.arguments.get("gid")
        run(["groupadd", *([] if number is None else ["--gid", str(number)]), "--", name])
    join = ["--append", "--groups", record.primary] if record.joined else []
    # It stays in the old one, so that it reads and writes what it did.
    run(["usermod", "--gid", name, *join, "--", name])


def _ungroup(step: Step) -> None:
    name, record = step.subject, step.arguments["record"]
    if not step.arguments["changed"] and record.primary is not None:
        run(["usermod", "--gid", record.primary, "--", name])
        if record.joined:
            run(["gpasswd", "--delete", name, record.primary], check=False)
        if record.made:
            run(["groupdel", "--", name])
    users_record.forget(name)


VERBS: Verbs = {"group": _group, "ungroup": _ungroup}


# --- what is in a machine ---------------------------------------------------------------------


def equip(path: str, equipment: Equipment) -> None:
    """Change a tree; nothing in it leads out of it."""
    if equipment.nsswitch is not None:
        nsswitch_act.write(path, equipment.nsswitch)
    with beneath.image(path) as root:
        if equipment.linger:
            _make_directory(root, LINGER)
        for name in equipment.linger:
            beneath_write.write(root, f"{LINGER}/{name}", "")
        for name in equipment.unlinger:
            beneath_write.remove(root, f"{LINGER}/{name}")


def _make_directory(root: beneath.Root, path: str) -> None:
    """As systemd-logind has it, owned by whom what it is in belongs to."""
    if root.is_directory(path):
        return
    directory, name = root.place(path)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=directory)
        status = os.fstat(directory)
        os.chown(name, status.st_uid, status.st_gid, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        raise beneath.Unusable(f"{root.shown(path)} cannot be made: {reason}") from None
    finally:
        os.close(directory)
