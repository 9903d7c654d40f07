# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._systemd import causes

EXITED = [
    "systemd-nspawn@web.service: Main process exited, code=exited, status=1/FAILURE",
    "systemd-nspawn@web.service: Failed with result 'exit-code'.",
    "Failed to start systemd-nspawn@web.service - Container web.",
]


# Lines as systemd 252 and 257 have written them.
@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (
            (
                "execv(/usr/lib/systemd/systemd, /lib/systemd/systemd, /sbin/init) "
                "failed: No such file or directory"
            ),
            "no init",
        ),
        (
            (
                "Directory /var/lib/machines/z doesn't look like an OS root directory "
                "(os-release file is missing). Refusing."
            ),
            "no operating system",
        ),
        ("Directory tree /var/lib/machines/z is currently busy.", "Directory tree /var/lib/mach"),
        ("No image for machine 'z'.", "no image z"),
        ("Failed to add new ipvlan interfaces: Operation not supported", "kernel has no ipvlan"),
        ("Failed to add new macvlan interfaces: Device or resource busy", "MACVLAN or IPVLAN or"),
        ("Failed to register machine: Access denied", "where SELinux is enforcing"),
        ("in order to be bootable with systemd-nspawn.", "no partition or file system"),
        ("Failed to mount image: No medium found", "no partition or file system"),
        ("Failed to stat /nonexistent: No such file or directory", "/nonexistent does not exist"),
        (
            "Cannot bind mount file /etc/passwd on directory /var/lib/machines/z/usr.",
            "one of /etc/passwd and /var/lib/machines/z/usr is a file",
        ),
        (
            (
                "Failed to mount overlay (type overlay) on /var/lib/machines/z/mnt (0 "
                '"lowerdir=/a,upperdir=/b,workdir=/.#b"): No such file or directory'
            ),
            "Overlay= names does not exist",
        ),
        (
            "--read-only and --private-users-ownership=chown may not be combined.",
            "PrivateUsersOwnership=map",
        ),
        ("Failed to resolve user 'nosuchuser': No such process", "has no user nosuchuser"),
        ("Mapping 'root' user not supported, sorry.", "does not take the user root"),
        (
            "Sorry, mapping users without private groups is currently not supported.",
            "primary group",
        ),
        ("Sorry, the user 'games' already exists in the container.", "bring the user games"),
        ("--bind-user= requires --private-users", "needs private users"),
        ("Failed to resolve user nosuch.", "the image has no user nosuch,"),
        ("Failed to add new veth interfaces (ve-z:host0): File exists", "ip link delete ve-z"),
        ("Failed to add interface vb-z to bridge br77: No such device", "no bridge br77"),
        ('Failed to resolve interface "eth77": No such device', "no network interface eth77"),
        ("Cannot use --port= without private networking.", "[Network] Port="),
        (
            "/etc/systemd/nspawn/z.nspawn:1: Failed to parse file: Bad message",
            "refuses /etc/systemd/nspawn/z.nspawn as a whole",
        ),
        (
            (
                "systemd-nspawn@z.service: Service has more than one ExecStart= "
                "setting, which is only allowed for Type=oneshot services. Refusing."
            ),
            "second ExecStart=",
        ),
        ("systemd-nspawn@z.service: Failed to set up credentials: Protocol error", "credential"),
        (
            (
                "systemd-nspawn@z.service - Container z skipped, unmet condition check "
                "ConditionPathExists=/nosuch"
            ),
            "ConditionPathExists=/nosuch is not the case",
        ),
        (
            (
                "systemd-nspawn@z.service: Unable to locate executable '/usr/bin/x': "
                "No such file or directory"
            ),
            "a program that the host does not have",
        ),
        (
            (
                "systemd-nspawn@z.service - Container z was skipped because of an unmet "
                "condition check (ConditionPathExists=/nosuch)."
            ),
            "ConditionPathExists=/nosuch is not the case",
        ),
        ("Failed to allocate manager object: Too many open files", "inotify"),
        ("Mount point '/run/systemd/nspawn/unix-export/z' exists already, refusing.", "of this"),
    ],
)
def test_a_last_line_is_explained(line: str, cause: str) -> None:
    found = causes.likely([line, *EXITED], "exit-code")
    assert found is not None
    assert cause in found


@pytest.mark.parametrize(
    ("refusal", "cause"),
    [
        ("Unit systemd-nspawn@z.service is masked.", "systemctl unmask systemd-nspawn@z.service"),
        ("Unit nosuch.service not found.", "no unit nosuch.service"),
    ],
)
def test_systemd_s_refusal_to_try_is_explained(refusal: str, cause: str) -> None:
    assert cause in (causes.likely([], "success", refusal) or "")


def test_an_end_without_a_word_is_explained_only_when_nothing_was_said() -> None:
    assert "Interface=" in (causes.likely(EXITED, "exit-code") or "")
    assert causes.likely(["Something else.", *EXITED], "exit-code") is None


@pytest.mark.parametrize("result", ["timeout", "start-limit-hit", "oom-kill", "dependency"])
def test_systemd_s_own_word_is_explained(result: str) -> None:
    assert causes.likely(["Something."], result)


def test_nothing_is_made_up() -> None:
    assert causes.likely([], "") is None
    assert causes.likely(["Welcome to Debian!"], "signal") is None
