# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a host, as text by subject, so that two moments can be compared.

This file is also what runs on the host: it needs nothing but Python there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import typing as t

State = dict[str, str]

# Everything that the collection could have a reason to write to.
TREES = (
    "/etc/NetworkManager",
    "/etc/dbus-1",
    "/etc/firewalld",
    "/etc/group",
    "/etc/gshadow",
    "/etc/modules-load.d",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/polkit-1",
    "/etc/resolv.conf",
    "/etc/subgid",
    "/etc/subuid",
    "/etc/sysctl.conf",
    "/etc/sysctl.d",
    "/etc/systemd",
    "/etc/sysusers.d",
    "/etc/tmpfiles.d",
    "/run/firewalld",
    "/run/systemd/network",
    "/run/systemd/nspawn",
    "/run/systemd/system",
    "/run/systemd/system.control",
    "/srv",
    "/usr/local",
    "/var/lib/nspawn.machined",
)
# systemd-nspawn makes these when the first machine of a host starts, and never removes them.
NSPAWN_MAKES = (
    "/run/systemd/nspawn",
    "/run/systemd/nspawn/locks",
    "/run/systemd/nspawn/propagate",
    "/run/systemd/nspawn/unix-export",
)
# Of these only the names: machines write into their images at any time.
LISTINGS = (
    "/",
    "/etc",
    "/home",
    "/root",
    "/tmp",
    "/usr",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/machines",
    "/var/lib/mkosi",
    "/var/lib/portables",
    "/var/lib/private",
    "/var/tmp",
)
# mkosi's own, of packages: they are for all builds of a host, and not ours.
CACHE_OF_PACKAGES = "/var/cache/mkosi"
# Services with PrivateTmp= have directories of random names there.
NOT_LISTED = ("systemd-private-", ".ssh")
# Each machine of systemd 262 has one for as long as it runs.
OF_A_MACHINE = "nspawn-root-"
QUESTIONS = {
    # What is permanent lies in /etc/firewalld.
    "firewall's zones": "firewall-cmd --list-all-zones",
    "firewall's policies": "firewall-cmd --list-all-policies",
    "links": "ip -brief link show type veth",
    "bridges": "ip -brief link show type bridge",
    "forwarding": "sysctl --all --pattern [.](all|default)[.](forwarding|rp_filter)$",
    # Without what has been counted; firewalld's own chains are told by its zones and policies.
    "tables of packets": "nft --stateless list tables",
    "polkit's rules": "find /usr/share/polkit-1/rules.d /usr/local/share/polkit-1 -type f",
    "packages": "dpkg-query --show",
    "services that run": "systemctl list-units --plain --no-legend --state=running --type=service",
    "unit files": "systemctl list-unit-files --plain --no-legend --no-pager",
    "units that failed": "systemctl list-units --plain --no-legend --failed",
    "units of machines": "systemctl list-units --plain --no-legend --all systemd-nspawn@*.service",
}
# Started on request, by the one who looks too, and gone after some idle time.
ON_REQUEST = (
    "systemd-hostnamed",
    "systemd-importd",
    "systemd-machined",
    "systemd-timedated",
    # The sessions of the one who looks.
    "session-",
    "user@",
)


def state() -> State:
    """Everything, read now."""
    found: State = {}
    for tree in TREES:
        _add(found, tree)
    machines = list(_machines())
    unlisted = (*NOT_LISTED, OF_A_MACHINE) if machines else NOT_LISTED
    for directory in LISTINGS:
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            path = os.path.join(directory, name)
            if not name.startswith(unlisted) and path != CACHE_OF_PACKAGES:
                found[path] = "is there"
    for subject, question in QUESTIONS.items():
        found[subject] = _answer(question)
    for leader, machine in machines:
        found[f"machine {machine}"] = f"runs, with leader {leader}"
    return found


def _add(found: State, path: str) -> None:
    if os.path.islink(path):
        found[path] = f"link to {os.readlink(path)}"
    elif os.path.isdir(path):
        if path not in NSPAWN_MAKES:
            found[path] = f"directory {_owner_and_mode(path)}"
        for name in sorted(os.listdir(path)):
            _add(found, os.path.join(path, name))
    elif os.path.isfile(path):
        with open(path, "rb") as file:
            content = file.read()
        found[path] = f"file {_owner_and_mode(path)}\n{_text(content)}"


def _owner_and_mode(path: str) -> str:
    status = os.lstat(path)
    return f"{status.st_uid}:{status.st_gid} {status.st_mode & 0o7777:04o}"


def _text(content: bytes) -> str:
    try:
        return content[:65536].decode()
    except UnicodeDecodeError:
        return hashlib.sha256(content).hexdigest()


def _answer(question: str) -> str:
    program, *_arguments = question.split()
    if shutil.which(program) is None:
        return ""
    done = subprocess.run(
        question.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True
    )
    lines = [line.strip() for line in done.stdout.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith(ON_REQUEST))


def _machines() -> t.Iterator[tuple[str, str]]:
    for line in _answer("machinectl list --no-legend --no-pager").splitlines():
        name = line.split()[0]
        leader = _answer(f"machinectl show --property=Leader --value {name}")
        yield leader, name


def differences(before: State, after: State) -> dict[str, tuple[str, str]]:
    """What is not as it was: for each subject the state before and after."""
    return {
        subject: (before.get(subject, "is not there"), after.get(subject, "is not there"))
        for subject in sorted(before.keys() | after.keys())
        if before.get(subject) != after.get(subject)
    }


if __name__ == "__main__":
    print(json.dumps(state()))
