# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""firewalld on a host: look at it, and carry out what the plan says.

Private to the collection.

The permanent configuration is read from firewalld's files: one way whether it runs or not. It
is changed through the bus while firewalld runs, so that firewalld checks every change and knows
of it, and in the files while it does not. The running firewall is read and changed through the
bus, in one call for each zone or policy: a call costs 2 ms, firewall-cmd takes 60 to 90.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import time
import types
import typing as t

from .._core import files, memory
from .._core.plan import Failure, Step, Verbs
from .._core.run import CommandFailed, find, run
from .._systemd import bus
from . import xml
from .model import (
    BINDINGS,
    POLICY,
    ZONE,
    Key,
    Property,
    Settings,
    Value,
    Version,
    changed,
    coalesced,
    defaults_of,
    forward_fields,
    forward_text,
    freeze,
    is_name,
    items_of,
    parse_version,
    properties_of,
    without,
)
from .state import Entry, Record, Snapshot, Wish, parse_record, record_text

VENDOR_DIRECTORY = "/usr/lib/firewalld"
ADMIN_DIRECTORY = "/etc/firewalld"
RECORDS_DIRECTORY = memory.of("firewalld")

_MAIN = "org.fedoraproject.FirewallD1"
_ROOT = "/org/fedoraproject/FirewallD1"
FIREWALLD = bus.Service(_MAIN, _ROOT, _MAIN)
ZONES = bus.Service(_MAIN, _ROOT, f"{_MAIN}.zone")
POLICIES = bus.Service(_MAIN, _ROOT, f"{_MAIN}.policy")
DIRECT = bus.Service(_MAIN, _ROOT, f"{_MAIN}.direct")
IPSETS = bus.Service(_MAIN, _ROOT, f"{_MAIN}.ipset")
CONFIG = bus.Service(_MAIN, f"{_ROOT}/config", f"{_MAIN}.config")

# A reload with thousands of rules takes its time.
RELOAD_TIMEOUT = 300.0
START_TIMEOUT = 60.0

_DIRECTORIES = {ZONE: "zones", POLICY: "policies"}


# --- look -----------------------------------------------------------------------------------


def snapshot(wishes: t.Sequence[Wish], recording: t.Optional[str] = None) -> Snapshot:
    """Read what the plan for these wishes depends on."""
    record = _read_record(recording) if recording else {}
    if find("firewalld") is None and find("firewall-offline-cmd") is None:
        if wishes or record:
            raise Failure(
                "firewalld is not installed on this host: install the package firewalld first, "
                "or leave the firewall out"
            )
        # To take back nothing where there is nothing is no error.
        return Snapshot(version=(), running=False, default_zone="", entries={})
    configuration = files.read(f"{ADMIN_DIRECTORY}/firewalld.conf") or ""
    running, version, default_zone = _identity(configuration)
    concerned = {wish.key for wish in wishes} | set(record) | {Key(ZONE, default_zone)}
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
        live_services=frozenset(_one(FIREWALLD, "listServices")) if running else services,
        icmp_types=_names("icmptypes"),
        uplinks=_uplinks(),
        backend=_configured(configuration, "FirewallBackend", "nftables"),
        recording=recording,
        record=record,
    )


def _one(service: bus.Service, method: str, signature: str = "", *arguments: str) -> t.Any:
    (answer,) = bus.call(service, method, signature, *arguments)
    return answer


def _identity(configuration: str) -> tuple[bool, Version, str]:
    """Whether firewalld runs, its version and default zone; one just starting is waited for."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            found = bus.properties(FIREWALLD, "version", "state")
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
    return parse_version(found["version"]), str(_one(FIREWALLD, "getDefaultZone"))


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
    vendor_path = os.path.join(VENDOR_DIRECTORY, _DIRECTORIES[key.kind], f"{key.name}.xml")
    vendor = _read_settings(key, vendor_path, files.read(vendor_path))
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


def _uplinks() -> tuple[str, ...]:
    """Interfaces with a default route, as the kernel lists them."""
    found: list[str] = []
    for line in (files.read("/proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if fields[1] == fields[7] == "00000000":
            found.append(fields[0])
    for line in (files.read("/proc/net/ipv6_route") or "").splitlines():
        fields = line.split()
        if fields[1] == "00" and fields[9] != "lo":
            found.append(fields[9])
    return tuple(dict.fromkeys(found))


# --- look: the running firewall -------------------------------------------------------------


def _live(concerned: t.Iterable[Key]) -> dict[Key, Settings]:
    """The zones and policies concerned, and of other zones what is bound to them."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        zones = pool.submit(_one, ZONES, "getZones")
        policies = pool.submit(_one, POLICIES, "getPolicies")
        bound = pool.submit(_one, ZONES, "getActiveZones")
        # To ask for one that is not there would put an error into firewalld's journal.
        there = {Key(ZONE, name) for name in zones.result()}
        there |= {Key(POLICY, name) for name in policies.result()}
        keys = sorted(there.intersection(concerned))
        whole = dict(zip(keys, pool.map(_live_settings, keys)))
    partial: dict[Key, Settings] = {
        Key(ZONE, zone): freeze({name: tuple(bindings.get(name, ())) for name in BINDINGS})
        for zone, bindings in bound.result().items()
    }
    return {**partial, **whole}


