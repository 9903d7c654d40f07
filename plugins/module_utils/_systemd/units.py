# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Units: their drop-ins, their state, their enablement, starts and stops with a deadline.

Private to the collection. Everything takes many units and costs the same few processes however
many they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import time
import typing as t

from .._core import files, ini, run
from .._core.ini import Settings
from .._core.plan import Failure
from . import bus, causes, units_table

DIRECTORY = "/etc/systemd/system"
RUNTIME_DIRECTORY = "/run/systemd/system"
TEMPLATE = "systemd-nspawn@.service"
DROP_IN = "50-nspawn-machined"
MACHINES_TARGET = "machines.target"

UNREAD = "/run/nspawn.machined/unread-units"
EXPORTS = "/run/systemd/nspawn/unix-export"

# A unit that was killed needs a moment until systemd has taken note and cleaned up.
KILL_WAIT = 15
RELOAD_TIMEOUT = 120

# The commands of which a service has one: a further one would stand beside the vendor's instead
# of replacing it, and systemd then refuses to load the unit.
_REPLACED = ("ExecStart", "ExecReload", "ExecStop")


# --- drop-ins -------------------------------------------------------------------------------


def drop_in_directory(unit: str) -> str:
    return f"{DIRECTORY}/{unit}.d"


def drop_in_path(unit: str, name: str = DROP_IN) -> str:
    return f"{drop_in_directory(unit)}/{name}.conf"


