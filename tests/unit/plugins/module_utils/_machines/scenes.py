# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Any host, and anything that may be wanted of its machines."""

from __future__ import annotations

import dataclasses
import typing as t

from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._machines.record import Record, digest
from ansible_collections.nspawn.machined.plugins.module_utils._machines.seen import Seen, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._machines.wanted import Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file
from ansible_collections.nspawn.machined.plugins.module_utils._users.wanted import Bound
from ansible_collections.nspawn.machined.tests.unit.plugins.module_utils._machines.world import (
    NAMES,
    RESIDENTS,
    TEMPLATE_SETTINGS,
    TEMPLATES,
    TEXTS,
    UNITS,
    Ini,
    World,
)


@st.composite
def seen_machines(draw: st.DrawFn) -> Seen:
    image = draw(st.sampled_from([None, "directory", "subvolume", "raw"]))
    actives = (
        ["inactive", "failed", "active", "activating", "deactivating"]
        if image
        else ["inactive", "failed"]
    )
    active = draw(st.sampled_from(actives))
    running = active in ("active", "activating")
    text, unit = draw(st.sampled_from(TEXTS)), draw(st.sampled_from(UNITS))
    known = draw(st.sampled_from([None, digest(text, unit), "other"])) if running else None
    return Seen(
        image=image,
        leftover=draw(st.booleans()),
        identity=draw(st.sampled_from("abc")) if image else "",
        settings=text,
        settings_elsewhere=draw(st.booleans()),
        unit=unit,
        enabled=draw(st.booleans()),
        active=active,
        frozen=active == "active" and draw(st.booleans()),
        started_with=known,
        edited_since=running and draw(st.booleans()),
        record=draw(
            st.none()
            | st.builds(
                Record,
                made=st.booleans(),
                identity=st.sampled_from(["", "a", "b"]),
                owner=st.none(),
            )
        ),
    )


snapshots = st.builds(
    lambda machines, unread: Snapshot(
        machines,
        frozenset(TEMPLATES) | {name for name, seen in machines.items() if seen.image},
        {
            **TEMPLATE_SETTINGS,
            **{
                name: seen.settings
                for name, seen in machines.items()
                if seen.image and seen.settings is not None
            },
        },
        unread,
        residents=RESIDENTS,
        version=258,
    ),
    st.dictionaries(st.sampled_from(NAMES), seen_machines()),
    st.booleans(),
)

# What is written in YAML, and by hand what a file must then say.
SAID: t.Mapping[str, tuple[t.Mapping[str, t.Any], Ini]] = {
    "zone": (
        {"Network": {"Zone": "web"}},
        {
            ("Network", "Zone"): ["web"],
            ("Exec", "NotifyReady"): ["yes"],
            ("Exec", "PrivateUsers"): ["pick"],
            ("Files", "PrivateUsersOwnership"): ["auto"],
        },
    ),
    "host": (
        {"Network": {"Private": False}, "Exec": {"PrivateUsers": False, "NotifyReady": None}},
        {("Network", "Private"): ["no"], ("Exec", "PrivateUsers"): ["no"]},
    ),
    "binds": (
        {"Files": {"Bind": ["/a", "/b"], "PrivateUsersOwnership": "map"}},
        {
            ("Files", "Bind"): ["/a", "/b"],
            ("Files", "PrivateUsersOwnership"): ["map"],
            ("Exec", "NotifyReady"): ["yes"],
            ("Exec", "PrivateUsers"): ["pick"],
        },
    ),
}
SECURE: Ini = {
    ("Exec", "NotifyReady"): ["yes"],
    ("Exec", "PrivateUsers"): ["pick"],
    ("Files", "PrivateUsersOwnership"): ["auto"],
}
SETTINGS = {word: nspawn_file.normalise(raw) for word, (raw, _expected) in SAID.items()}


@st.composite
def wishes(draw: st.DrawFn, snapshot: Snapshot) -> list[Wanted]:
    """Any wish for this host; most of them can come true."""
    wanted = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1)):
        here = bool(snapshot.of(name).image)
        if draw(st.integers(0, 9)) < (3 if here else 1):
            wanted.append(dataclasses.replace(draw(asked), name=name))
        else:
            rarely = draw(st.integers(0, 9)) == 9
            images = [None, "nosuch", *NAMES] if rarely else [None] * here + sorted(snapshot.images)
            one = dataclasses.replace(
                draw(declared), name=name, image=draw(st.sampled_from(images))
            )
            wanted.append(one)
    return wanted


# As the module machines asks.
declared = st.builds(
    Wanted,
    name=st.just("?"),
    declared=st.just(True),
    state=st.sampled_from(["started", "stopped", "restarted", "paused", "absent"]),
    settings=st.sampled_from([None, *SETTINGS.values()]),
    bound=st.sampled_from([Bound("?"), Bound("?", ("alan",))]),
    unit=st.sampled_from([None, "", *UNITS[1:]]),
    enabled=st.sampled_from([None, True, False]),
    owner=st.sampled_from([None, "alan"]),
    variables=st.sampled_from([{}, {"role": "web"}]),
    restart=st.sampled_from(["never", "when_needed", "always"]),
)
# As the module machine asks: what is there, and nothing but its state.
asked = st.builds(
    Wanted,
    name=st.just("?"),
    state=st.sampled_from([None, "started", "stopped", "restarted", "paused", "killed"]),
    enabled=st.sampled_from([None, True, False]),
    signal=st.sampled_from([9, 1]),
)
Scene = tuple[Snapshot, list[Wanted]]
scenes = snapshots.flatmap(lambda snapshot: st.tuples(st.just(snapshot), wishes(snapshot)))


def impossible(world: World, wanted: t.Sequence[Wanted]) -> bool:
    """Whether something is wanted that cannot be."""
    leaving = {one.name for one in wanted if one.state == "absent"}
    for one in wanted:
        if one.state == "absent" or one.name in world.images:
            continue
        if one.image is None:
            if one.declared or one.state in ("started", "restarted", "paused") or one.enabled:
                return True
        elif one.image not in world.images or one.image in leaving:
            return True
    return False