def _live_settings(key: Key) -> Settings:
    if key.kind == ZONE:
        raw = _one(ZONES, "getZoneSettings2", "s", key.name)
    else:
        raw = _one(POLICIES, "getPolicySettings", "s", key.name)
    return from_bus(key.kind, raw)


def from_bus(kind: str, raw: t.Mapping[str, t.Mapping[str, t.Any]]) -> Settings:
    """Settings as the bus has them; what is empty it leaves out."""
    settings = defaults_of(kind)
    for name, one in properties_of(kind).items():
        variant = raw.get(_bus_name(kind, name))
        if variant is not None:
            settings[name] = _value_from_bus(kind, one, variant["data"])
    return freeze(settings)


def _bus_name(kind: str, name: str) -> str:
    return "rules_str" if (kind, name) == (ZONE, "rich_rules") else name


def _value_from_bus(kind: str, one: Property, data: t.Any) -> Value:
    if one.shape == "ports":
        return coalesced(f"{port}/{protocol}" for port, protocol in data)
    if one.shape == "forwards":
        return tuple(forward_text(*fields) for fields in data)
    if one.is_list:
        return tuple(data)
    if one.name == "target" and data == xml.REJECT[kind]:
        return "REJECT"
    return t.cast("Value", data)


_SIGNATURES = {
    "words": "as",
    "sources": "as",
    "rules": "as",
    "ports": "a(ss)",
    "forwards": "a(ssss)",
    "text": "s",
    "flag": "b",
    "number": "i",
}


def to_bus(kind: str, settings: Settings) -> list[str]:
    """Settings as arguments of busctl for a{sv}."""
    table = properties_of(kind)
    arguments = [str(len(settings))]
    for name, value in settings.items():
        shape = table[name].shape
        arguments += [_bus_name(kind, name), _SIGNATURES[shape]]
        arguments += _words_to_bus(kind, name, shape, value)
    return arguments


def _words_to_bus(kind: str, name: str, shape: str, value: Value) -> list[str]:
    if isinstance(value, tuple):
        fields = [_fields(shape, item) for item in value]
        return [str(len(value)), *[word for item in fields for word in item]]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if name == "target" and value == "REJECT":
        return [xml.REJECT[kind]]
    return [str(value)]


def _fields(shape: str, item: str) -> tuple[str, ...]:
    if shape == "ports":
        port, _slash, protocol = item.partition("/")
        return (port, protocol)
    if shape == "forwards":
        return forward_fields(item)
    return (item,)


# --- the record -----------------------------------------------------------------------------


def record_path(name: str) -> str:
    return os.path.join(RECORDS_DIRECTORY, f"{name}.json")


def _read_record(name: str) -> Record:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise Failure(
            f"record {name!r}: expected up to 64 letters, digits, -, _ and ., beginning with a "
            "letter or digit"
        )
    text = files.read(record_path(name))
    return parse_record(record_path(name), text) if text is not None else {}


def _write_record(step: Step) -> None:
    path = record_path(step.subject.split(" ", 1)[1])
    record: Record = step.arguments["record"]
    if record:
        memory.write(path, record_text(record))
    else:
        memory.forget(path)


# --- carry out: permanent, firewalld running ------------------------------------------------


def _object_of(key: Key) -> bus.Service:
    method = "getZoneByName" if key.kind == ZONE else "getPolicyByName"
    path = str(_one(CONFIG, method, "s", key.name))
    return bus.Service(_MAIN, path, f"{_MAIN}.config.{key.kind}")


