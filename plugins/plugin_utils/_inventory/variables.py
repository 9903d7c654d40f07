# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The variables and groups of machines. Private to the collection.

What a host or a machine has told becomes a value and never a template: such texts bear no trust,
and Ansible evaluates only those that do.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import keyword
import typing as t

from .answer import Found

PREFIX = "nspawn_"
MACHINES = "machines"
IMAGES = "images"
HERE = "nspawn.machined.nspawn"
OVER_SSH = "nspawn.machined.nspawn_ssh"
IMAGE = "nspawn.machined.nspawn_image"
_IDENTIFIER = 128
_DEPTH = 32


@dataclasses.dataclass(frozen=True)
class Way:
    """How one gets to a host, in the variables of its machines."""

    local: bool
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)


def connection_of(found: Found, way: Way) -> dict[str, t.Any]:
    """The variables that lead into it."""
    variables = dict(way.variables)
    if found.is_running:
        variables["ansible_connection"] = HERE if way.local else OVER_SSH
        variables["ansible_nspawn_machine"] = found.name
    else:
        variables["ansible_connection"] = IMAGE
        variables["ansible_nspawn_image"] = found.name
        variables["ansible_nspawn_ssh"] = not way.local
    return variables


def facts_of(found: Found) -> dict[str, t.Any]:
    """What is known of it."""
    known = {
        "host": found.host,
        "name": found.name,
        "state": found.state,
        **{key: value for key, value in found.facts.items() if value is not None},
    }
    return {f"{PREFIX}{key}": value for key, value in known.items()}


def declared_of(found: Found, allowed: t.Sequence[str]) -> tuple[dict[str, t.Any], list[str]]:
    """The variables that were declared for it, and the names of those that are left out.

    The host remembers them, and whoever is root there can change that. So they cannot lead the
    controller anywhere else: of the names that Ansible reads itself only those in O(allowed) count.
    """
    taken: dict[str, t.Any] = {}
    left = []
    for name, value in found.variables.items():
        ours = name.startswith(PREFIX)
        ansibles = name.startswith("ansible_")
        may = not ansibles or any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)
        if _is_name(name) and may and not ours and _is_plain(value):
            taken[name] = value
        else:
            left.append(name)
    return taken, left


def _is_name(name: str) -> bool:
    fits = name.isascii() and name.isidentifier() and len(name) <= _IDENTIFIER
    return fits and not keyword.iskeyword(name)


def _is_plain(value: t.Any, depth: int = _DEPTH) -> bool:
    """Whether it ends somewhere, and has no words that Ansible takes for its own when it reads."""
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(one, depth - 1) for one in value)
    if isinstance(value, dict):
        if any(str(key).startswith("__ansible_") for key in value):
            return False
        return depth > 0 and all(_is_plain(one, depth - 1) for one in value.values())
    return True


def groups_of(found: Found) -> list[str]:
    """The groups that it is in, as yet with all that is no part of a group's name."""
    groups = [IMAGES if found.is_image else MACHINES, f"host_{found.host}"]
    for prefix, key in (("os", "os"), ("zone", "zone")):
        value = found.facts.get(key)
        if value:
            groups.append(f"{prefix}_{value}")
    return groups
