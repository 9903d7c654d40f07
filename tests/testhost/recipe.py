# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test host and a guest are made of.

This file's own bytes are part of the key under which trees are cached: after a change here all
of them are made anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import typing as t
from collections.abc import Sequence
from pathlib import Path

from . import disk, mirrors, places
from .run import HostError, run

COMMON = (
    "acl apt bubblewrap btrfs-progs ca-certificates cpio curl dbus debian-archive-keyring "
    "debootstrap dosfstools e2fsprogs fdisk firewalld gnupg iproute2 iputils-ping kmod less "
    "libnss-myhostname libnss-mymachines libnss-resolve libnss-systemd mkosi mmdebstrap mtools "
    "nftables openssh-server polkitd procps python3 python3-apt qemu-utils rsync socat "
    "squashfs-tools sudo systemd systemd-container systemd-resolved systemd-sysv uidmap util-linux "
    "xz-utils zstd"
).split()


class Distribution(t.NamedTuple):
    """One kind of test host."""

    suite: str
    packages: tuple[str, ...]


DISTRIBUTIONS = {
    "debian12": Distribution("bookworm", (*COMMON, "systemd-boot")),
    "debian13": Distribution("trixie", (*COMMON, "systemd-boot", "systemd-repart")),
    # Without libcurl4t64 pulls on forky fail with "Operation not supported".
    "forky": Distribution("forky", (*COMMON, "systemd-boot", "systemd-repart", "libcurl4t64")),
}

# The guest has the whole of Python: python3-minimal lacks shutil and uuid, and with them no
# Ansible module runs.
GUEST = Distribution(
    "trixie",
    tuple(
        "dbus iproute2 iputils-ping libnss-myhostname libnss-resolve libnss-systemd libpam-systemd "
        "python3 systemd systemd-resolved systemd-sysv".split()
    ),
)

# Kept out of both: nobody reads them there, and they are a third of the guest.
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")

# A shared /dev shows the consoles of the real machine, and timers that go off disturb
# measurements. The host's uplink is static, so that nothing waits for the network.
MASKED_ON_HOST = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "btrfs-scrub.timer",
    "console-getty.service",
    "container-getty@.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@.service",
    "pesign.service",
    "serial-getty@.service",
    "systemd-networkd-wait-online.service",
    "systemd-pcrlock-make-policy.service",
)
MASKED_IN_GUEST = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
)

# pam_env complains at every login without a locale. And a host shares /dev with the machine: it
# changes no modes there, takes no consoles and does not read the machine's kernel log.
HOST_FILES = {
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/tmpfiles.d/static-nodes-permissions.conf": "",
    "etc/systemd/logind.conf.d/testhost.conf": "[Login]\nNAutoVTs=0\nReserveVT=0\n",
    "etc/systemd/journald.conf.d/testhost.conf": "[Journal]\nReadKMsg=no\n",
}

# Later suites merge /usr by themselves; without it systemd lies in /lib.
MERGED_USR = ("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",)

DISK_SIZE = "24G"
TAR = ("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--sort=name")


def distribution(name: str) -> Distribution:
    if name not in DISTRIBUTIONS:
        raise HostError(f"no distribution {name!r}; there are: {', '.join(DISTRIBUTIONS)}")
    return DISTRIBUTIONS[name]


# Read when it is loaded: what is built must not get the key of what the file says later.
CODE = Path(__file__).read_bytes()


def digest(made_of: Distribution) -> str:
    """The key of a recipe: its packages and the code that puts them together."""
    return hashlib.sha256(repr(made_of).encode() + CODE).hexdigest()[:12]


def tree_of(target: Path) -> Path:
    """Where the tree lies while it is built."""
    return target.with_suffix(".tree")


def build(kind: str, name: str, target: Path) -> None:
    """Build a host's image or the guest's tar; called in a mount namespace of its own."""
    if digest(GUEST if kind == "guest" else distribution(name)) not in target.name:
        raise HostError(f"{__file__} changed while it was at work: start again")
    tree = tree_of(target)
    tree.mkdir(mode=0o755)
    if kind == "guest":
        _bootstrap(GUEST, "minbase", tree)
        _dress_guest(tree)
        run([*TAR, "-C", str(tree), "-cf", str(target), "."])
    else:
        disk.make(target, DISK_SIZE)
        disk.mount(target, tree)
        _bootstrap(distribution(name), "important", tree)
        _dress_host(tree)
        # What was freed can be trimmed only when the file system has committed it.
        run(["btrfs", "filesystem", "sync", str(tree)])
        run(["fstrim", str(tree)])
        run(["umount", str(tree)])


def _bootstrap(made_of: Distribution, variant: str, tree: Path) -> None:
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
    options = [f"--aptopt={option}" for option in mirrors.options()]
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--format=directory",
            f"--variant={variant}",
            f"--include={','.join(made_of.packages)}",
            '--aptopt=Apt::Install-Recommends "false"',
            *options,
            *excluded,
            *(MERGED_USR if made_of.suite == "bookworm" else ()),
            # A tree that is not whole is thrown away, so it need not be safe at every moment.
            "--dpkgopt=force-unsafe-io",
            made_of.suite,
            str(tree),
            *mirrors.lines(mirrors.sources(made_of.suite)),
        ],
        log=sys.stdout.buffer,
    )
    # Of this machine: a host gets its own when it is dressed, and a guest none.
    for leftover in ("etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap"):
        (tree / leftover).unlink(missing_ok=True)


def _dress_host(tree: Path) -> None:
    _write(tree, "etc/machine-id", "")
    _stub_resolver(tree)
    _write(tree, "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # As a subvolume, and made by the host's own systemd-tmpfiles at its first boot.
    shutil.rmtree(tree / "var/lib/machines", ignore_errors=True)
    for path, text in HOST_FILES.items():
        _write(tree, path, text)
    (tree / places.INSIDE.relative_to("/")).mkdir()
    _systemctl(tree, "mask", MASKED_ON_HOST)
    _systemctl(
        tree, "enable", ("systemd-networkd.service", "systemd-resolved.service", "ssh.service")
    )
    _up_to_date(tree)


def _dress_guest(tree: Path) -> None:
    # Empty: every clone gets an identity of its own at its first boot.
    _write(tree, "etc/machine-id", "")
    (tree / "etc/hostname").unlink(missing_ok=True)
    _stub_resolver(tree)
    _systemctl(tree, "mask", MASKED_IN_GUEST)
    _systemctl(tree, "enable", ("systemd-networkd.service", "systemd-resolved.service"))
    run(["chroot", str(tree), "passwd", "--lock", "root"])
    _up_to_date(tree)


def _up_to_date(tree: Path) -> None:
    """Spare the first boot ldconfig, sysusers and catalogues, which the packages have seen to."""
    moment = int((tree / "usr").stat().st_mtime)
    for path in ("usr", "etc/.updated", "var/.updated"):
        (tree / path).touch()
        os.utime(tree / path, (moment, moment))


def _stub_resolver(tree: Path) -> None:
    resolv_conf = tree / "etc/resolv.conf"
    resolv_conf.unlink(missing_ok=True)
    resolv_conf.symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _systemctl(tree: Path, verb: str, units: Sequence[str]) -> None:
    run(["chroot", str(tree), "systemctl", verb, *units])


def _write(tree: Path, path: str, text: str) -> None:
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