def _create(step: Step) -> None:
    key, settings = _about(step)
    method = "addZone2" if key.kind == ZONE else "addPolicy"
    bus.call(CONFIG, method, "sa{sv}", key.name, *to_bus(key.kind, settings))


def _change(step: Step) -> None:
    key, settings = _about(step)
    method = "update2" if key.kind == ZONE else "update"
    if settings:
        bus.call(_object_of(key), method, "a{sv}", *to_bus(key.kind, settings))


def _remove(step: Step) -> None:
    key, _settings = _about(step)
    bus.call(_object_of(key), "remove")
    _tidy(step)


def _reset(step: Step) -> None:
    key, _settings = _about(step)
    bus.call(_object_of(key), "loadDefaults")
    _tidy(step)


def _restore(step: Step) -> None:
    _change(step)
    _put_back(step)


def _about(step: Step) -> tuple[Key, Settings]:
    return step.arguments["key"], step.arguments.get("settings", {})


# --- carry out: permanent, firewalld stopped ------------------------------------------------


def _edit_file(step: Step) -> None:
    key: Key = step.arguments["key"]
    path = admin_path(key)
    text = files.read(path)
    if text is None and step.verb != "create":
        text = files.read(os.path.join(VENDOR_DIRECTORY, _DIRECTORIES[key.kind], f"{key.name}.xml"))
    os.makedirs(ADMIN_DIRECTORY, mode=0o750, exist_ok=True)
    new = xml.edit(key.kind, text, step.arguments["goal"])
    _written_if_valid(path, files.read(path), new)


def _written_if_valid(path: str, old: t.Optional[str], new: str) -> None:
    """Put a file in place, and take it back if firewalld would not start with it."""
    files.write(path, new, mode=_mode_of(path), directory_mode=0o750)
    try:
        run(["firewall-offline-cmd", "--check-config"])
    except CommandFailed as error:
        if old is None:
            files.remove(path)
        else:
            files.write(path, old, mode=_mode_of(path))
        said = error.result.stderr.strip() or error.result.stdout.strip()
        raise Failure(
            f"firewalld refuses the configuration: {said}", cmd=list(error.result.argv)
        ) from None


def _mode_of(path: str) -> int:
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return 0o644


def _remove_file(step: Step) -> None:
    files.remove(admin_path(step.arguments["key"]))
    _tidy(step)


def _restore_file(step: Step) -> None:
    _put_back(step)


# --- carry out: what firewalld leaves beside its files --------------------------------------


def _tidy(step: Step) -> None:
    """Leave the backup as it was before the first call: firewalld makes one at every change."""
    if not step.arguments.get("tidy", True):
        return
    backup = f"{admin_path(step.arguments['key'])}.old"
    text: t.Optional[str] = step.arguments["backup"]
    if text is None:
        files.remove(backup)
    else:
        files.write(backup, text, mode=_mode_of(backup))


def _put_back(step: Step) -> None:
    path = admin_path(step.arguments["key"])
    files.write(path, step.arguments["file"], mode=_mode_of(path))
    _tidy(step)


# --- carry out: the running firewall --------------------------------------------------------


def _change_live(step: Step) -> None:
    key, settings = _about(step)
    _set_live(key, settings)


def _set_live(key: Key, settings: Settings) -> None:
    service, method = (
        (ZONES, "setZoneSettings2") if key.kind == ZONE else (POLICIES, "setPolicySettings")
    )
    bus.call(service, method, "sa{sv}", key.name, *to_bus(key.kind, settings))


def _reload(step: Step) -> None:
    """Reload, and put back what others had set in the running firewall only.

    firewalld forgets it: interfaces that somebody bound, addresses that somebody banned. What
    was set for a limited time only stays until the next reload.
    """
    goals: dict[Key, Settings] = {**_everything(), **step.arguments["live"]}
    extras = _extras()
    bus.call(FIREWALLD, "reload", timeout=RELOAD_TIMEOUT)
    now = _everything()
    lost: list[str] = []
    for key, settings in lost_bindings(now, goals):
        _try(lost, f"{', '.join(settings)} of {key}", _set_live, key, settings)
        now[key] = freeze({**now[key], **settings})
    for key, settings in lost_settings(now, goals):
        _try(lost, f"{', '.join(settings)} of {key}", _set_live, key, settings)
    for what, service, method, arguments in _lost_extras(extras):
        _try(lost, what, bus.call, service, method, *arguments)
    if lost:
        raise Failure(
            "firewalld is reloaded, but could not put back what had been set in the running "
            f"firewall only: {'; '.join(lost)}"
        )