def check_drop_in(name: str) -> None:
    """Refuse a name of a drop-in that would be another file, or that systemd would not read."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,199}", name):
        raise Failure(
            f"drop_in: {name!r} cannot be the name of a drop-in; expected letters, digits, '-',"
            " '_' and '.', like 50-limits"
        )
    if name.endswith(".conf"):
        raise Failure(f"drop_in: {name!r}: leave the ending .conf out, it is added")


def check_unit(unit: str, what: str = "unit") -> None:
    """Refuse what is no name of a unit file; it becomes a part of a path."""
    if len(unit) > 255 or not re.fullmatch(
        r"[A-Za-z0-9:_.\\-]+@?[A-Za-z0-9:_.\\-]*\.(service|target|slice|socket|timer|mount|path|scope)",
        unit,
    ):
        raise Failure(f"{what}: {unit!r} is no name of a unit; expected one like {TEMPLATE}")


def normalise(raw: t.Mapping[str, t.Any], what: str = "settings") -> Settings:
    """Settings of a unit from YAML, lists of commands begun with the empty assignment."""
    return _reset(ini.normalise(raw, what, _quoted))


def _quoted(word: str, _what: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if escaped != word or re.search(r"[\s']", word) else word


def _reset(settings: Settings) -> Settings:
    found = {
        key: ("", *values)
        for key, values in settings.get("Service", {}).items()
        if key in _REPLACED and values and values[0] != ""
    }
    return settings.updated(Settings({"Service": found}))


def render(raw: t.Mapping[str, t.Any], what: str = "settings") -> str:
    """The text of a drop-in, from what was written in YAML."""
    settings = normalise(raw, what)
    for (section, key), values in settings.places():
        for value in values or ("",):
            ini.check_safe(section, key, value, what)
    return ini.render(settings)


_SIZE = re.compile(r"infinity|[0-9]+(?:\.[0-9]+)?\s*(?:[KMGTPEB]|%|‰|‱)?")
_SHAPES: t.Mapping[str, tuple[re.Pattern[str], str]] = {
    **{
        f"{when}Memory{what}": (_SIZE, "a size like 512M or 1.5G, a percentage, or infinity")
        for when in ("", "Startup")
        for what in ("Min", "Low", "High", "Max", "SwapMax", "ZSwapMax")
    },
    "TasksMax": (re.compile(r"infinity|[0-9]+%?"), "a number, a percentage, or infinity"),
    "CPUQuota": (re.compile(r"[0-9]+(?:\.[0-9]+)?%"), "a percentage like 150%"),
    **{
        name: (re.compile(r"idle|[0-9]{1,5}"), "a number from 1 to 10000")
        for name in ("CPUWeight", "IOWeight", "StartupCPUWeight", "StartupIOWeight")
    },
}


def check(settings: Settings, unit: str, systemd_version: int, what: str = "settings") -> None:
    """Refuse sections and keys that this systemd would ignore in a drop-in of the unit."""
    kind = unit.rpartition(".")[2].title()
    found: list[str] = []
    for (section, key), values in settings.places():
        found += _problems(section, key, values, kind, systemd_version)
    if found:
        raise Failure(f"{what}: {'; '.join(found)}", problems=found)


def _problems(
    section: str, key: str, values: t.Sequence[str], kind: str, version: int
) -> t.Iterator[str]:
    if section.startswith("X-"):
        return
    sections = dict.fromkeys(("Unit", kind, "Install"))
    if section not in sections:
        near = ini.nearest(section, sections)
        expected = f"[{near}]" if near else ", ".join(f"[{name}]" for name in sections)
        yield f"a drop-in of a {kind.lower()} has no section [{section}]; expected {expected}"
        return
    keys = units_table.TABLE.get(section)
    if keys is None or key.startswith("X-"):
        return
    if key not in keys:
        yield f"there is no key {key}= in [{section}]; {_hint(section, key, list(sections))}"
    elif version < keys[key]:
        yield (f"[{section}] {key}= needs systemd {keys[key]} or later, this host has {version}")
    shape, expected = _SHAPES.get(key, (None, ""))
    if shape is not None:
        for value in values:
            if value and not shape.fullmatch(value):
                yield f"[{section}] {key}={value}: expected {expected}"


def _hint(section: str, key: str, sections: t.Sequence[str]) -> str:
    tables = {name: units_table.TABLE.get(name, {}) for name in sections}
    owners = [name for name, keys in tables.items() if key in keys]
    if owners:
        return f"it belongs into [{owners[0]}]"
    near = ini.nearest(key, tables[section])
    return f"the nearest is {near}=" if near else "see systemd.directives(7) for all there are"


def shown(text: str) -> str:
    """A drop-in as it may be shown: without secrets."""
    return re.sub(r"(?m)^(SetCredential=[^:\n]*:).*$", r"\1********", text)


# --- state ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class UnitState:
    """A unit as systemd sees it. What is not loaded is inactive."""

    name: str
    load: str = "not-loaded"
    active: str = "inactive"
    sub: str = "dead"
    job: str = ""
    """The kind of job that waits or runs for it: start, stop, restart, …"""
    file: str = "disabled"
    """enabled, enabled-runtime, masked, or disabled"""
    drop_ins: tuple[str, ...] = ()
    """Its own, not those that it shares with its template."""
    frozen: bool = False

    @property
    def enabled(self) -> bool:
        return self.file == "enabled"

    @property
    def running(self) -> bool:
        return self.active not in ("inactive", "failed")


@dataclasses.dataclass(frozen=True)
class Details:
    """What systemd knows besides; dear for many units, so only asked for the few of interest."""

    result: str = ""
    main_pid: int = 0
    exit_code: int = 0
    exit_status: int = 0
    invocation: str = ""
    needs_reload: bool = False
    drop_ins: tuple[str, ...] = ()
    control_group: str = ""


def snapshot(units: t.Sequence[str]) -> dict[str, UnitState]:
    """The state of many units with one call and a look into a few directories.

    systemctl show would take 25 ms for each unit, as it asks for all properties and throws most
    of them away.
    """
    listed = _listed(units)
    files = _unit_files()
    return {unit: _state(unit, listed.get(unit), files) for unit in units}


def _listed(units: t.Sequence[str]) -> dict[str, t.Sequence[t.Any]]:
    """The rows of the units that are loaded."""
    patterns = sorted({re.sub(r"@.+\.", "@*.", unit) for unit in units})
    if not patterns:
        return {}
    (rows,) = bus.call(
        bus.SYSTEMD, "ListUnitsByPatterns", "asas", "0", str(len(patterns)), *patterns
    )
    return {row[0]: row for row in rows}


def _state(unit: str, row: t.Sequence[t.Any] | None, files: t.Mapping[str, str]) -> UnitState:
    file = files.get(unit, "disabled")
    drop_ins = _drop_ins(unit)
    if row is None:
        return UnitState(unit, file=file, drop_ins=drop_ins)
    load, active, sub, job = row[2], row[3], row[4], row[8]
    frozen = active == "active" and _is_frozen(unit)
    return UnitState(unit, load, active, sub, job, file, drop_ins, frozen)


def _unit_files() -> dict[str, str]:
    """What is enabled, and what is masked: the links that say so."""
    found: dict[str, str] = {}
    for directory, word in ((RUNTIME_DIRECTORY, "enabled-runtime"), (DIRECTORY, "enabled")):
        for entry in _entries(directory):
            if entry.name.endswith((".wants", ".requires", ".upholds")):
                found.update({link.name: word for link in _entries(entry.path)})
            elif entry.is_symlink() and os.readlink(entry.path) == "/dev/null":
                found[entry.name] = "masked"
    return found


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _drop_ins(unit: str) -> tuple[str, ...]:
    return tuple(
        entry.path
        for directory in (DIRECTORY, RUNTIME_DIRECTORY)
        for entry in _entries(f"{directory}/{unit}.d")
        if entry.name.endswith(".conf")
    )


def _is_frozen(unit: str) -> bool:
    """Whether its processes are stopped by the freezer, which the list of units does not tell."""
    try:
        with open(f"/sys/fs/cgroup/machine.slice/{unit}/cgroup.events", encoding="ascii") as events:
            return "frozen 1" in events.read()
    except OSError:
        # Not in the usual slice, or just gone. Few are, so the dear way is good enough.
        where = bus.object_path("/org/freedesktop/systemd1/unit", unit)
        found = bus.properties(
            bus.SYSTEMD, "FreezerState", path=where, interface="org.freedesktop.systemd1.Unit"
        )
        return bool(found["FreezerState"] == "frozen")


def details(units: t.Sequence[str]) -> dict[str, Details]:
    """More about a few units."""
    if not units:
        return {}
    wanted = (
        "Id,Result,MainPID,ExecMainCode,ExecMainStatus,InvocationID,NeedDaemonReload,DropInPaths,"
        "ControlGroup"
    )
    stdout = run.run(["systemctl", "show", f"--property={wanted}", "--", *units]).stdout
    found: dict[str, Details] = {}
    for block in stdout.split("\n\n"):
        shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        found[shown.get("Id", "")] = Details(
            result=shown.get("Result", ""),
            main_pid=int(shown.get("MainPID") or 0),
            exit_code=int(shown.get("ExecMainCode") or 0),
            exit_status=int(shown.get("ExecMainStatus") or 0),
            invocation=shown.get("InvocationID", ""),
            needs_reload=shown.get("NeedDaemonReload") == "yes",
            drop_ins=tuple(shown.get("DropInPaths", "").split()),
            control_group=shown.get("ControlGroup", ""),
        )
    return {unit: found.get(unit, Details()) for unit in units}


def unloadable(units: t.Sequence[str]) -> dict[str, str]:
    """Those of the units that systemd refuses to load, and its word for why."""
    real = [unit for unit in units if "@." not in unit]
    if not real:
        return {}
    (rows,) = bus.call(bus.SYSTEMD, "ListUnitsByNames", "as", str(len(real)), *real)
    return {row[0]: row[2] for row in rows if row[2] in ("bad-setting", "error")}


def younger_than_start(unit: str, paths: t.Iterable[str]) -> bool:
    """Whether one of the files was changed after the unit was started.

    systemd makes a link when it starts a unit. The files are judged by the change of their
    inodes: one that is moved into place keeps its old time of modification.
    """
    started = _changed(f"/run/systemd/units/invocation:{unit}")
    if started is None:
        return False
    return any((_changed(path) or 0) > started for path in paths)


def _changed(path: str) -> int | None:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return None


# --- change ---------------------------------------------------------------------------------


def mark_unread() -> None:
    """Note that unit files change, so that a run that is cut off is followed by a reload."""
    files.touch(UNREAD)


def unread() -> bool:
    return os.path.exists(UNREAD)


def daemon_reload() -> None:
    bus.call(bus.SYSTEMD, "Reload", timeout=RELOAD_TIMEOUT)
    files.remove(UNREAD)


def enable(units: t.Sequence[str], *, reload: bool = True) -> None:
    """Enable units, and the target that starts machines at boot, which 252 leaves to the user."""
    if units:
        every = [*units, MACHINES_TARGET]
        _unit_files_call("EnableUnitFiles", "asbb", every, "false", "false", reload=reload)


def disable(units: t.Sequence[str], *, reload: bool = True) -> None:
    """Disable units. The target stays enabled: other machines may want it."""
    if units:
        _unit_files_call("DisableUnitFiles", "asb", units, "false", reload=reload)


def _unit_files_call(
    method: str, signature: str, units: t.Sequence[str], *flags: str, reload: bool
) -> None:
    bus.call(bus.SYSTEMD, method, signature, str(len(units)), *units, *flags)
    if reload:
        daemon_reload()


# --- start and stop -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a unit that was started or stopped."""

    word: str
    """started, failed, timed out; stopped, killed, hangs"""
    state: UnitState
    failure: Failure | None = None
    killed: bool = False
    """It had to be killed, also when it was started again after that."""


