# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What is to be done so that the machines of a host are as they are wanted.

Private to the collection. Pure: from what was seen and what is wanted to a plan.
C(_machines.host) looks and acts.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import typing as t
from signal import SIGKILL

from .._core.plan import Failure, Plan, State, Step, identities
from .._settings import nspawn_file
from .._systemd import signals, unit_files
from .._systemd.machined import unit_of
from . import drift

# In this order the verbs are carried out, each for all its machines at once: one daemon-reload,
# one enable, one start. A rolling restart repeats only "restart".
PHASES = (
    "thaw",
    "stop",
    "kill",
    "disable",
    "remove",
    "record",
    "clone",
    "delete",
    "write",
    "reset",
    "forget",
    "enable",
    "reload",
    "restart",
    "start",
    "freeze",
)
RUNNING = frozenset({"active", "activating", "reloading", "refreshing"})


# --- what is wanted -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One machine as it shall be. Nothing where it shall be left as it is."""

    name: str
    state: t.Optional[str] = None
    """started, stopped, restarted, paused, killed, absent"""
    image: t.Optional[str] = None
    """Cloned from it when the machine has no image."""
    declared: bool = False
    """By the module machines: its settings, its unit and its record are looked after."""
    settings: t.Optional[nspawn_file.Settings] = None
    users: tuple[str, ...] = ()
    unit: t.Optional[str] = None
    """The text of the drop-in; empty: none."""
    enabled: t.Optional[bool] = None
    owner: t.Optional[str] = None
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    restart: str = "never"
    """never, when_needed, always"""
    wait: str = "booted"
    """booted, registered, none"""
    wait_timeout: float = 120
    force: bool = False
    signal: int = SIGKILL
    """For the state killed, and who gets it: all, leader."""
    whom: str = "all"


# --- what was seen --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Record:
    """What the collection remembers of a machine, on the host and only for root."""

    made: bool = False
    """The collection cloned its image: it may be purged."""
    image: t.Optional[str] = None
    """What it was cloned from."""
    identity: str = ""
    """The file system object that is its image; empty until the clone was seen to be whole."""
    owner: t.Optional[str] = None
    variables: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    declared: drift.Declared = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Seen:
    """One machine as it is."""

    image: t.Optional[str] = None
    """The type of its image."""
    identity: str = ""
    """What stays the same of its image under any name (see C(_images.provenance))."""
    settings: t.Optional[str] = None
    """The text of its file in /etc."""
    settings_elsewhere: bool = False
    """There is a file in one of the places that count when there is none in /etc."""
    unit: t.Optional[str] = None
    """The text of its drop-in."""
    enabled: bool = False
    active: str = "inactive"
    frozen: bool = False
    stranger: t.Optional[str] = None
    """The unit in which a machine of this name runs, when that is not its own."""
    started_with: t.Optional[str] = None
    """The digest of the files that the running machine was started with, when that is known."""
    edited_since: bool = False
    """Its files are younger than its start."""
    record: t.Optional[Record] = None
    booted: bool = False
    """It has a machine ID of its own. Looked for only where the end of its clone was not seen."""

    @property
    def running(self) -> bool:
        return self.active in RUNNING

    @property
    def stoppable(self) -> bool:
        """It runs, or is about to stop and may hang in that."""
        return self.running or self.active == "deactivating"

    @property
    def half_made(self) -> bool:
        """A clone of ours that was cut off, or of which we did not see the end."""
        record = self.record
        cut_off = bool(self.image and record and record.made and not record.identity)
        # Whoever started it found it whole, and has been working with it.
        return cut_off and self.active == "inactive" and not self.booted


NOTHING = Seen()


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The host as it is."""

    machines: t.Mapping[str, Seen]
    images: frozenset[str]
    """The names of all images."""
    image_settings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The text of the settings of images that are cloned: the clone takes it along."""
    unread: bool = False
    """A run was cut off between a change of a unit and systemd's reload."""

    def of(self, name: str) -> Seen:
        return self.machines.get(name, NOTHING)


