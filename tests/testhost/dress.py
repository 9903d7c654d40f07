# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a copied root tree this one host: name, keys, addresses and package sources."""

from __future__ import annotations

import uuid
from pathlib import Path

from . import mirrors, network, places, recipe
from .network import Link

# They want udev, which no container has, for the TPM of the real machine; on forky they fail.
MASKED = ("tpm-udev.path", "tpm-udev.service")


def dress(host: places.Host, link: Link) -> None:
    """Write a host's own files into its tree; the same files again do no harm."""
    sources = mirrors.sources(recipe.distribution(host.distribution).suite)
    files = {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n::1 localhost\n",
        "etc/systemd/network/10-testhost.network": network.settings_inside(
            link, network.machine_name_servers()
        ),
        "etc/apt/sources.list.d/debian.sources": mirrors.deb822(sources),
        "etc/apt/apt.conf.d/90testhost": "".join(f"{line}\n" for line in mirrors.options()),
        "root/.ssh/authorized_keys": places.SSH_KEY.with_suffix(".pub").read_text(),
        "etc/ssh/ssh_host_ed25519_key": host.ssh_host_key.read_text(),
        "etc/ssh/ssh_host_ed25519_key.pub": host.ssh_host_key.with_suffix(".pub").read_text(),
    }
    for path, text in files.items():
        _write(host.root / path, text)
    for unit in MASKED:
        link_to_null = host.root / "etc/systemd/system" / unit
        if not link_to_null.is_symlink():
            link_to_null.symlink_to("/dev/null")
    machine_id = host.root / "etc/machine-id"
    if not machine_id.read_text().strip():
        _write(machine_id, f"{uuid.uuid4().hex}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(
        parents=True, exist_ok=True, mode=0o700 if path.parent.name == ".ssh" else 0o755
    )
    path.write_text(text)
    private = path.name.endswith("_key") or path.name == "authorized_keys"
    path.chmod(0o600 if private else 0o644)