def start(units: t.Sequence[str], timeout: float) -> dict[str, Outcome]:
    """Start units side by side and wait for all of them, at most until the deadline.

    One that fails does not keep the others from starting. One that is not ready at the deadline
    goes on starting.
    """
    if not units:
        return {}
    began = time.time()
    deadline = time.monotonic() + timeout
    before = snapshot(units)
    failed = [unit for unit, state in before.items() if state.active == "failed"]
    if failed:
        # Several attempts in short time would otherwise end in "start-limit-hit".
        _systemctl(["reset-failed", "--", *failed], timeout=30)
    _clear_leftovers([unit for unit, state in before.items() if not state.running])
    said = _until(["start", "--", *units], deadline)
    states = snapshot(units)
    return {unit: _started(state, timeout, said, began) for unit, state in states.items()}


def _started(state: UnitState, timeout: float, said: str, began: float) -> Outcome:
    if state.active in ("active", "reloading"):
        return Outcome("started", state)
    if state.active in ("activating", "deactivating") or state.job:
        word, result = "timed out", "timeout" if state.active == "activating" else ""
        message = f"{state.name} was not ready within {timeout:g} s (it is {state.active})"
    else:
        word, result = "failed", ""
        # What the journal does not have: why systemd did not even try.
        own = re.search(rf"^Failed to start {re.escape(state.name)}: (.*)", said, re.MULTILINE)
        message = f"{state.name} did not start (it is {state.active})"
        message += f": {own.group(1)}" if own else ""
    failure = explain(state.name, message, since=began, result=result)
    return Outcome(word, state, failure)