def digest(settings: t.Optional[str], unit: t.Optional[str]) -> str:
    """What a machine is started with, in one word. A remark in a file makes no difference."""
    meaning = json.dumps([_meaning(settings), _meaning(unit or None)])
    return hashlib.sha256(meaning.encode()).hexdigest()


def _meaning(text: t.Optional[str]) -> t.Any:
    if text is None:
        return None
    try:
        return nspawn_file.parse(text).as_lists()
    except Failure:
        return text


# --- refuse before anything changes ---------------------------------------------------------


def check(snapshot: Snapshot, wanted: t.Sequence[Wanted]) -> None:
    """Refuse what cannot come true, before anything changes."""
    names = [one.name for one in wanted]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise Failure(f"{', '.join(doubled)}: wanted more than once; give each machine one entry")
    leaving = {one.name for one in wanted if one.state == "absent"}
    for one in wanted:
        _check_one(snapshot, one, leaving)


def _check_one(snapshot: Snapshot, one: Wanted, leaving: t.Collection[str]) -> None:
    seen = snapshot.of(one.name)
    if seen.stranger:
        raise Failure(
            f"{one.name}: a machine of this name runs in {seen.stranger}, not in "
            f"{unit_of(one.name)}; stop it there, then run this again"
        )
    if one.state == "absent" or (seen.image and not seen.half_made):
        return
    if one.image is None:
        if seen.half_made:
            raise Failure(
                f"{one.name}: its image was not cloned to the end; say again which image it is "
                "made from, so that it is made anew"
            )
        if one.declared or one.state in ("started", "restarted", "paused") or one.enabled:
            raise Failure(
                f"{one.name}: there is no image of this name in /var/lib/machines"
                + (", and none is named to clone it from" if one.declared else "")
                + _nearest(one.name, snapshot.images)
            )
    elif one.image not in snapshot.images:
        raise Failure(
            f"{one.name}: cannot be cloned from {one.image}: there is no image of this name"
            + _nearest(one.image, snapshot.images)
        )
    elif snapshot.of(one.image).half_made:
        raise Failure(
            f"{one.name}: cannot be cloned from {one.image}, whose own image was not cloned to the "
            f"end; have {one.image} made anew first"
        )
    elif one.image in leaving:
        raise Failure(
            f"{one.name}: cannot be cloned from {one.image}, which is to be absent; remove "
            f"{one.image} in a later call"
        )


def _nearest(name: str, images: t.Iterable[str]) -> str:
    """The image that was probably meant, or which there are."""
    there = sorted(images)
    near = difflib.get_close_matches(name, there, n=1)
    if near:
        return f". Did you mean {near[0]}?"
    if not there:
        return ". There are no images on this host"
    return f". There are: {', '.join(there[:20])}" + (" …" if len(there) > 20 else "")


def purged(snapshot: Snapshot, wanted: t.Iterable[Wanted]) -> list[Wanted]:
    """The machines that the collection made and that nobody wants any more.

    One that was removed and made anew by somebody else since then is theirs. One that others are
    cloned from is still wanted.
    """
    kept = {name for one in wanted for name in (one.name, one.image)}
    return [
        Wanted(name, state="absent", declared=True)
        for name, seen in sorted(snapshot.machines.items())
        if name not in kept
        and seen.record
        and seen.record.made
        and (not seen.image or seen.record.identity in ("", seen.identity))
    ]


# --- the plan -------------------------------------------------------------------------------


def plan(snapshot: Snapshot, wanted: t.Sequence[Wanted], *, rolling: int = 0) -> Plan:
    """All steps for all machines, in the order of C(PHASES)."""
    check(snapshot, wanted)
    steps: list[Step] = []
    for one in wanted:
        draft = _Draft(snapshot, one)
        steps += draft.removal() if one.state == "absent" else draft.convergence()
    steps = _reloaded(steps, snapshot.unread and any(one.declared for one in wanted))
    steps.sort(key=lambda step: PHASES.index(step.verb))
    return tuple(_rolled(steps, rolling))


