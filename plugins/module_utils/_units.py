# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Units: their drop-ins, their state, their enablement, starts and stops with a deadline.

Private to the collection. Everything takes many units and costs the same few processes however
many they are.
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils import _bus, _ini, _run
from ansible_collections.nspawn.machined.plugins.module_utils._ini import Settings
from ansible_collections.nspawn.machined.plugins.module_utils._plan import Failure

DIRECTORY = "/etc/systemd/system"
RUNTIME_DIRECTORY = "/run/systemd/system"
TEMPLATE = "systemd-nspawn@.service"
DROP_IN = "50-nspawn-machined"
MACHINES_TARGET = "machines.target"

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
    return _reset(_ini.normalise(raw, what, _quoted))


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
            _ini.check_safe(section, key, value, what)
    return _ini.render(settings)


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
    (rows,) = _bus.call(
        _bus.SYSTEMD, "ListUnitsByPatterns", "asas", "0", str(len(patterns)), *patterns
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
        where = _bus.object_path("/org/freedesktop/systemd1/unit", unit)
        found = _bus.properties(
            _bus.SYSTEMD, "FreezerState", path=where, interface="org.freedesktop.systemd1.Unit"
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
    stdout = _run.run(["systemctl", "show", f"--property={wanted}", "--", *units]).stdout
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


# --- change ---------------------------------------------------------------------------------


def daemon_reload() -> None:
    _bus.call(_bus.SYSTEMD, "Reload", timeout=RELOAD_TIMEOUT)


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
    _bus.call(_bus.SYSTEMD, method, signature, str(len(units)), *units, *flags)
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


Report = t.Callable[[str, str], None]
"""Told a unit and its word as soon as it is known."""


def start(
    units: t.Sequence[str], timeout: float, report: Report | None = None
) -> dict[str, Outcome]:
    """Start units side by side and wait for all of them, at most until the deadline.

    One that fails does not keep the others from starting. One that is not ready at the deadline
    goes on starting.
    """
    if not units:
        return {}
    deadline = time.monotonic() + timeout
    failed = [unit for unit, state in snapshot(units).items() if state.active == "failed"]
    if failed:
        # Several attempts in short time would otherwise end in "start-limit-hit".
        _systemctl(["reset-failed", "--", *failed], timeout=30)
    _until(["start", "--", *units], deadline)
    states = snapshot(units)
    outcomes = {unit: _started(state, timeout) for unit, state in states.items()}
    return _reported(outcomes, report)


def _started(state: UnitState, timeout: float) -> Outcome:
    if state.active in ("active", "reloading"):
        return Outcome("started", state)
    if state.active in ("activating", "deactivating") or state.job:
        word = "timed out"
        message = f"{state.name} was not ready within {timeout:g} s (it is {state.active})"
    else:
        word = "failed"
        message = f"{state.name} did not start (it is {state.active})"
    return Outcome(word, state, explain(state.name, message))


def stop(
    units: t.Sequence[str],
    timeout: float,
    *,
    force: bool = True,
    report: Report | None = None,
) -> dict[str, Outcome]:
    """Stop units side by side; at the deadline kill what is left, or leave it without O(force)."""
    if not units:
        return {}
    _until(["stop", "--", *units], time.monotonic() + timeout)
    states = snapshot(units)
    hanging = [unit for unit, state in states.items() if state.running]
    if hanging and force:
        _systemctl(["kill", "--signal=SIGKILL", "--", *hanging], timeout=30)
        _until(["stop", "--", *hanging], time.monotonic() + KILL_WAIT)
        # Killed is what we wanted; "failed" would be reported as somebody's fault for ever.
        _systemctl(["reset-failed", "--", *hanging], timeout=30)
        states.update(snapshot(hanging))
    outcomes = {
        unit: _stopped(state, unit in hanging and force, timeout) for unit, state in states.items()
    }
    return _reported(outcomes, report)


def _stopped(state: UnitState, killed: bool, timeout: float) -> Outcome:
    if not state.running:
        return Outcome("killed" if killed else "stopped", state)
    message = f"{state.name} did not stop within {timeout:g} s (it is {state.active})"
    if killed:
        message += ", not even when its processes were killed"
    return Outcome("hangs", state, explain(state.name, message))


def restart(
    units: t.Sequence[str],
    stop_timeout: float,
    start_timeout: float,
    *,
    force: bool = True,
    report: Report | None = None,
) -> dict[str, Outcome]:
    """Stop and start, each with a deadline of its own; what hangs in its stop is not started."""
    stopped = stop(units, stop_timeout, force=force)
    hanging = {unit: outcome for unit, outcome in stopped.items() if outcome.failure}
    started = start([unit for unit in units if unit not in hanging], start_timeout)
    return _reported({**hanging, **started}, report)


def _until(arguments: t.Sequence[str], deadline: float) -> None:
    """Let systemctl wait for its jobs. The jobs go on when it is ended at the deadline."""
    try:
        _systemctl(arguments, timeout=max(0.1, deadline - time.monotonic()))
    except _run.CommandFailed as error:
        if error.result.rc != -1:
            raise


def _systemctl(arguments: t.Sequence[str], timeout: float) -> None:
    """Whether each unit did what it was told shows in its state, not in the exit code."""
    _run.run(["systemctl", "--no-ask-password", *arguments], timeout=timeout, check=False)


def _reported(outcomes: dict[str, Outcome], report: Report | None) -> dict[str, Outcome]:
    if report:
        for unit, outcome in outcomes.items():
            report(unit, outcome.word)
    return outcomes


# --- why ------------------------------------------------------------------------------------


def journal_tail(unit: str, lines: int = 20) -> list[str]:
    """The last lines that a unit, and systemd about it, left in the journal."""
    argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}"]
    result = _run.run([*argv, f"--unit={unit}"], timeout=30, check=False)
    return [_printable(line) for line in result.stdout.splitlines() if line.strip()]


def _printable(line: str) -> str:
    """Without escape sequences: what a machine prints must not steer the user's terminal."""
    bare = re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", "", line)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "", bare).rstrip()


def explain(unit: str, message: str = "", lines: int = 20) -> Failure:
    """A failure of a unit in words: what systemd knows, the likely cause, the last lines."""
    known = details([unit])[unit]
    # What was said last may still be on its way to the journal's files.
    _run.run(["journalctl", "--sync"], timeout=10, check=False)
    tail = journal_tail(unit, lines)
    parts = [message or f"{unit} failed"]
    if known.result not in ("", "success"):
        parts.append(f"systemd says {known.result}, exit status {known.exit_status}")
    cause = likely_cause(tail, known.result)
    if cause:
        parts.append(f"Likely cause: {cause}")
    text = ". ".join(part.rstrip(".") for part in parts) + "."
    if tail:
        text += " The last lines of its journal:\n" + "\n".join(f"  {line}" for line in tail)
    return Failure(text, unit=unit, result=known.result, cause=cause, journal=tail)


def likely_cause(tail: t.Sequence[str], result: str = "") -> str | None:
    """What such last lines have meant before, and what helps."""
    said = "\n".join(tail)
    for pattern, cause in CAUSES:
        found = re.search(pattern, said)
        if found:
            return cause.format(*found.groups())
    return _RESULTS.get(result)


CAUSES: t.Sequence[tuple[str, str]] = (
    (
        r"execv\(.*/init.*\) failed: No such file",
        "the image has no init (no systemd in it), so it cannot boot; install it in the image",
    ),
    (
        r"(?:os-release file is missing|/usr/ directory is missing)",
        "the image holds no operating system (no os-release, or no /usr)",
    ),
    (
        r"Too many open files",
        "the host has no inotify instances left, which happens at about 14 machines with the"
        " kernel's default; raise the sysctl fs.inotify.max_user_instances (the role host does)",
    ),
    (
        r"((?:Disk image|Directory tree) \S+) is currently busy",
        "{0} is in use by another machine or an operation on it; wait for it, or clone it",
    ),
    (
        r"Failed to add new veth interfaces \((\S+?):\S+: File exists",
        "the network interface {0} exists already, left over or of another machine whose name"
        " begins alike; remove it with 'ip link delete {0}'",
    ),
    (
        r"(?:Failed to stat|Failed to resolve|Failed to open|Failed to clone) (\S+): No such file",
        "{0} does not exist; if it is the source of a Bind=, create it first",
    ),
    (
        r"Failed to resolve interface '?([^\s':]+)'?: No such device",
        "the host has no network interface {0}, which Bridge=, Interface=, MACVLAN= or IPVLAN="
        " names",
    ),
    (
        r"No space left on device",
        "the file system is full",
    ),
)

_RESULTS: t.Mapping[str, str] = {
    "timeout": "it did not say in time that it was ready; with NotifyReady=yes the machine needs"
    " an init that does, as systemd does",
    "start-limit-hit": "it was started too often in a short time",
    "oom-kill": "it ran out of memory; see MemoryMax= of its unit and the host's memory",
    "resources": "the host could not give it what its unit asks for",
}