def stop(units: t.Sequence[str], timeout: float, *, force: bool = True) -> dict[str, Outcome]:
    """Stop units side by side; at the deadline kill what is left, or leave it without O(force)."""
    if not units:
        return {}
    began = time.time()
    _until(["stop", "--", *units], time.monotonic() + timeout)
    states = snapshot(units)
    hanging = [unit for unit, state in states.items() if state.running]
    if hanging and force:
        send_signal(hanging, signal.SIGKILL)
        states.update(_buried(hanging, KILL_WAIT))
    return {
        unit: _stopped(state, unit in hanging and force, timeout, began)
        for unit, state in states.items()
    }


def _stopped(state: UnitState, killed: bool, timeout: float, began: float) -> Outcome:
    if not state.running:
        return Outcome("killed" if killed else "stopped", state, killed=killed)
    message = f"{state.name} did not stop within {timeout:g} s (it is {state.active})"
    if killed:
        message += ", not even when its processes were killed"
    return Outcome("hangs", state, explain(state.name, message, since=began))


def restart(
    units: t.Sequence[str], stop_timeout: float, start_timeout: float, *, force: bool = True
) -> dict[str, Outcome]:
    """Stop and start, each with a deadline of its own; what hangs in its stop is not started."""
    stopped = stop(units, stop_timeout, force=force)
    hanging = {unit: outcome for unit, outcome in stopped.items() if outcome.failure}
    started = start([unit for unit in units if unit not in hanging], start_timeout)
    for unit, outcome in started.items():
        started[unit] = dataclasses.replace(outcome, killed=stopped[unit].killed)
    return {**hanging, **started}


def await_killed(units: t.Sequence[str], timeout: float) -> dict[str, Outcome]:
    """Wait for units that were sent SIGKILL, and clean up after them."""
    began = time.time()
    states = _buried(units, timeout)
    return {unit: _stopped(state, True, timeout, began) for unit, state in states.items()}


def _buried(units: t.Sequence[str], timeout: float) -> dict[str, UnitState]:
    """The units after their processes were killed, without what those left behind."""
    _until(["stop", "--", *units], time.monotonic() + timeout)
    # Killed is what we wanted; "failed" would be reported as somebody's fault for ever.
    _systemctl(["reset-failed", "--", *units], timeout=30)
    states = snapshot(units)
    _clear_leftovers([unit for unit, state in states.items() if not state.running])
    return states


