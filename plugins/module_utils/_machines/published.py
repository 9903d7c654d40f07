# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Ports of the host that systemd-nspawn hands on, and a firewall that lets none of them through.

Private to the collection. From 2.3 on firewalld can be told to drop whatever it has not forwarded
itself; nothing says so where a machine declares its C(Port=).
"""

from __future__ import annotations

import typing as t

from .._core import files
from .._core.lines import lines_of
from .._core.run import run
from .._settings import nspawn_file

CONFIGURATION = "/etc/firewalld/firewalld.conf"
_KEY = "StrictForwardPorts"


def warnings(machines: t.Iterable[tuple[str, t.Optional[nspawn_file.Settings]]]) -> t.Iterator[str]:
    """What to tell of machines, given by their names and the settings that are declared."""
    ports = {
        name: settings.values_of("Network", "Port")
        for name, settings in machines
        if settings is not None
    }
    named = {name: values for name, values in ports.items() if any(values)}
    if named and is_strict(files.read(CONFIGURATION) or "") and _runs():
        for name, values in named.items():
            yield warning(name, values)


def is_strict(configuration: str) -> bool:
    """Whether firewalld's configuration says so; the last word counts."""
    said = "no"
    for line in lines_of(configuration):
        key, _equals, value = line.partition("=")
        if key.strip() == _KEY:
            said = value.strip()
    return said.lower() in ("yes", "true")


def _runs() -> bool:
    argv = ["systemctl", "--quiet", "is-active", "--", "firewalld.service"]
    return run(argv, check=False).rc == 0


def warning(name: str, ports: t.Iterable[str]) -> str:
    return (
        f"machine {name}: nobody outside reaches Port={', '.join(filter(None, ports))}, as"
        f" {CONFIGURATION} says {_KEY}=yes and firewalld drops what it has not forwarded itself."
        " Let firewalld forward it (role firewall: firewall_zones, with forward_ports of the zone"
        f" that it comes in by, to a fixed address of the machine), or say {_KEY}=no there"
    )
