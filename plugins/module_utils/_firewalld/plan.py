# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From what firewalld has and what is wanted to the steps between.

Private to the collection. Pure: no host, no firewalld.

There are two states to converge: the permanent configuration, and the running firewall. Both
get the same treatment. What an earlier call with the same record changed is first taken back in
mind, then what is wanted is laid over it: so what nobody wants any more goes by itself.
"""

from __future__ import annotations

import dataclasses
import types
import typing as t

from .._core.plan import Plan, State, Step, ordered
from .._core.plan import identities as step_identities
from .check import check_goals, check_wanted
from .model import (
    BINDINGS,
    POLICY,
    ZONE,
    Goals,
    Items,
    Key,
    Settings,
    Value,
    changed,
    defaults_of,
    freeze,
    identities,
    items_of,
    joined,
    properties_of,
    without,
)
from .record import Record, Recorded, accumulated, difference, reverted
from .seen import Entry, Snapshot
from .wanted import DEFAULT_ZONE, Wanted
from .xml import read

Named = dict[Key, Wanted]
States = t.Mapping[Key, Settings]

RELOAD = "reload"
FIREWALL = "firewalld"


def plan(seen: Snapshot, wanted: t.Sequence[Wanted], *, bind_uplinks: bool = False) -> Plan:
    """The steps from what is there to what is wanted; nothing is touched that is not named."""
    named = _named(seen, wanted, bind_uplinks)
    permanent = _goals(seen, named, {key: entry.settings for key, entry in seen.entries.items()})
    live = _live_goals(seen, named, permanent) if seen.running else {}
    check_goals(seen, named, permanent)
    record = _record(seen, permanent)
    changes = _permanent_steps(seen, named, permanent, record)
    if seen.running:
        changes += _running_steps(seen, named, permanent, live, changes)
    return ordered(_recorded(seen, record, changes))


def zones_after(
    seen: Snapshot, wanted: t.Sequence[Wanted], *, bind_uplinks: bool = False
) -> dict[str, Settings]:
    """The zones of the permanent configuration as they will be, by their names."""
    named = _named(seen, wanted, bind_uplinks)
    have = {key: entry.settings for key, entry in seen.entries.items()}
    goals = {**have, **_goals(seen, named, have)}
    return {key.name: goal for key, goal in goals.items() if key.kind == ZONE and goal is not None}


def results(seen: Snapshot, wanted: t.Sequence[Wanted]) -> list[tuple[Key, bool]]:
    """Which zones and policies a call is about, by their real names."""
    resolved = [_resolved(seen, one) for one in wanted]
    return [(one.key, one.present) for one in resolved]


# --- what is meant --------------------------------------------------------------------------


def _named(seen: Snapshot, wanted: t.Sequence[Wanted], bind_uplinks: bool) -> Named:
    """What is wanted of each zone and policy, by its real name, and checked."""
    named = check_wanted(seen, [_resolved(seen, one) for one in wanted])
    return _with_uplinks(seen, named) if bind_uplinks else named


def _resolved(seen: Snapshot, wanted: Wanted) -> Wanted:
    """Put the default zone's name where it is meant."""
    if Key(ZONE, DEFAULT_ZONE) in seen.entries:
        return wanted

    def real(name: str) -> str:
        return seen.default_zone if name == DEFAULT_ZONE else name

    def names(settings: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        return types.MappingProxyType(
            {
                name: tuple(dict.fromkeys(real(item) for item in value))
                if name in ("ingress_zones", "egress_zones")
                else value
                for name, value in settings.items()
            }
        )

    key = Key(ZONE, real(wanted.key.name)) if wanted.key.kind == ZONE else wanted.key
    return dataclasses.replace(
        wanted, key=key, settings=names(wanted.settings), without=names(wanted.without)
    )


def _with_uplinks(seen: Snapshot, named: Named) -> Named:
    """Make the default zone count as active where firewalld only counts bound interfaces.

    Before 2.0 a policy from or to the default zone does nothing as long as that zone has its
    interfaces only because no other has them. To bind them by name changes nothing else: they
    are in that zone already.
    """
    key = Key(ZONE, seen.default_zone)
    meant = any(
        seen.default_zone in (*items_of(one.settings, "ingress_zones"),
                              *items_of(one.settings, "egress_zones"))
        for one in named.values()
        if one.key.kind == POLICY and one.present
    )  # fmt: skip
    if seen.version >= (2, 0) or not meant or key not in seen.entries:
        return named
    states: States = seen.live if seen.running else _settings(seen)
    ours = seen.record[key].deltas if key in seen.record else {}
    theirs = reverted(ZONE, states.get(key, {}), ours)
    wanted = named.get(key, Wanted(key))
    staying = {item for name in BINDINGS for item in items_of(theirs, name)} - seen.leaving
    if staying or wanted.settings.get("interfaces"):
        return named
    others = [settings for other, settings in states.items() if other != key]
    others += [one.settings for other, one in named.items() if other != key]
    bound = {item for settings in others for item in items_of(settings, "interfaces")}
    uplinks = tuple(
        link for link in seen.uplinks if not _is_among(link, bound) and link not in seen.leaving
    )
    settings = freeze({**wanted.settings, "interfaces": uplinks})
    return {**named, key: dataclasses.replace(wanted, settings=settings)}


def _is_among(link: str, bound: t.Iterable[str]) -> bool:
    """Whether it is one of these, of which those with a + at their end stand for many."""
    return any(link.startswith(item[:-1]) if item.endswith("+") else link == item for item in bound)


def _settings(seen: Snapshot) -> States:
    return {key: entry.settings for key, entry in seen.entries.items()}


# --- goals ----------------------------------------------------------------------------------


def _goals(seen: Snapshot, named: Named, have: States) -> Goals:
    """What every zone and policy concerned shall be; nothing for those that shall not be."""
    goals: dict[Key, t.Optional[Settings]] = {}
    for key in dict.fromkeys([*seen.record, *named]):
        wanted, recorded = named.get(key), seen.record.get(key)
        base = have.get(key)
        if recorded and base is not None:
            base = reverted(key.kind, base, recorded.deltas)
        if wanted:
            goals[key] = _applied(wanted, defaults_of(key.kind) if base is None else base)
        elif recorded and recorded.created:
            goals[key] = None
        elif base is not None:
            goals[key] = base
    return _bound_once(named, have, goals)


def _applied(wanted: Wanted, base: Settings) -> t.Optional[Settings]:
    """What is wanted, laid over what is there."""
    if not wanted.present:
        return None
    table = properties_of(wanted.key.kind)
    goal: dict[str, Value] = dict(base)
    for name, value in wanted.settings.items():
        shape = table[name].shape
        if not table[name].is_list:
            goal[name] = value
            continue
        items = t.cast(Items, value)
        goal[name] = joined(shape, items_of(base, name), items)
        if wanted.exclusive:
            surplus = without(shape, items_of(base, name), items)
            goal[name] = without(shape, items_of(goal, name), surplus)
    for name, items in wanted.without.items():
        goal[name] = without(table[name].shape, items_of(goal, name), items)
    return freeze(goal)


def _bound_once(named: Named, have: States, goals: Goals) -> Goals:
    """An interface or source is in one zone: where it is wanted, else where it was put last."""
    result = dict(goals)
    zones = [key for key in {**have, **goals} if key.kind == ZONE]
    for name in BINDINGS:
        shape = properties_of(ZONE)[name].shape
        for zone in zones:
            settings = result.get(zone, have.get(zone))
            if settings is None:
                continue
            claimed = tuple(
                item
                for key, wanted in named.items()
                if key != zone and key.kind == ZONE and wanted.present
                for item in items_of(wanted.settings, name)
            )
            # What is only put back must not be taken from the zone that has it now.
            kept = items_of(settings, name)
            back = without(shape, kept, items_of(have.get(zone, {}), name))
            if zone not in named:
                claimed += tuple(
                    item
                    for other in zones
                    if other != zone
                    for item in items_of(result.get(other, have.get(other)) or {}, name)
                    if identities(shape, (item,)) <= identities(shape, back)
                )
            left = without(shape, kept, claimed)
            if left != kept:
                result[zone] = freeze({**settings, name: left})
    return result


def _live_goals(seen: Snapshot, named: Named, permanent: Goals) -> Goals:
    """The same for the running firewall; what it does not know yet a reload will bring."""
    goals = dict(_goals(seen, named, seen.live))
    for key, goal in permanent.items():
        if goal is not None and key not in seen.live:
            goals[key] = goal
    return {key: goal for key, goal in goals.items() if key in permanent or key in seen.live}


# --- the record -----------------------------------------------------------------------------


def _record(seen: Snapshot, permanent: Goals) -> Record:
    """What has been changed in the end, counted from how it was before the first call."""
    if not seen.recording:
        return {}
    record: dict[Key, Recorded] = {}
    for key, goal in permanent.items():
        if goal is None:
            continue
        entry = seen.entries.get(key)
        known = seen.record.get(key)
        if entry is None:
            made = Recorded(created=True, backup=seen.backups.get(key))
            known = known if known and known.created else made
        elif known is None:
            known = Recorded(file=entry.file, backup=seen.backups.get(key))
        base = reverted(key.kind, entry.settings, known.deltas) if entry else defaults_of(key.kind)
        deltas = difference(key.kind, base, goal)
        if known.created or deltas:
            record[key] = dataclasses.replace(known, deltas=types.MappingProxyType(deltas))
    return record


def _recorded(seen: Snapshot, record: Record, changes: t.Sequence[Step]) -> list[Step]:
    """Note before the first change what may be made, and after the last what was made.

    Whatever moment the module ends at, nothing that it made is forgotten.
    """
    if not seen.recording:
        return list(changes)
    both = dict(seen.record)
    for key, later in record.items():
        earlier = seen.record.get(key, later)
        deltas = accumulated(key.kind, earlier.deltas, later.deltas)
        both[key] = dataclasses.replace(earlier, deltas=types.MappingProxyType(deltas))
    subject = f"record {seen.recording}"
    steps: list[Step] = []
    first: frozenset[str] = frozenset()
    if both != dict(seen.record):
        steps.append(Step("open", subject, {"record": both}))
        first = step_identities(*steps)
    steps += [dataclasses.replace(step, needs=step.needs | first) for step in changes]
    if both != dict(record):
        steps.append(Step("close", subject, {"record": record}, needs=step_identities(*steps)))
    return steps


# --- steps: permanent -----------------------------------------------------------------------


def _permanent_steps(seen: Snapshot, named: Named, permanent: Goals, record: Record) -> list[Step]:
    released = _releases(_settings(seen), permanent, "unbind")
    before = step_identities(*released)
    steps: list[Step] = []
    after_release = {
        key: t.cast("Settings", step.arguments["goal"])
        for step in released
        for key in [t.cast("Key", step.arguments["key"])]
    }
    for key in sorted(permanent, key=lambda key: (key.kind != ZONE, key.name)):
        goal, entry = permanent[key], seen.entries.get(key)
        if goal is None:
            continue
        step = _permanent_step(seen, key, entry, goal, after_release.get(key), record)
        if step:
            needs = before | step_identities(*[one for one in steps if _is(one, ZONE)])
            steps.append(dataclasses.replace(step, needs=needs))
    gone = sorted(key for key, goal in permanent.items() if goal is None and key in seen.entries)
    for key in gone:  # policies first, by the alphabet: a zone must not be in use
        entry = seen.entries[key]
        known = seen.record.get(key)
        arguments = {
            "key": key,
            "tidy": known is not None,
            "backup": known.backup if known else None,
        }
        needs = before | step_identities(*steps)
        steps.append(Step("remove", str(key), arguments, _shown(key, entry.settings), None, needs))
    return released + steps


def _is(step: Step, kind: str) -> bool:
    return t.cast("Key", step.arguments["key"]).kind == kind


def _permanent_step(
    seen: Snapshot,
    key: Key,
    entry: t.Optional[Entry],
    goal: Settings,
    released: t.Optional[Settings],
    record: Record,
) -> t.Optional[Step]:
    if entry is None:
        settings = changed(key.kind, defaults_of(key.kind), goal)
        if key.kind == ZONE:
            # firewalld's own default differs between its file reader and its bus interface.
            settings["forward"] = goal["forward"]
        arguments = {"key": key, "settings": settings, "goal": goal}
        return Step("create", str(key), arguments, None, _shown(key, goal))
    settings = changed(key.kind, released or entry.settings, goal)
    arguments = {"key": key, "settings": settings, "goal": goal}
    before, after = _shown_change(entry.settings, goal, settings)
    known = seen.record.get(key)
    if known and key not in record and entry.file != known.file:
        # All that was changed is taken back: so is the file, down to its last comment.
        whole = {**arguments, "file": known.file, "backup": known.backup}
        if known.file is None and entry.vendor is not None:
            if not changed(key.kind, entry.vendor, goal):
                return Step("reset", str(key), whole, before, after)
        elif known.file is not None and not changed(key.kind, read(key.kind, known.file), goal):
            return Step("restore", str(key), whole, before, after)
    return Step("change", str(key), arguments, before, after) if settings else None


def _releases(have: States, goals: Goals, verb: str) -> list[Step]:
    """Take interfaces and sources out of zones that lose them to others, before all else.

    firewalld refuses to bind what is bound elsewhere, and two zones may swap theirs.
    """
    steps: list[Step] = []
    for key, goal in goals.items():
        if key.kind != ZONE or key not in have:
            continue
        gained = {
            name: tuple(
                item
                for other, settings in goals.items()
                if other != key and other.kind == ZONE and settings is not None
                for item in items_of(settings, name)
            )
            for name in BINDINGS
        }
        left: dict[str, Value] = {}
        for name in BINDINGS:
            shape = properties_of(ZONE)[name].shape
            kept = items_of(have[key], name)
            rest = without(shape, kept, without(shape, gained[name], items_of(goal or {}, name)))
            if rest != kept:
                left[name] = rest
        if left:
            arguments = {"key": key, "settings": left, "goal": freeze({**have[key], **left})}
            before = {name: have[key][name] for name in left}
            steps.append(Step(verb, str(key), arguments, before, left))
    return steps


# --- steps: the running firewall ------------------------------------------------------------


def _running_steps(
    seen: Snapshot, named: Named, permanent: Goals, live: Goals, changes: t.Sequence[Step]
) -> list[Step]:
    if _needs_reload(seen, named, live):
        goals = {key: goal for key, goal in live.items() if goal is not None}
        shown = _live_shown(seen, permanent, live, changes, everything=True)
        return [Step(RELOAD, FIREWALL, {"live": goals}, *shown, step_identities(*changes))]
    steps = _releases(seen.live, live, "unbind live")
    after_release = {
        t.cast("Key", step.arguments["key"]): t.cast("Settings", step.arguments["goal"])
        for step in steps
    }
    needs = step_identities(*changes, *steps)
    steps = [dataclasses.replace(step, needs=step_identities(*changes)) for step in steps]
    for key, goal in live.items():
        if goal is None or key not in seen.live:
            continue
        settings = _live_changes(key, after_release.get(key, seen.live[key]), goal)
        if settings:
            shown = _live_shown(seen, permanent, {key: goal}, changes)
            arguments = {"key": key, "settings": settings, "goal": goal}
            steps.append(Step("change live", str(key), arguments, *shown, needs))
    return steps


def _live_changes(key: Key, before: Settings, goal: Settings) -> dict[str, Value]:
    table = properties_of(key.kind)
    return {
        name: value for name, value in changed(key.kind, before, goal).items() if table[name].live
    }


def _needs_reload(seen: Snapshot, named: Named, live: Goals) -> bool:
    for key, goal in live.items():
        if (goal is None) != (key not in seen.live):
            return True
        if goal is None:
            continue
        table = properties_of(key.kind)
        if any(
            not table[name].live and not table[name].cosmetic
            for name in changed(key.kind, seen.live[key], goal)
        ):
            return True
    services = {item for one in named.values() for item in items_of(one.settings, "services")}
    return not services <= seen.live_services


def _live_shown(
    seen: Snapshot,
    permanent: Goals,
    live: Goals,
    changes: t.Sequence[Step],
    *,
    everything: bool = False,
) -> tuple[State, State]:
    """What changes in the running firewall only; the rest is shown with the permanent step."""
    before: dict[str, Value] = {}
    after: dict[str, Value] = {}
    for key, goal in live.items():
        if goal is None or key not in seen.live:
            continue
        for name, value in changed(key.kind, seen.live[key], goal).items():
            old = seen.live[key].get(name, "")
            lasting = seen.entries[key].settings.get(name) if key in seen.entries else None
            if (lasting, (permanent.get(key) or {}).get(name)) == (old, value):
                continue
            label = f"{key} {name}" if everything else f"{name} (running firewall)"
            before[label], after[label] = old, value
    return before or None, after or None


# --- show -----------------------------------------------------------------------------------


def _shown(key: Key, settings: Settings) -> State:
    """A whole zone or policy: what is not as in every other."""
    return changed(key.kind, defaults_of(key.kind), settings) or {"target": settings["target"]}


def _shown_change(
    have: Settings, goal: Settings, settings: t.Mapping[str, Value]
) -> tuple[State, State]:
    names = [name for name in settings if name in have]
    return {name: have[name] for name in names}, {name: goal[name] for name in names}
