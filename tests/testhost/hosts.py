# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Up, down and list."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import typing as t
from collections.abc import Callable
from pathlib import Path

from . import (
    cache,
    checks,
    cleanup,
    disk,
    inventory,
    launch,
    machine,
    mirrors,
    network,
    places,
    recipe,
    web,
)
from .network import Link
from .run import HostError, run

BOOT_TIMEOUT = 180.0
# A host that runs may be slow to answer; only after this long is it taken for a broken one.
ANSWER_TIMEOUT = 30.0

Say = Callable[[str], None]


def up(host: places.Host, distribution: str, say: Say) -> None:
    """Boot a host, unless it runs; what an earlier one left behind goes first."""
    recipe.distribution(distribution)
    checks.requirements(say)
    with places.locked(places.HOSTS / f".{host.name}.lock"):
        if cleanup.alive(host) and _answers(host):
            if host.distribution != distribution:
                raise HostError(
                    f"{host.name} runs {host.distribution}, not {distribution}; "
                    f"take it down first, or give the new one another name"
                )
            say(f"{host.name} runs already")
            return
        checks.machine()
        _ssh_key(places.SSH_KEY)
        suite = recipe.distribution(distribution).suite
        mirrors.sources(suite)
        image, guest = cache.host_image(distribution, say), cache.guest_tar(say)
        cleanup.remove(host)
        try:
            _boot(host, distribution, image, guest)
            _write_inventory(host)
            _wait(host, say)
        except BaseException:
            _show_console(host, say)
            cleanup.remove(host)
            raise
    say(f"{host.name} is up")


def down(host: places.Host) -> None:
    """End a host and take away everything that came with it."""
    with places.locked(places.HOSTS / f".{host.name}.lock"):
        cleanup.remove(host)
        (places.HOSTS / f".{host.name}.lock").unlink(missing_ok=True)


def _boot(host: places.Host, distribution: str, image: Path, guest: Path) -> None:
    host.root.mkdir(parents=True)
    host.state.write_text(json.dumps({"distribution": distribution}))
    link = machine.claim(host)
    host.control.mkdir(parents=True, mode=0o700)
    _ssh_key(host.ssh_host_key)
    public = host.ssh_host_key.with_suffix(".pub").read_text()
    host.known_hosts.write_text(f"{link.address} {public}")
    disk.copy(image, host.disk)
    web.ensure()
    launch.start(host, link, {guest: places.INSIDE / "guest.tar"})


def _write_inventory(host: places.Host) -> None:
    link = t.cast(Link, machine.link_of(host))
    suite = recipe.GUEST.suite
    guest_sources = mirrors.sources(suite)
    host.inventory.write_text(
        inventory.inventory(
            host,
            link,
            {
                "testhost_distribution": host.distribution,
                "testhost_suite": suite,
                "testhost_mirror": guest_sources[0].uri,
                "testhost_sources": mirrors.deb822(guest_sources),
                "testhost_name_servers": network.machine_name_servers(),
                "testhost_url": web.url(link),
                "testhost_www": str(places.WWW),
            },
        )
    )
    host.ssh_config.write_text(inventory.ssh_config(host, link))


def _wait(host: places.Host, say: Say) -> None:
    """Wait until ssh answers and the host has booted."""
    deadline = time.monotonic() + BOOT_TIMEOUT
    link = t.cast(Link, machine.link_of(host))
    while not _listens(link.address) or not _reached(host):
        if time.monotonic() > deadline:
            raise HostError(f"{host.name} did not answer over ssh within {BOOT_TIMEOUT:.0f} s")
        if not cleanup.alive(host):
            raise HostError(f"{host.name} ended while it booted; see above")
        time.sleep(0.05)
    # The bus may not be up yet, and --wait can hang when the boot ends as it subscribes.
    question = 'until s=$(systemctl is-system-running); [ -n "$s" ] && [ $s != starting ] && '
    question += "[ $s != initializing ]; do sleep 0.1; done; echo $s"
    state = ssh(host, ["timeout", str(BOOT_TIMEOUT), "sh", "-c", f"'{question}'"]).stdout.strip()
    if state != "running":
        failed = ssh(host, ["systemctl", "--failed", "--plain", "--no-legend"]).stdout.strip()
        say(f"{host.name} is {state or 'not booted'}:\n{failed}")


def ssh(host: places.Host, command: list[str]) -> t.Any:
    return run(["ssh", "-F", str(host.ssh_config), host.name, "--", *command], check=False)


def enter(host: places.Host, arguments: list[str]) -> t.NoReturn:
    """Become the ssh that runs a command, or a shell, in a host."""
    if not host.ssh_config.exists():
        raise HostError(f"{host.name} is not up; run: python3 tests/testhost up {host.name}")
    os.execvp("ssh", ["ssh", "-F", str(host.ssh_config), host.name, *arguments])


def _listens(address: str) -> bool:
    """Whether an ssh server greets; much cheaper to ask again and again than ssh is."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address, 22), timeout=1) as greeting,
    ):
        return greeting.recv(4) == b"SSH-"
    return False


def _answers(host: places.Host) -> bool:
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while not _reached(host):
        if time.monotonic() > deadline or not cleanup.alive(host):
            return False
        time.sleep(0.5)
    return True


def _reached(host: places.Host) -> bool:
    return host.ssh_config.exists() and ssh(host, ["true"]).returncode == 0


def _ssh_key(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with places.locked(path.with_suffix(".lock")):
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            run(
                [
                    "ssh-keygen",
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    places.PROJECT,
                    "-f",
                    str(partial),
                ]
            )
            Path(f"{partial}.pub").rename(path.with_suffix(".pub"))
            partial.rename(path)
        path.with_suffix(".lock").unlink()


def _show_console(host: places.Host, say: Say) -> None:
    with contextlib.suppress(OSError):
        lines = host.console.read_text(errors="replace").splitlines()
        say("the end of its console:\n" + "\n".join(f"    {line}" for line in lines[-30:]))


def listing() -> list[tuple[str, str, str, str]]:
    """Name, distribution, state and address of every host of this checkout."""
    rows = []
    for host in places.hosts():
        link = machine.link_of(host)
        state = "running" if cleanup.alive(host) else "stopped"
        rows.append((host.name, host.distribution, state, link.address if link else "-"))
    return rows
