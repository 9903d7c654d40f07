# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Every section and key of C(.nspawn) files, up to systemd 262.

Private to the collection. Each key has the version of systemd that knew it first, the kind of
its value, and what becomes of it in a file next to the image, which systemd does not trust. The
facts are those of systemd's C(src/nspawn/nspawn-gperf.gperf), C(nspawn-settings.c), the function
C(merge_settings) of C(nspawn.c), and C(man systemd.nspawn), read at 252, 257 and 262.
"""

from __future__ import annotations

import dataclasses
import typing as t

NEWEST = 262

# What a file next to the image may do with a key.
HONOURED = "honoured"
IGNORED = "ignored"
PARTLY = "partly"


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a value looks like, and what several values of one key mean."""

    name: str
    several: bool = False
    """Assignments add up; otherwise the last one counts."""
    words: bool = False
    """One assignment may hold several values, separated by whitespace."""
    boolean: bool = False
    """Takes C(yes) and C(no) in all their spellings, alone or beside O(choices)."""
    choices: tuple[str, ...] = ()
    first_stays: bool = False
    """A later assignment that contradicts the first is ignored."""


BOOLEAN = Kind("a boolean", boolean=True)
START_MODE = Kind("a boolean", boolean=True, first_stays=True)
TEXT = Kind("a text")
COMMAND = Kind("a list of arguments", several=True, words=True)
ENVIRONMENT = Kind("assignments NAME=VALUE", several=True, words=True)
USER = Kind("a user's name")
USERS = Kind("users' names", several=True, words=True)
CAPABILITIES = Kind("capabilities", several=True, words=True)
SIGNAL = Kind("a signal's name or number")
PERSONALITY = Kind("an architecture, like x86 or x86-64")
ID128 = Kind("32 hexadecimal digits, or a UUID")
PATH = Kind("an absolute path")
PATHS = Kind("an absolute path", several=True)
PIVOT = Kind("one absolute path or two with a colon between")
PRIVATE_USERS = Kind(
    "yes, no, pick, identity, managed, or UID[:COUNT]",
    boolean=True,
    choices=("pick", "identity", "managed"),
)
OWNERSHIP = Kind(
    "no, chown, map, foreign or auto",
    boolean=True,
    choices=("off", "chown", "map", "foreign", "auto"),
)
NUMBER = Kind("a number")
SYSTEM_CALLS = Kind("system calls or groups of them, after ~ the forbidden ones", several=True)
FAMILIES = Kind("address families", several=True, words=True)
LIMIT = Kind("a limit, or soft:hard, as a number, with a unit, or infinity")
HOSTNAME = Kind("a host name")
SCORE = Kind("a number between -1000 and 1000")
CPUS = Kind("CPU numbers and ranges", several=True, words=True)
RESOLV_CONF = Kind(
    "off, delete, auto, or one of copy, replace and bind with host, static, uplink or stub",
    boolean=True,
    choices=(
        "off",
        *(
            f"{how}-{what}"
            for how in ("copy", "replace", "bind")
            for what in ("host", "static", "uplink", "stub")
        ),
        "delete",
        "auto",
    ),
)
LINK_JOURNAL = Kind(
    "no, host, try-host, guest, try-guest or auto",
    boolean=True,
    choices=("auto", "guest", "host", "try-guest", "try-host"),
)
TIMEZONE = Kind(
    "off, copy, bind, symlink, delete or auto",
    boolean=True,
    choices=("off", "copy", "bind", "symlink", "delete", "auto"),
)
VOLATILE = Kind("no, yes, state or overlay", boolean=True, choices=("state", "overlay"))
BIND = Kind("SOURCE[:DESTINATION[:OPTIONS]], absolute paths", several=True)
TMPFS = Kind("an absolute path, after a colon its mount options", several=True)
OVERLAY = Kind("LOWER[:LOWER…]:UPPER[:DESTINATION], absolute paths", several=True)
SHELL = Kind("yes, no, or an absolute path", boolean=True)
INTERFACE = Kind("a network interface")
INTERFACES = Kind("network interfaces, or NAME:NAME", several=True, words=True)
VETH = Kind("an interface, or HOST:CONTAINER", several=True)
ZONE = Kind("a name of at most 12 characters")
PORT = Kind("[tcp:|udp:]HOST[:CONTAINER], ports from 1 to 65535", several=True)


@dataclasses.dataclass(frozen=True)
class Key:
    kind: Kind
    since: int
    untrusted: str = HONOURED


