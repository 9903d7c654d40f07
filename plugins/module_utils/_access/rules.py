# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The rules of polkit that grant rights to machines: a table, and the code that reads it.

Private to the collection. Pure. The file is also where the table is kept: it is read back from
there, and nothing else remembers it.
"""

from __future__ import annotations

import json
import typing as t

from .._core.plan import Failure
from .wanted import EVERY, Grant

# Rules that an administrator files before it come first; among what they leave open, polkit takes
# the first answer.
PATH = "/etc/polkit-1/rules.d/60-nspawn-machined.rules"

_TABLE = "    var MACHINES = ["
_END = "    ];"

# What systemd and machined tell polkit of each call is in their sources: bus_verify_polkit_async
# and varlink_verify_polkit_async, with their details. ECMAScript 5, as polkit's smaller engine
# knows no more.
_HEAD = """\
// Written by nspawn.machined.access, which writes it anew when the table changes.
// Names are compared whole. What is not named here is left to other rules and polkit's defaults.
(function () {
    "use strict";

"""
_CODE = """

    // A detail of a call, or nothing: not every call has each of them.
    function detail(action, name) {
        var value = action.lookup(name);
        return typeof value === "string" ? value : null;
    }

    // What is asked for, in the words of the table. Nothing for all that cannot be granted.
    function right(action, user) {
        var verb = detail(action, "verb");
        switch (action.id) {
        case "org.freedesktop.systemd1.manage-units":
            // To start a transient unit asks for the same, but its command is the caller's.
            if ((detail(action, "polkit.message") || "").indexOf("transient") >= 0) {
                return null;
            }
            return ["start", "stop", "restart"].indexOf(verb) >= 0 ? verb : null;
        case "org.freedesktop.machine1.manage-machines":
            return ["kill", "terminate"].indexOf(verb) >= 0 ? verb : null;
        case "org.freedesktop.machine1.inspect-machines":
            return "status";
        case "org.freedesktop.machine1.login":
            return "login";
        case "org.freedesktop.machine1.shell":
            switch (detail(action, "user")) {
            case null:
                return null;
            case user:
                return "shell";
            case "root":
                return "root_shell";
            }
        }
        return null;
    }

    function isOf(action, machine) {
        if (action.id === "org.freedesktop.systemd1.manage-units") {
            return detail(action, "unit") === "systemd-nspawn@" + machine + ".service";
        }
        // The same by its two names: of the bus, and of Varlink.
        var bus = detail(action, "machine"), varlink = detail(action, "name");
        return (bus !== null ? bus : varlink) === machine;
    }

    function owns(entry, subject) {
        return entry.users.indexOf(subject.user) >= 0 || entry.groups.some(function (group) {
            return subject.isInGroup(group) === true;
        });
    }

    polkit.addRule(function (action, subject) {
        try {
            if (typeof subject.user !== "string" || subject.user === "") {
                return polkit.Result.NOT_HANDLED;
            }
            var asked = right(action, subject.user);
            if (asked !== null && MACHINES.some(function (entry) {
                return entry.may.indexOf(asked) >= 0 && isOf(action, entry.machine)
                    && owns(entry, subject);
            })) {
                return polkit.Result.YES;
            }
        } catch (error) {
            // A rule that throws would deny everything to everybody.
        }
        return polkit.Result.NOT_HANDLED;
    });
}());
"""


def render(grants: t.Iterable[Grant]) -> str:
    """The text of the file; the same for the same rights, in whatever order they are given."""
    lines = [f"        {_entry(grant)}" for grant in sorted(grants, key=lambda one: one.machine)]
    return _HEAD + "\n".join([_TABLE, ",\n".join(lines), _END]) + _CODE


def _entry(grant: Grant) -> str:
    return json.dumps(
        {
            "machine": grant.machine,
            "users": sorted(grant.users),
            "groups": sorted(grant.groups),
            "may": [right for right in EVERY if right in grant.may],
        }
    )


def parse(text: str) -> tuple[Grant, ...]:
    """The rights that a file of ours grants; a refusal of one that is not as it was written."""
    _head, table, rest = text.partition(_TABLE)
    lines, end, _code = rest.partition(f"\n{_END}")
    try:
        if not (table and end):
            raise ValueError("there is no table of machines in it")
        grants = tuple(_grant(entry) for entry in json.loads(f"[{lines}]"))
        if render(grants) != text:
            raise ValueError("it was changed by hand")
        return grants
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"{PATH}: is not as nspawn.machined.access writes it ({error}); call it with all"
            " machines and exclusive=true to have it written anew, or remove the file"
        ) from error


def _grant(entry: t.Mapping[str, t.Any]) -> Grant:
    return Grant(
        machine=str(entry["machine"]),
        users=tuple(map(str, entry["users"])),
        groups=tuple(map(str, entry["groups"])),
        may=tuple(map(str, entry["may"])),
    )


def without(text: t.Optional[str], machines: t.Collection[str]) -> t.Optional[str]:
    """The text of the file without the rights to some machines; nothing when none are left."""
    if text is None:
        return None
    left = [one for one in parse(text) if one.machine not in machines]
    return render(left) if left else None
