# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Booting a host: the namespace and cgroup around it, and systemd-nspawn within.

The supervisor is the first process of namespaces of its own. Everything in the host, whatever was
mounted for it and every lock that systemd-nspawn took ends with the supervisor, so that nothing
needs to be remembered. (systemd-nspawn alone is not enough: its container outlives a kill -9.)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from . import disk, dress, network, places
from .network import Link
from .run import IN_NAMESPACES, HostError, die_with_parent, run

CGROUPS = Path("/sys/fs/cgroup")
REBOOT = 133  # how systemd-nspawn --keep-unit says that its container wants to start again

# On a machine of a person, a host gets only these of its devices.
DEVICES = ("btrfs-control", "fuse", "loop-control", "net/tun")


def systemd_runs() -> bool:
    """Whether this machine's PID 1 is systemd, as sd_booted(3) finds out."""
    return Path("/run/systemd/system").is_dir()


def unit(link: Link) -> str:
    return f"{places.PROJECT}-{link.slot}.service"


def start(host: places.Host, link: Link, binds: dict[Path, Path]) -> None:
    """Start a host's supervisor and come back at once."""
    pairs = [f"{source}:{target}" for source, target in binds.items()]
    command = [
        *IN_NAMESPACES,
        *(
            sys.executable,
            str(Path(__file__).parent),
            "_supervise",
            str(host.directory),
            str(link.slot),
        ),
        *pairs,
    ]
    if systemd_runs():
        # A service of its own gives a delegated cgroup and outlives the session that asked for it.
        run(
            [
                *("systemd-run", "--quiet", "--collect", f"--unit={unit(link)}"),
                *("--property=Delegate=yes", "--property=KillMode=control-group"),
                *("--property=TasksMax=infinity", "--property=LimitNOFILE=infinity"),
                f"--property=StandardOutput=append:{host.console}",
                f"--property=StandardError=append:{host.console}",
                f"--setenv=TESTHOST_BUILD={places.BUILD}",
                f"--setenv=TESTHOST_CACHE={places.CACHE}",
                *command,
            ]
        )
        return
    with host.console.open("ab") as console:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            env={
                **os.environ,
                "TESTHOST_BUILD": str(places.BUILD),
                "TESTHOST_CACHE": str(places.CACHE),
            },
        )


def supervise(host: places.Host, link: Link, binds: list[str]) -> None:
    """Boot a host, again after each reboot from inside, until it powers off."""
    group = _enter_cgroup(link)
    # systemd-nspawn's locks and propagation directories survive its hard end: not in this /run.
    run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"])
    disk.mount(host.disk, host.root)
    dress.dress(host, link)

    def enter() -> None:
        die_with_parent()
        (group / "cgroup.procs").write_text("0")

    while True:
        container = subprocess.Popen(
            nspawn(host, link, binds), stdin=subprocess.DEVNULL, preexec_fn=enter
        )
        network.attach(link, container)
        if container.wait() != REBOOT:
            break


def nspawn(host: places.Host, link: Link, binds: list[str]) -> list[str]:
    """The command line of systemd-nspawn."""
    if systemd_runs():
        names = [*DEVICES, *(f"loop{number}" for number in range(64))]
        present = [path for path in (Path("/dev") / name for name in names) if path.exists()]
        devices = [f"--bind={path}" for path in present]
    else:
        # Partitions of loop devices appear only in the kernel's own /dev.
        devices = ["--bind=/dev:/dev:norbind"]
    return [
        "systemd-nspawn",
        *("--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe"),
        *("--directory", str(host.root), f"--machine={host.name}"),
        *("--capability=all", "--system-call-filter=@keyring bpf", "--private-users=no"),
        *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
        f"--network-veth-extra={link.interface}:{network.INSIDE}",
        *devices,
        *(f"--bind-ro={pair}" for pair in binds),
    ]


def cgroup_name(link: Link) -> str:
    return f"{places.PROJECT}-{link.slot}"


def _enter_cgroup(link: Link) -> Path:
    """Make cgroups for supervisor and host, move into the first and return the second.

    /sys/fs/cgroup is made what systemd-nspawn wants: cgroup2 and nothing else.
    """
    if not (CGROUPS / "cgroup.controllers").exists():
        for target in reversed(_mounts_below(CGROUPS)):
            run(["umount", "--lazy", target])
        run(["mount", "-t", "cgroup2", "cgroup2", str(CGROUPS)])
    if systemd_runs():
        base = CGROUPS / own_cgroup().lstrip("/")
    else:
        base = CGROUPS / cgroup_name(link)
        base.mkdir(exist_ok=True)
        _delegate(CGROUPS)
    # A group with processes of its own cannot hand controllers on.
    for name in ("supervisor", "host"):
        (base / name).mkdir(exist_ok=True)
    (base / "supervisor" / "cgroup.procs").write_text("0")
    _delegate(base)
    return base / "host"


def cgroup_root() -> Path:
    """Where this machine shows its cgroup2 tree."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _separator, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split()[4])
    raise HostError(
        "no cgroup2 is mounted; run: mkdir -p /sys/fs/cgroup/unified && "
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
    )


def own_cgroup() -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::")
    raise HostError("this kernel has no cgroup2: boot it with cgroup_no_v1= or a newer one")


def _delegate(group: Path) -> None:
    """Hand on every controller that can be."""
    for controller in (group / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _mounts_below(path: Path) -> list[str]:
    targets = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [target for target in targets if target == str(path) or target.startswith(f"{path}/")]
