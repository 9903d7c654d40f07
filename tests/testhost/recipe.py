# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a test host and a guest are made of, and making them once for each recipe.

This file's own bytes are part of the key under which trees are cached: whatever is changed here
is built anew.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import typing as t
from collections.abc import Callable, Sequence
from pathlib import Path

from . import disk, mirrors, places
from .run import TesthostError, run

COMMON = (
    "acl apt bubblewrap btrfs-progs ca-certificates cpio curl dbus debian-archive-keyring "
    "debootstrap dosfstools e2fsprogs firewalld gnupg iproute2 iputils-ping kmod less "
    "libnss-myhostname libnss-mymachines libnss-resolve libnss-systemd mkosi mmdebstrap mtools "
    "nftables openssh-server polkitd procps python3 qemu-utils rsync socat squashfs-tools sudo "
    "systemd systemd-container systemd-resolved systemd-sysv uidmap util-linux xz-utils zstd"
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
        "dbus iproute2 iputils-ping libnss-myhostname libnss-resolve libnss-systemd python3 "
        "systemd systemd-resolved systemd-sysv".split()
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

DISK_SIZE = "24G"
TAR = ("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--sort=name")


def distribution(name: str) -> Distribution:
    if name not in DISTRIBUTIONS:
        raise TesthostError(f"no distribution {name!r}; there are: {', '.join(DISTRIBUTIONS)}")
    return DISTRIBUTIONS[name]


def digest(made_of: Distribution) -> str:
    """The key of a recipe: its packages and the code that puts them together."""
    parts = (repr(made_of).encode(), Path(__file__).read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def host_image(name: str, say: Callable[[str], None]) -> Path:
    """The cached disk image with the root tree of a distribution."""
    made_of = distribution(name)
    target = places.CACHE / f"{name}-{digest(made_of)}.img"
    return _made_once(target, say, lambda partial: _build_in_namespace("host", name, partial))


def guest_tar(say: Callable[[str], None]) -> Path:
    """The cached minimal guest, one tar for all hosts."""
    target = places.CACHE / f"guest-{GUEST.suite}-{digest(GUEST)}.tar"
    return _made_once(target, say, lambda partial: _build_in_namespace("guest", "", partial))


def _made_once(target: Path, say: Callable[[str], None], make: Callable[[Path], None]) -> Path:
    """Make a file of the cache, whole or not at all, even when several ask for it at once."""
    if target.exists():
        return target
    with places.locked(target.with_suffix(".lock")):
        if not target.exists():
            say(f"making {target.name} (once; log: {_log(target)})")
            partial = target.with_name(f".{target.name}.partial")
            partial.unlink(missing_ok=True)
            try:
                make(partial)
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)
        target.with_suffix(".lock").unlink(missing_ok=True)
    return target


def _log(target: Path) -> Path:
    return target.with_suffix(".log")


def _build_in_namespace(kind: str, name: str, target: Path) -> None:
    """Run build() where its mounts end with it."""
    # With a process namespace as well, nothing goes on building when the caller was killed.
    command = [*("unshare", "--mount", "--propagation", "private"), *("--pid", "--kill-child")]
    command += ["--", sys.executable, str(Path(__file__).parent)]
    log = _log(target.with_name(target.name.removeprefix(".").removesuffix(".partial")))
    with log.open("wb") as handle:
        run([*command, "_build", kind, name, str(target)], log=handle, end_with_parent=True)


def build(kind: str, name: str, target: Path) -> None:
    """Build a host's image or the guest's tar; called in a mount namespace of its own."""
    tree = target.with_suffix(".tree")
    if tree.exists():
        shutil.rmtree(tree)
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
    shutil.rmtree(tree)


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
            # Neither the build machine's mirrors nor its options belong into a tree that is kept.
            "--skip=cleanup/reproducible",
            made_of.suite,
            str(tree),
            *mirrors.lines(mirrors.sources(made_of.suite)),
        ],
        log=sys.stdout.buffer,
    )
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
    run(["chroot", str(tree), "/usr/lib/systemd/systemd-update-done"])


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
