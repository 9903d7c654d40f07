# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host shows of firewalld: looks at it, and tells what was seen.

Private to the collection. The permanent configuration is read from firewalld's files: one way
whether it runs or not. The running firewall is read through the bus.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import re
import time
import typing as t

from .._core import files
from .._core.lines import lines_of
from .._core.plan import Failure
from .._core.run import CommandFailed, find, run
from .._systemd import bus
from . import daemon, xml
from . import record as firewalld_record
from .daemon import ask
from .model import (
    BINDINGS,
    POLICY,
    ZONE,
    Items,
    Key,
    Settings,
    Value,
    Version,
    freeze,
    is_name,
    parse_version,
)
from .record import Record
from .wanted import Wanted

VENDOR_DIRECTORY = "/usr/lib/firewalld"
ADMIN_DIRECTORY = "/etc/firewalld"

START_TIMEOUT = 60.0

# A route to an address of the host itself, in /proc/net/ipv6_route.
_LOCAL = 0x80000000

_DIRECTORIES = {ZONE: "zones", POLICY: "policies"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A zone or policy of the permanent configuration."""

    settings: Settings
    vendor: t.Optional[Settings] = None
    """What came with firewalld, if this did; a file of the administrator's hides it."""
    file: t.Optional[str] = None
    """The text of the administrator's file."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All that the plan depends on."""

    version: Version
    running: bool
    default_zone: str
    entries: t.Mapping[Key, Entry]
    backups: t.Mapping[Key, str] = dataclasses.field(default_factory=dict)
    """The texts that firewalld kept when it changed or removed a file."""
    live: t.Mapping[Key, Settings] = dataclasses.field(default_factory=dict)
    """The running firewall: of zones that are not concerned, only what is bound to them."""
    services: frozenset[str] = frozenset()
    live_services: frozenset[str] = frozenset()
    icmp_types: frozenset[str] = frozenset()
    uplinks: Items = ()
    """Interfaces that packets leave by."""
    leaving: frozenset[str] = frozenset()
    """Interfaces that go to zones which are made in this call, with their connections."""
    backend: str = "nftables"
    recording: t.Optional[str] = None
    """The name of the record, when one is kept."""
    record: Record = dataclasses.field(default_factory=dict)


# --- looking --------------------------------------------------------------------------------


def snapshot(wanted: t.Sequence[Wanted], recording: t.Optional[str] = None) -> Snapshot:
    """Read what the plan for what is wanted depends on."""
    record = firewalld_record.read(recording) if recording else {}
    if find("firewalld") is None and find("firewall-offline-cmd") is None:
        if wanted or record:
            raise Failure(
                "firewalld is not installed on this host: install the package firewalld first, "
                "or leave the firewall out"
            )
        # To take back nothing where there is nothing is no error.
        return Snapshot(version=(), running=False, default_zone="", entries={})
    configuration = files.read(f"{ADMIN_DIRECTORY}/firewalld.conf") or ""
    running, version, default_zone = _identity(configuration)
    concerned = {one.key for one in wanted} | set(record) | {Key(ZONE, default_zone)}
    concerned = {key for key in concerned if is_name(key.name)}
    _refuse_combined(concerned)
    services, entries = _names("services"), _entries()
    return Snapshot(
        version=version,
        running=running,
        default_zone=default_zone,
        entries=entries,
        backups=_backups({*entries, *concerned}),
        live=_live(concerned) if running else {},
        services=services,
        live_services=frozenset(ask(daemon.FIREWALLD, "listServices")) if running else services,
        icmp_types=_names("icmptypes"),
        uplinks=_uplinks(),
        backend=_configured(configuration, "FirewallBackend", "nftables"),
        recording=recording,
        record=record,
    )


def _identity(configuration: str) -> tuple[bool, Version, str]:
    """Whether firewalld runs, its version and default zone; one just starting is waited for."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            found = bus.properties(daemon.FIREWALLD, "version", "state")
        except CommandFailed:
            found = {}
        if found:
            return (True, *_running_identity(found))
        if not _is_starting():
            return (False, *_stopped_identity(configuration))
        if time.monotonic() > deadline:
            raise Failure(
                f"firewalld.service has been starting for {START_TIMEOUT:g} s and is not on the "
                "bus: see journalctl -u firewalld"
            )
        time.sleep(0.2)


def _is_starting() -> bool:
    path = bus.object_path("/org/freedesktop/systemd1/unit", "firewalld.service")
    interface = "org.freedesktop.systemd1.Unit"
    try:
        found = bus.properties(bus.SYSTEMD, "ActiveState", path=path, interface=interface)
    except CommandFailed:
        return False  # no bus: the root of an image, for example
    return found["ActiveState"] in ("activating", "reloading")


def _running_identity(found: t.Mapping[str, t.Any]) -> tuple[Version, str]:
    if found["state"] != "RUNNING":
        raise Failure(
            f"firewalld is on the bus, but its state is {found['state']} and not RUNNING: its "
            "configuration is probably wrong, see firewall-cmd --check-config and "
            "journalctl -u firewalld"
        )
    return parse_version(found["version"]), str(ask(daemon.FIREWALLD, "getDefaultZone"))


def _stopped_identity(configuration: str) -> tuple[Version, str]:
    version = run(["firewall-offline-cmd", "--version"]).stdout.strip()
    return parse_version(version), _configured(configuration, "DefaultZone", "public")


def _configured(configuration: str, key: str, default: str) -> str:
    found = re.findall(rf"^\s*{key}\s*=\s*(\S+)", configuration, re.MULTILINE)
    return str(found[-1]) if found else default


def _refuse_combined(concerned: t.Iterable[Key]) -> None:
    for key in concerned:
        directory = os.path.join(ADMIN_DIRECTORY, _DIRECTORIES[key.kind], key.name)
        if files.is_directory(directory):
            raise Failure(
                f"{key}: is put together from the files in {directory}, which is not supported: "
                "make one file of them, or manage it by hand"
            )


def _names(what: str) -> frozenset[str]:
    return frozenset(
        entry[: -len(".xml")]
        for top in (VENDOR_DIRECTORY, ADMIN_DIRECTORY)
        for entry in _listed(os.path.join(top, what))
    )


def _listed(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(".xml"))
    except FileNotFoundError:
        return []


def _entries() -> dict[Key, Entry]:
    entries: dict[Key, Entry] = {}
    for kind, what in _DIRECTORIES.items():
        for name in sorted(_names(what)):
            entry = _entry(Key(kind, name))
            if entry:
                entries[Key(kind, name)] = entry
    return entries


def _entry(key: Key) -> t.Optional[Entry]:
    path = admin_path(key)
    origin = vendor_path(key)
    vendor = _read_settings(key, origin, files.read(origin))
    text = files.read(path)
    settings = _read_settings(key, path, text) or vendor
    if settings is None:
        return None
    return Entry(settings, vendor, text)


def _backups(keys: t.Iterable[Key]) -> dict[Key, str]:
    texts = {key: files.read(f"{admin_path(key)}.old") for key in keys}
    return {key: text for key, text in texts.items() if text is not None}


def settings_of(keys: t.Iterable[Key], kind: str) -> dict[str, dict[str, Value]]:
    """The permanent settings of zones or policies by name, as far as they are there."""
    found = {key.name: _entry(key) for key in keys if key.kind == kind}
    return {name: dict(entry.settings) for name, entry in found.items() if entry}


def _read_settings(key: Key, path: str, text: t.Optional[str]) -> t.Optional[Settings]:
    if text is None:
        return None
    try:
        return xml.read(key.kind, text)
    except ValueError as error:
        raise Failure(
            f"{path} is no {key.kind} of firewalld: {error}. Put it right first "
            "(firewall-cmd --check-config), or remove it"
        ) from None


def admin_path(key: Key) -> str:
    return os.path.join(ADMIN_DIRECTORY, _DIRECTORIES[key.kind], f"{key.name}.xml")


def vendor_path(key: Key) -> str:
    return os.path.join(VENDOR_DIRECTORY, _DIRECTORIES[key.kind], f"{key.name}.xml")


def _uplinks() -> tuple[str, ...]:
    """Interfaces that packets leave by, as the kernel lists its routes."""
    return uplinks_of(files.read("/proc/net/route") or "", files.read("/proc/net/ipv6_route") or "")


def uplinks_of(ipv4: str, ipv6: str) -> tuple[str, ...]:
    """The interfaces of these tables that somebody else is reached through."""
    found = [line.split()[0] for line in lines_of(ipv4)[1:] if line.split()]
    for line in lines_of(ipv6):
        destination, *_more, flags, link = line.split()
        is_own = bool(int(flags, 16) & _LOCAL) or destination.startswith(("fe8", "ff"))
        if link != "lo" and not is_own:
            found.append(link)
    return tuple(dict.fromkeys(found))


# --- the running firewall -------------------------------------------------------------------


def _live(concerned: t.Iterable[Key]) -> dict[Key, Settings]:
    """The zones and policies concerned, and of other zones what is bound to them."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        zones = pool.submit(ask, daemon.ZONES, "getZones")
        policies = pool.submit(ask, daemon.POLICIES, "getPolicies")
        bound = pool.submit(ask, daemon.ZONES, "getActiveZones")
        # To ask for one that is not there would put an error into firewalld's journal.
        there = {Key(ZONE, name) for name in zones.result()}
        there |= {Key(POLICY, name) for name in policies.result()}
        keys = sorted(there.intersection(concerned))
        whole = dict(zip(keys, pool.map(daemon.live, keys)))
    partial: dict[Key, Settings] = {
        Key(ZONE, zone): freeze({name: tuple(bindings.get(name, ())) for name in BINDINGS})
        for zone, bindings in bound.result().items()
    }
    return {**partial, **whole}