def _reloaded(steps: list[Step], owed: bool) -> list[Step]:
    """One daemon-reload for all that changed a unit, before whatever builds upon it.

    O(owed): also without a change, for what an earlier run has changed.
    """
    if not owed and not any(step.arguments.get("reload") for step in steps):
        return steps
    # It needs nothing: one machine's broken file must not keep the others from their reload.
    reload = Step("reload", "systemd", after={"units": "as in their files"})
    return [
        dataclasses.replace(step, needs=step.needs | identities(reload))
        if step.verb in ("restart", "start")
        else step
        for step in steps
    ] + [reload]


def _rolled(steps: list[Step], size: int) -> list[Step]:
    """Number the groups in which machines are restarted, so that not all are down at once."""
    if size < 1:
        return steps
    result: list[Step] = []
    count = 0
    for step in steps:
        if step.verb == "restart":
            step = dataclasses.replace(step, arguments={**step.arguments, "group": count // size})
            count += 1
        result.append(step)
    return result


def zones(snapshot: Snapshot, wanted: t.Iterable[Wanted], steps: Plan) -> list[str]:
    """The network zones that machines will come into, one for each that does."""
    starting = {step.subject for step in steps if step.verb == "start"}
    again = {step.subject for step in steps if step.verb == "restart"}
    found = []
    for one in wanted:
        zone = _Draft(snapshot, one).zone() if one.name in starting | again else None
        if zone and (one.name in starting or zone != _zone_in(snapshot.of(one.name).settings)):
            found.append(zone)
    return found


def _zone_in(settings: t.Optional[str]) -> t.Optional[str]:
    return nspawn_file.parse(settings).last("Network", "Zone") if settings else None


class _Draft:
    """The steps of one machine."""

    def __init__(self, snapshot: Snapshot, wanted: Wanted) -> None:
        self.snapshot = snapshot
        self.wanted = wanted
        self.name = wanted.name
        self.seen = snapshot.of(wanted.name)
        self.unit = unit_of(wanted.name)
        self.steps: list[Step] = []

    def _step(
        self,
        verb: str,
        subject: t.Optional[str] = None,
        *,
        before: State = None,
        after: State = None,
        needs: t.Iterable[Step] = (),
        **arguments: t.Any,
    ) -> Step:
        step = Step(
            verb,
            subject or self.name,
            {"machine": self.name, **arguments},
            before,
            after,
            identities(*needs),
        )
        self.steps.append(step)
        return step

    # A machine that shall be there.

    def convergence(self) -> list[Step]:
        if self.wanted.declared:
            self._record()
        self._image()
        if self.wanted.declared:
            self._files()
        self._enablement()
        self._state()
        return self.steps

    def _record(self) -> None:
        """Before the clone: what is begun must be known as ours if it is cut off."""
        old = self.seen.record or Record()
        if self._clones:
            made = Record(made=True, image=self.wanted.image)
        elif old.made and not old.identity:
            made = dataclasses.replace(old, identity=self.seen.identity)
        else:
            made = old
        wanted = self.wanted
        new = dataclasses.replace(
            made,
            owner=wanted.owner,
            variables=dict(wanted.variables),
            declared=drift.declared(
                wanted.state, wanted.enabled, self._exact_settings(), wanted.unit
            ),
        )
        if new != old:
            self._step("record", before=_shown(old), after=_shown(new), record=new)

    @property
    def _clones(self) -> bool:
        return bool(self.wanted.image) and (not self.seen.image or self.seen.half_made)

    def _image(self) -> None:
        if self._clones:
            self._step(
                "clone",
                before={"image": None},
                after={"image": f"clone of {self.wanted.image}"},
                needs=self.steps,
                source=self.wanted.image,
                again=self.seen.half_made,
            )

    def _files(self) -> None:
        cloned = [step for step in self.steps if step.verb == "clone"]
        self._file(
            nspawn_file.path_of(self.name), self.seen.settings, self.settings_text(), False, cloned
        )
        if self.wanted.unit is not None:
            path = unit_files.drop_in_path(self.unit)
            self._file(path, self.seen.unit, self.wanted.unit or None, True, cloned)

    def _file(
        self,
        path: str,
        old: t.Optional[str],
        new: t.Optional[str],
        reload: bool,
        needs: t.Sequence[Step],
    ) -> None:
        if new == old:
            return
        verb = "delete" if new is None else "write"
        # A clone brings the settings of its template along: what is there then is not what was
        # seen. The step is the same either way.
        self._step(verb, path, before=old, after=new, needs=needs, text=new, reload=reload)

    def settings_text(self) -> t.Optional[str]:
        """The text that the machine's settings shall have."""
        text = self._settings_after_clone()
        path = nspawn_file.path_of(self.name)
        exactly = self._exact_settings()
        if exactly is not None:
            return nspawn_file.merge(text, exactly, exclusive=True, what=path)
        users = _users(self.wanted.users, None)
        if text is None and (users or not self._counts_elsewhere):
            text = nspawn_file.merge(None, nspawn_file.DEFAULTS)
        return nspawn_file.merge(text, users, what=path) if text is not None and users else text

    def _exact_settings(self) -> t.Optional[nspawn_file.Settings]:
        """All that the settings shall say; nothing when that was left open."""
        given = self.wanted.settings
        if given is None:
            return None
        return nspawn_file.with_defaults(given).updated(_users(self.wanted.users, given))

    @property
    def _counts_elsewhere(self) -> bool:
        """Not for a machine of ours: a clone may have brought that file along."""
        made = self._clones or (self.seen.record is not None and self.seen.record.made)
        return self.seen.settings_elsewhere and not made

    def _settings_after_clone(self) -> t.Optional[str]:
        if self.seen.settings is None and self._clones:
            return self.snapshot.image_settings.get(self.wanted.image or "")
        return self.seen.settings

    def zone(self) -> t.Optional[str]:
        """The network zone that the machine is in once it runs."""
        return _zone_in(self.settings_text())

    def unit_text(self) -> t.Optional[str]:
        return self.seen.unit if self.wanted.unit is None else self.wanted.unit or None

    def _enablement(self) -> None:
        enabled = self.wanted.enabled
        if enabled is not None and enabled != self.seen.enabled:
            self._step(
                "enable" if enabled else "disable",
                before={"enabled": self.seen.enabled},
                after={"enabled": enabled},
                needs=[step for step in self.steps if enabled and step.verb == "clone"],
                unit=self.unit,
                reload=True,
            )

    def _state(self) -> None:
        wanted, seen = self.wanted, self.seen
        if wanted.state == "stopped":
            if seen.stoppable:
                self._stop()
        elif wanted.state == "killed":
            if seen.stoppable:
                self._kill()
        elif wanted.state in ("started", "restarted", "paused"):
            paused = wanted.state == "paused"
            reason = self.restart_reason() if seen.stoppable else None
            if seen.frozen and (reason or not paused):
                self._thaw()
            if reason:
                before = {"state": "started" if seen.running else "stopping"}
                self._start("restart", before=before, reason=reason)
            elif not seen.running:
                self._start("start", before={"state": "stopped"})
            elif seen.active == "activating" and wanted.wait == "booted":
                # Somebody else has begun, or a run of ours was cut off. This waits for the end.
                self._start("start", before={"state": "starting"})
            if paused and (reason or not seen.frozen):
                self._step(
                    "freeze", after={"state": "paused"}, needs=self.steps[-1:], unit=self.unit
                )

    def _thaw(self) -> None:
        before, after = {"state": "paused"}, {"state": "started"}
        self._step("thaw", before=before, after=after, unit=self.unit)

    def _start(self, verb: str, *, before: State, reason: str = "") -> None:
        after: dict[str, t.Any] = {"state": "started"}
        if reason:
            after["restarted"] = reason
        self._step(
            verb,
            before=before,
            after=after,
            # Not the enablement: whether it starts with the host is another matter.
            needs=[step for step in self.steps if step.verb not in ("record", "enable")],
            unit=self.unit,
            wait=self.wanted.wait,
            timeout=self.wanted.wait_timeout,
            force=self.wanted.force,
            reason=reason,
            # A drop-in that a killed run wrote may not have been read yet.
            reload=self.snapshot.unread,
        )

    def restart_reason(self) -> t.Optional[str]:
        """Why a running machine is restarted, in words; nothing when it is left to run."""
        if self.wanted.state == "restarted":
            return "it was asked for"
        if not self.seen.running:
            return "it was still stopping"
        if self.wanted.restart == "always":
            return "restart is always"
        if self.wanted.restart != "when_needed":
            return None
        return self._outdated()

    def _outdated(self) -> t.Optional[str]:
        changed = {step.subject for step in self.steps if step.verb in ("write", "delete")}
        if self.seen.started_with is not None:
            new = digest(self.settings_text(), self.unit_text())
            stale = self.seen.started_with != new
        else:
            stale = self.seen.edited_since or bool(changed)
        if not stale:
            return None
        if changed:
            return f"it runs without the change of {' and '.join(sorted(changed))}"
        return "its files were changed since it was started"

    def _stop(self, *, leaves: bool = False) -> Step:
        if self.seen.frozen:
            self._thaw()
        return self._step(
            "stop",
            before={"state": "started"},
            after={"state": "stopped"},
            needs=[step for step in self.steps if step.verb == "thaw"],
            unit=self.unit,
            timeout=self.wanted.wait_timeout,
            force=self.wanted.force,
            leaves=leaves,
        )

    def _kill(self) -> None:
        number, whom = self.wanted.signal, self.wanted.whom
        deadly = number == SIGKILL
        if deadly and self.seen.frozen:
            self._thaw()
        self._step(
            "kill",
            before={"state": "started"} if deadly else {},
            after={"state": "stopped"}
            if deadly
            else {"signal": f"{signals.name_of(number)} to {whom}"},
            needs=[step for step in self.steps if step.verb == "thaw"],
            unit=self.unit,
            signal=number,
            whom=whom,
            timeout=self.wanted.wait_timeout,
        )

    # A machine that shall not.

    def removal(self) -> list[Step]:
        seen = self.seen
        if seen.stoppable:
            self._stop(leaves=True)
        if seen.enabled:
            self._step("disable", before={"enabled": True}, after={}, unit=self.unit, reload=True)
        if seen.image:
            # Not needed by it: the disablement. An image that cannot be started is no harm.
            stops = [step for step in self.steps if step.verb == "stop"]
            self._step("remove", before={"image": seen.image}, after={}, needs=stops)
        gone = list(self.steps)
        self._file(nspawn_file.path_of(self.name), seen.settings, None, False, gone)
        path = unit_files.drop_in_path(self.unit)
        self._file(path, seen.unit, None, True, gone)
        if seen.active == "failed":
            before, after = {"state": "failed"}, {"state": "absent"}
            self._step("reset", before=before, after=after, needs=gone, unit=self.unit)
        if seen.record:
            self._step("forget", before=_shown(seen.record), after={}, needs=self.steps)
        return self.steps


def _users(
    users: t.Sequence[str], settings: t.Optional[nspawn_file.Settings]
) -> nspawn_file.Settings:
    """The users that are bound, beside those whom the settings name already."""
    if not users:
        return nspawn_file.Settings({})
    named = settings.values_of("Files", "BindUser") if settings else ()
    return nspawn_file.Settings({"Files": {"BindUser": tuple(dict.fromkeys((*named, *users)))}})


def _shown(record: Record) -> dict[str, t.Any]:
    """A record as the diff shows it: what the user can have an opinion of."""
    shown: dict[str, t.Any] = {"owner": record.owner, "vars": dict(record.variables)}
    return {key: value for key, value in shown.items() if value}