def _try(lost: list[str], what: str, do: t.Callable[..., object], *arguments: t.Any) -> None:
    """Put one thing back: what fails must not keep the rest from coming back."""
    try:
        do(*arguments)
    except Failure as failure:
        lost.append(f"{what} ({failure.message})")


def _everything() -> dict[Key, Settings]:
    keys = [Key(ZONE, name) for name in _one(ZONES, "getZones")]
    keys += [Key(POLICY, name) for name in _one(POLICIES, "getPolicies")]
    return {key: _live_settings(key) for key in keys}


Settled = list[tuple[Key, Settings]]


def lost_bindings(now: t.Mapping[Key, Settings], goals: t.Mapping[Key, Settings]) -> Settled:
    """Interfaces and sources that have to leave a zone before another can have them back."""
    result: Settled = []
    for key, goal in goals.items():
        if key.kind == ZONE and key in now:
            left: dict[str, Value] = {}
            for name, shape in (("interfaces", "words"), ("sources", "sources")):
                have = items_of(now[key], name)
                surplus = without(shape, have, items_of(goal, name))
                if surplus:
                    left[name] = without(shape, have, surplus)
            if left:
                result.append((key, left))
    return result


def lost_settings(now: t.Mapping[Key, Settings], goals: t.Mapping[Key, Settings]) -> Settled:
    """What of the goals the running firewall does not have, as far as it can be set there."""
    result: Settled = []
    for key, goal in goals.items():
        if key in now:
            table = properties_of(key.kind)
            lost = changed(key.kind, now[key], goal)
            settings = {name: value for name, value in lost.items() if table[name].live}
            if settings:
                result.append((key, settings))
    return result


Extras = dict[str, t.Any]


def _extras() -> Extras:
    """Direct rules and entries of sets, which a reload forgets as well."""
    return {
        "chains": _one(DIRECT, "getAllChains"),
        "rules": _one(DIRECT, "getAllRules"),
        "passthroughs": _one(DIRECT, "getAllPassthroughs"),
        "entries": {name: _entries_of(name) for name in _one(IPSETS, "getIPSets")},
    }


def _entries_of(ipset: str) -> list[str]:
    try:
        return t.cast("list[str]", _one(IPSETS, "getEntries", "s", ipset))
    except bus.CallFailed:
        return []  # one whose entries time out: the kernel has them, firewalld does not


Call = tuple[str, bus.Service, str, list[str]]


def _lost_extras(before: Extras) -> t.Iterator[Call]:
    """The calls that bring them back, each with what it brings."""
    now = _extras()
    for chain in before["chains"]:
        if chain not in now["chains"]:
            yield f"direct chain {' '.join(chain)}", DIRECT, "addChain", ["sss", *chain]
    for rule in before["rules"]:
        if rule not in now["rules"]:
            family, table, chain, priority, words = rule
            arguments = ["sssias", family, table, chain, str(priority), str(len(words)), *words]
            yield f"direct rule {' '.join(words)}", DIRECT, "addRule", arguments
    for family, words in before["passthroughs"]:
        if [family, words] not in now["passthroughs"]:
            arguments = ["sas", family, str(len(words)), *words]
            yield f"direct rule {' '.join(words)}", DIRECT, "addPassthrough", arguments
    for name, entries in before["entries"].items():
        if name in now["entries"] and set(entries) != set(now["entries"][name]):
            arguments = ["sas", name, str(len(entries)), *entries]
            yield f"entries of set {name}", IPSETS, "setEntries", arguments


# --- verbs ----------------------------------------------------------------------------------

_RECORD_VERBS: Verbs = {"open": _write_record, "close": _write_record}

_RUNNING: Verbs = {
    **_RECORD_VERBS,
    "unbind": _change,
    "create": _create,
    "change": _change,
    "remove": _remove,
    "reset": _reset,
    "restore": _restore,
    "reload": _reload,
    "unbind live": _change_live,
    "change live": _change_live,
}

_STOPPED: Verbs = {
    **_RECORD_VERBS,
    "unbind": _edit_file,
    "create": _edit_file,
    "change": _edit_file,
    "remove": _remove_file,
    "reset": _remove_file,
    "restore": _restore_file,
}


def verbs(seen: Snapshot) -> Verbs:
    return types.MappingProxyType(_RUNNING if seen.running else _STOPPED)