_LIMITS = (
    "CPU FSIZE DATA STACK CORE RSS NOFILE AS NPROC MEMLOCK LOCKS SIGPENDING MSGQUEUE NICE RTPRIO"
    " RTTIME"
)

TABLE: t.Mapping[str, t.Mapping[str, Key]] = {
    "Exec": {
        "Boot": Key(START_MODE, 226),
        "Ephemeral": Key(BOOLEAN, 240, IGNORED),
        "ProcessTwo": Key(START_MODE, 229),
        "Parameters": Key(COMMAND, 226),
        "Environment": Key(ENVIRONMENT, 226),
        "User": Key(USER, 226),
        "WorkingDirectory": Key(PATH, 229),
        "PivotRoot": Key(PIVOT, 233),
        "Capability": Key(CAPABILITIES, 226, IGNORED),
        "AmbientCapability": Key(CAPABILITIES, 248, IGNORED),
        "DropCapability": Key(CAPABILITIES, 226),
        "NoNewPrivileges": Key(BOOLEAN, 239),
        "KillSignal": Key(SIGNAL, 230),
        "Personality": Key(PERSONALITY, 226),
        "MachineID": Key(ID128, 226, IGNORED),
        "PrivateUsers": Key(PRIVATE_USERS, 230, IGNORED),
        "PrivateUsersDelegate": Key(NUMBER, 260, IGNORED),
        "NotifyReady": Key(BOOLEAN, 231),
        "SystemCallFilter": Key(SYSTEM_CALLS, 235, PARTLY),
        "RestrictAddressFamilies": Key(FAMILIES, 261),
        **{f"Limit{name}": Key(LIMIT, 239, IGNORED) for name in _LIMITS.split()},
        "OOMScoreAdjust": Key(SCORE, 239, IGNORED),
        "CPUAffinity": Key(CPUS, 239, IGNORED),
        "Hostname": Key(HOSTNAME, 239),
        "ResolvConf": Key(RESOLV_CONF, 239),
        "Timezone": Key(TIMEZONE, 239),
        "LinkJournal": Key(LINK_JOURNAL, 239, IGNORED),
        "SuppressSync": Key(BOOLEAN, 250),
    },
    "Files": {
        "ReadOnly": Key(BOOLEAN, 226),
        "Volatile": Key(VOLATILE, 226),
        "Bind": Key(BIND, 226, IGNORED),
        "BindReadOnly": Key(BIND, 226, IGNORED),
        "BindUser": Key(USERS, 249, IGNORED),
        "BindUserShell": Key(SHELL, 258, IGNORED),
        "TemporaryFileSystem": Key(TMPFS, 226, IGNORED),
        "Inaccessible": Key(PATHS, 242, IGNORED),
        "Overlay": Key(OVERLAY, 233, IGNORED),
        "OverlayReadOnly": Key(OVERLAY, 233, IGNORED),
        "PrivateUsersOwnership": Key(OWNERSHIP, 249, IGNORED),
        # Superseded by the one before, still understood.
        "PrivateUsersChown": Key(BOOLEAN, 230, IGNORED),
    },
    "Network": {
        "Private": Key(BOOLEAN, 226, IGNORED),
        "NamespacePath": Key(PATH, 259, IGNORED),
        "VirtualEthernet": Key(BOOLEAN, 226, IGNORED),
        "VirtualEthernetExtra": Key(VETH, 228, IGNORED),
        "Interface": Key(INTERFACES, 226, IGNORED),
        "MACVLAN": Key(INTERFACES, 226, IGNORED),
        "IPVLAN": Key(INTERFACES, 226, IGNORED),
        "Bridge": Key(INTERFACE, 226, IGNORED),
        "Zone": Key(ZONE, 230, IGNORED),
        "Port": Key(PORT, 226, IGNORED),
    },
}

# Patterns of values that came later than their key. The command line of systemd-nspawn learnt
# "managed" with 258 already, the file three versions later.
NEWER_VALUES: t.Mapping[tuple[str, str], t.Mapping[str, int]] = {
    ("Exec", "PrivateUsers"): {"managed": 261},
    ("Files", "PrivateUsersOwnership"): {"foreign": 258},
    **{("Network", key): {r".+:.*": 254} for key in ("Interface", "MACVLAN", "IPVLAN")},
}

# From here on private users that are picked have their ownership mapped without being told so.
OWNERSHIP_FOLLOWS = 262

# Keys that an old systemd takes from a file next to the image although it should not.
TRUSTED_BY_MISTAKE: t.Mapping[tuple[str, str], int] = {
    ("Exec", "Ephemeral"): 252,
    ("Files", "BindUser"): 252,
}