def send_signal(units: t.Sequence[str], number: int) -> None:
    """To all processes of the units; one that has none just ended is no matter."""
    _systemctl(["kill", f"--signal={number}", "--", *units], timeout=30)


def signal_number(name: str) -> int:
    """The number of a signal, from its name with or without SIG, SIGRTMIN+N, or the number."""
    word = name.strip().upper()
    word = word[3:] if word.startswith("SIG") else word
    realtime = re.fullmatch(r"RTM(IN\+|AX-)([0-9]{1,2})", word)
    number = 0
    if realtime and realtime.group(1) == "IN+":
        number = signal.SIGRTMIN + int(realtime.group(2))
    elif realtime:
        number = signal.SIGRTMAX - int(realtime.group(2))
    elif re.fullmatch(r"[0-9]{1,2}", word):
        number = int(word)
    elif f"SIG{word}" in signal.Signals.__members__:
        number = signal.Signals[f"SIG{word}"]
    least = signal.SIGRTMIN if realtime else 1
    if not least <= number <= signal.SIGRTMAX:
        raise Failure(
            f"signal: {name!r} is no signal; expected a name like SIGHUP or SIGRTMIN+4, or a"
            f" number from 1 to {int(signal.SIGRTMAX)}"
        )
    return int(number)


def signal_name(number: int) -> str:
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return signal.Signals(number).name


def _until(arguments: t.Sequence[str], deadline: float) -> str:
    """Let systemctl wait for its jobs. The jobs go on when it is ended at the deadline."""
    try:
        return _systemctl(arguments, timeout=max(0.1, deadline - time.monotonic()))
    except run.CommandFailed as error:
        if error.result.rc != -1:
            raise
        return error.result.stderr


def _systemctl(arguments: t.Sequence[str], timeout: float) -> str:
    """Whether each unit did what it was told shows in its state, not in the exit code."""
    argv = ["systemctl", "--no-ask-password", *arguments]
    return run.run(argv, timeout=timeout, check=False).stderr


def _clear_leftovers(units: t.Iterable[str]) -> None:
    """Take away what a machine that was killed leaves mounted, and what then bars its next start.

    From 254 on systemd-nspawn mounts a directory under /run for each machine, unmounts it at its
    orderly end, and refuses to start when it is there. A machine of the same name that runs
    outside its unit keeps what is its own.
    """
    for unit in units:
        found = re.fullmatch(r"systemd-nspawn@(.+)\.service", unit)
        name = found.group(1) if found else ""
        path = f"{EXPORTS}/{name}"
        if name and os.path.ismount(path) and not _is_registered(name):
            run.run(["umount", "--", path], timeout=30, check=False)
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _is_registered(machine: str) -> bool:
    try:
        bus.call(bus.MACHINED, "GetMachine", "s", machine)
    except bus.CallFailed:
        return False
    return True


# --- why ------------------------------------------------------------------------------------


def journal_tail(unit: str, lines: int = 20, since: float | None = None) -> list[str]:
    """The last lines that a unit, and systemd about it, left in the journal."""
    argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}"]
    if since is not None:
        argv.append(f"--since=@{since:.6f}")
    result = run.run([*argv, f"--unit={unit}"], timeout=30, check=False)
    return [line for line in map(_printable, result.stdout.splitlines()) if line]


def _printable(line: str) -> str:
    """Without escape sequences: what a machine prints must not steer the user's terminal."""
    bare = re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", "", line)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "", bare).rstrip()


def explain(
    unit: str,
    message: str = "",
    *,
    lines: int = 20,
    since: float | None = None,
    result: str = "",
) -> Failure:
    """A failure of a unit in words: what systemd knows, the likely cause, the last lines.

    O(since) leaves out what was said before; O(result) stands for systemd's own word.
    """
    known = details([unit])[unit]
    # What was said last may still be on its way to the journal's files.
    run.run(["journalctl", "--sync"], timeout=10, check=False)
    tail = journal_tail(unit, lines, since)
    text = (message or f"{unit} failed").rstrip(".")
    if known.result not in ("", "success"):
        text += f". systemd says {known.result}, exit status {known.exit_status}"
    cause = causes.likely(tail, result or known.result, message)
    if cause:
        text += f". Likely cause: {cause}"
    text = f"{text.rstrip('.')}."
    if tail:
        text += " The last lines of its journal:\n" + "\n".join(f"  {line}" for line in tail)
    return Failure(text, unit=unit, result=known.result, cause=cause, journal=tail)
