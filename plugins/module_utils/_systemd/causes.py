# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Why machines do not start: what was said, what it has meant, and what helps.

Private to the collection. Pure. The lines are systemd-nspawn's and systemd's own, seen on 252
and 257; the first that fits counts, so the particular stand before the general.
"""

from __future__ import annotations

import re
import typing as t

NOT_READY = (
    "its init did not say in time that it was ready; one other than systemd never does, then"
    " set [Exec] NotifyReady=no"
)


class Cause(t.NamedTuple):
    pattern: str
    meaning: str
    """May refer to the groups of the pattern."""


CAUSES: t.Sequence[Cause] = (
    # The image.
    Cause(
        r"execv\(.*init.*\) failed: No such file",
        "the image has no init, so it cannot boot; install systemd in it",
    ),
    Cause(
        r"(?:os-release file|/usr/ directory) is missing",
        "the image holds no operating system (no os-release, or no /usr)",
    ),
    Cause(r"No image for machine '(.*)'", "there is no image {0}; create it first"),
    Cause(
        r"((?:Disk image|Directory tree) .+) is currently busy",
        "{0} is in use, by another machine or by an operation on it; wait for that, or clone it",
    ),
    Cause(
        r"(?i)(?:in order to be bootable with systemd-nspawn|dissect image|failed to mount image"
        r"|(?:suitable|root) partition)",
        "the disk image has no partition or file system that this host can mount; it may be"
        " damaged, or of a format that the host's systemd or kernel does not know",
    ),
    # Files.
    Cause(
        r"Failed to stat (\S+): No such file",
        "{0} does not exist on the host; create what [Files] Bind= is to show, before the start",
    ),
    Cause(
        r"Cannot bind mount (?:file|directory) (\S+) on (?:file|directory) (\S+?)\.?(?:\n|$)",
        "one of {0} and {1} is a file and the other a directory; see [Files] Bind=",
    ),
    Cause(
        r"Failed to mount overlay .*lowerdir=.*No such file",
        "a directory that [Files] Overlay= names does not exist on the host",
    ),
    Cause(
        r"--private-users-ownership=chown may not be combined",
        "the owners of files in a read-only or volatile image cannot be changed; set [Files]"
        " PrivateUsersOwnership=map",
    ),
    # Users.
    Cause(
        r"Failed to resolve user '(.*)': No such process",
        "the host has no user {0}, whom [Files] BindUser= names",
    ),
    Cause(
        r"Mapping '(.*)' user not supported",
        "[Files] BindUser= does not take the user {0}",
    ),
    Cause(
        r"mapping users without private groups",
        "the primary group of a user of [Files] BindUser= must have the user's name, and no"
        " other members",
    ),
    Cause(
        r"Sorry, the (user|group) '(.*)' already exists in the container",
        "[Files] BindUser= cannot bring the {0} {1}, as the image has one of that name",
    ),
    Cause(
        r"--bind-user= requires --private-users",
        "[Files] BindUser= needs private users; set [Exec] PrivateUsers=pick and [Files]"
        " PrivateUsersOwnership=auto",
    ),
    Cause(
        r"Failed to resolve user (\S+?)\.?(?:\n|$)",
        "the image has no user {0}, whom [Exec] User= names",
    ),
    # Network.
    Cause(
        r"Failed to add new veth interfaces \((.+?):.*File exists",
        "the host has a network interface {0} already; remove it with: ip link delete {0}",
    ),
    Cause(
        r"Failed to add interface \S+ to bridge (\S+): No such device",
        "the host has no bridge {0}; create it first, or use [Network] Zone=, which makes its own",
    ),
    Cause(
        r"Failed to resolve interface [\"']?([^\s\"':]+)[\"']?: No such device",
        "the host has no network interface {0}, which [Network] MACVLAN=, IPVLAN= or Interface="
        " names",
    ),
    Cause(
        r"Failed to add new (\w+) interfaces?: Operation not supported",
        "the host's kernel has no {0}; choose another kind of network in [Network]",
    ),
    Cause(
        r"Failed to add new (\w+) interfaces?: Device or resource busy",
        "the link is used in another way already: one carries either MACVLAN or IPVLAN or is on a"
        " bridge, so it cannot have {0} beside that",
    ),
    Cause(
        r"Cannot use --port= without private networking",
        "[Network] Port= makes no sense for a machine on the host's own network; remove it",
    ),
    # The machine's settings and its unit.
    Cause(
        r"(\S+\.nspawn):\d+: Failed to parse file",
        "systemd refuses {0} as a whole; see the line before",
    ),
    Cause(
        r"more than one ExecStart= setting",
        "a drop-in adds a second ExecStart=; an empty one must stand before it",
    ),
    Cause(
        r"Failed to set up credentials",
        "a credential cannot be read; see LoadCredential= in the unit's drop-ins",
    ),
    Cause(
        r"skipped(?:,| because of an) unmet condition check \(?([^\s()]+)",
        "{0} is not the case",
    ),
    Cause(
        r"Unable to locate executable '(.*)'|Failed at step EXEC spawning (.*): No such file",
        "ExecStart= in one of the unit's drop-ins names a program that the host does not have",
    ),
    Cause(r"Unit (\S+) is masked", "{0} is masked; run: systemctl unmask {0}"),
    Cause(r"Unit (\S+) not found", "the host has no unit {0}"),
    # The host.
    Cause(
        r"Too many open files",
        "the host has no inotify instances left, which the kernel's default brings about at some"
        " 14 machines; raise fs.inotify.max_user_instances (the role host does)",
    ),
    Cause(
        r"Machine .* already exists|unix-export/(.*)' exists already",
        "another machine of this name runs, outside its unit; see machinectl list",
    ),
    # As reported from Fedora 43 with a policy older than its systemd.
    Cause(
        r"Failed to register machine: (?:Access|Permission) denied",
        "systemd-machined may not do that; where SELinux is enforcing, its policy denies it, which"
        " shows with: ausearch -m avc -c systemd-machine. See docs/hosts.md of this collection",
    ),
    Cause(r"No space left on device", "a file system of the host is full"),
    Cause(
        r"user namespace.*Operation not permitted|write UID map",
        "the host does not allow user namespaces; see the sysctl user.max_user_namespaces",
    ),
)

RESULTS: t.Mapping[str, str] = {
    "timeout": NOT_READY,
    "start-limit-hit": "it was started too often in a short time",
    "oom-kill": "it ran out of memory; see MemoryMax= of its unit, and the memory of the host",
    "protocol": "it ended by itself before it had booted",
    "dependency": "a unit that it needs did not start",
}

# systemd's own words about the unit; the rest was said by the machine.
_FRAME = re.compile(
    r"\S+\.service: |(?:Starting|Started|Stopping|Stopped|Failed to start) |Parent died too early"
)


def likely(lines: t.Sequence[str], result: str = "", refusal: str = "") -> str | None:
    """What such last lines, and systemd's refusal to try, have meant before."""
    said = "\n".join([*lines, refusal])
    for pattern, meaning in CAUSES:
        found = re.search(pattern, said)
        if found:
            return meaning.format(*(group or "" for group in found.groups()))
    if result == "exit-code" and lines and all(_FRAME.match(line) for line in lines):
        return (
            "systemd-nspawn ended without a word, as it does when the host has no network interface"
            " that [Network] Interface= names"
        )
    return RESULTS.get(result)
