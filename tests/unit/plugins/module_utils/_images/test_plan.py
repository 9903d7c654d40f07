# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    Plan,
    Step,
    describe,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.drift import drift
from ansible_collections.nspawn.machined.plugins.module_utils._images.model import (
    Pieces,
    Provenance,
    Snapshot,
    Source,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.plan import (
    plan,
    to_upload,
    warnings,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images.wanted import NO_LIMIT, Wanted
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.image_classes import CLASSES
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.machined import Image

URL = "https://images.example.org/trixie.tar.xz"
NAMES = ("trixie", "web", "db", "mail")
planner = settings(max_examples=100, deadline=None)


def image(name: str, *, read_only: bool = False, kind: str = "subvolume") -> Image:
    return Image(name, kind, read_only, 1, 1, None, f"/var/lib/machines/{name}")


def source(**fields: t.Any) -> Source:
    return dataclasses.replace(Source("url", URL, "tar", "xz", 100, '"1"', "monday"), **fields)


def record(**fields: t.Any) -> Provenance:
    known = Provenance("url", URL, 0.0, "sha256:" + "1" * 64, size=100, etag='"1"')
    return dataclasses.replace(known, identity="subvolume:1", **fields)


def host(*images: Image, **fields: t.Any) -> Snapshot:
    there = {one.name: one for one in images}
    identities = {name: f"subvolume:{number}" for number, name in enumerate(there, 1)}
    return Snapshot(257, there, **{"identities": identities, **fields})


def said(steps: Plan) -> list[str]:
    return describe(steps)


# --- what is refused ------------------------------------------------------------------------


def test_an_image_that_is_named_twice_is_refused() -> None:
    with pytest.raises(Failure, match="web stands more than once"):
        plan(host(), [Wanted("web", clone_from="a"), Wanted("web", state="absent")])


def test_images_that_are_cloned_from_each_other_are_refused() -> None:
    with pytest.raises(Failure, match="cloned from each other"):
        plan(host(), [Wanted("web", clone_from="db"), Wanted("db", clone_from="web")])


def test_an_image_that_is_not_there_needs_a_source() -> None:
    with pytest.raises(Failure, match="no source is given"):
        plan(host(), [Wanted("web", read_only=True)])


def test_a_clone_of_nothing_names_what_there_is() -> None:
    with pytest.raises(Failure, match=r"no image trixy to clone\. Images on this host: trixie"):
        plan(host(image("trixie")), [Wanted("web", clone_from="trixy")])


def test_an_image_that_others_make_before_can_be_cloned() -> None:
    steps = plan(host(), [Wanted("web", clone_from="built")], expected=["built"])
    assert said(steps) == ["clone image web"]


def test_an_image_that_others_leave_alone_has_not_changed() -> None:
    origin = Provenance("clone", "built", 0.0, parent="subvolume:1")
    seen = host(image("built"), image("web"), records={"web": origin})
    wish = [Wanted("web", clone_from="built", update=True)]
    assert plan(seen, wish, expected=["built"]) == ()


def test_a_problem_of_the_source_is_the_error_of_an_image_that_is_to_be_made() -> None:
    with pytest.raises(Failure, match="image web: 404"):
        plan(host(problems={"web": "404"}), [Wanted("web", url=URL)])


@pytest.mark.parametrize(
    "entry",
    [
        Wanted("web", state="absent"),
        Wanted("web", read_only=True),
        Wanted("db", rename_from="web"),
        Wanted("web", url=URL, update=True),
    ],
)
def test_an_image_that_a_machine_runs_from_is_left_alone(entry: Wanted) -> None:
    seen = host(
        image("web"),
        used_by={"web": "web"},
        records={"web": record()},
        sources={"web": source(etag='"2"')},
    )
    with pytest.raises(Failure, match="while machine web runs from it"):
        plan(seen, [entry])


def test_what_this_host_cannot_unpack_is_refused() -> None:
    seen = host(sources={"web": source(compression="zst")}, zstd=False)
    with pytest.raises(Failure, match="the program zstd is not installed"):
        plan(seen, [Wanted("web", url=URL)])


def test_a_limit_needs_a_subvolume() -> None:
    with pytest.raises(Failure, match="its type is directory"):
        plan(host(image("web", kind="directory")), [Wanted("web", limit=1)])
    with pytest.raises(Failure, match="its type would be directory"):
        plan(host(image("a"), btrfs=False), [Wanted("web", clone_from="a", limit=1)])
    with pytest.raises(Failure, match="its type would be raw"):
        plan(host(sources={"web": source(format="raw")}), [Wanted("web", url=URL, limit=1)])


def test_what_has_no_limit_need_not_be_a_subvolume() -> None:
    seen = host(image("web", kind="directory"), btrfs=False)
    assert plan(seen, [Wanted("web", limit=NO_LIMIT)]) == ()


# --- what is planned ------------------------------------------------------------------------


def test_what_is_there_is_left_alone() -> None:
    seen = host(image("web"), records={"web": record()}, sources={"web": source()})
    assert plan(seen, [Wanted("web", url=URL)]) == ()


def test_a_clone_waits_for_its_parent_whatever_the_order() -> None:
    entries = [Wanted("web", clone_from="trixie"), Wanted("trixie", url=URL, read_only=True)]
    steps = plan(host(sources={"trixie": source()}), entries)
    assert said(steps)[0] == "pull image trixie"
    assert "pull image trixie" in next(s for s in steps if s.subject == "web").needs


def test_a_parent_is_removed_after_it_was_cloned() -> None:
    entries = [Wanted("trixie", state="absent"), Wanted("web", clone_from="trixie")]
    steps = plan(host(image("trixie")), entries)
    assert said(steps) == ["clone image web", "remove image trixie"]
    assert steps[1].needs == {"clone image web"}


def test_an_image_is_not_renamed_away_and_wanted_in_one_call() -> None:
    with pytest.raises(Failure, match="Do one of them in a call of its own"):
        plan(host(image("a")), [Wanted("b", rename_from="a"), Wanted("a", read_only=True)])


def test_a_new_image_becomes_read_only_after_it_was_made_and_limited() -> None:
    seen = host(sources={"web": source()})
    steps = plan(seen, [Wanted("web", url=URL, read_only=True, limit=5)])
    assert said(steps) == ["pull image web", "limit image web", "make read-only image web"]
    assert steps[2].needs == {"pull image web", "limit image web"}


def test_a_clone_is_read_only_from_the_beginning() -> None:
    (step,) = plan(host(image("a")), [Wanted("web", clone_from="a", read_only=True)])
    assert step.arguments["read_only"] is True


def test_leftovers_are_cleared_before_anything_else() -> None:
    seen = host(sources={"web": source()}, leftovers=frozenset({"web", "other"}))
    assert said(plan(seen, [Wanted("web", url=URL)])) == [
        "clear leftovers of image web",
        "pull image web",
    ]


def test_an_update_replaces_and_keeps_what_is_read_only_read_only() -> None:
    seen = host(
        image("web", read_only=True),
        records={"web": record()},
        sources={"web": source(etag='"2"')},
    )
    steps = plan(seen, [Wanted("web", url=URL, update=True)])
    assert said(steps) == ["replace image web"]
    assert steps[0].arguments["owed"] == {"read_only": True}


def test_an_update_keeps_the_limit_of_the_image_unless_another_one_is_wanted() -> None:
    seen = host(
        image("web"),
        records={"web": record()},
        sources={"web": source(etag='"2"')},
        limits={"web": 5},
    )

    def owed(**fields: t.Any) -> t.Mapping[str, t.Any]:
        (step,) = plan(seen, [Wanted("web", url=URL, update=True, **fields)])
        return t.cast("t.Mapping[str, t.Any]", step.arguments["owed"])

    assert owed() == {"limit": 5}
    assert owed(limit=7, read_only=True) == {"limit": 7, "read_only": True}
    assert owed(limit=NO_LIMIT) == {}


def test_a_limited_image_is_not_replaced_by_what_cannot_be_limited() -> None:
    seen = host(
        image("web"),
        records={"web": record()},
        sources={"web": source(etag='"2"', format="raw")},
        limits={"web": 5},
    )
    with pytest.raises(Failure, match="its type would be raw"):
        plan(seen, [Wanted("web", url=URL, update=True)])
    assert said(plan(seen, [Wanted("web", url=URL, update=True, limit=NO_LIMIT)])) == [
        "replace image web"
    ]


def test_a_machine_that_is_stopped_by_force_is_owed_a_start() -> None:
    seen = host(
        image("web"),
        records={"web": record()},
        sources={"web": source(etag='"2"')},
        used_by={"web": "web"},
    )
    (step,) = plan(seen, [Wanted("web", url=URL, update=True, force=True)])
    assert step.arguments["owed"] == {"start": "web"}


def test_clones_are_replaced_with_their_parent_when_they_shall_be_updated() -> None:
    seen = host(
        image("trixie"),
        image("web"),
        records={
            "trixie": record(),
            "web": Provenance("clone", "trixie", 0.0, parent="subvolume:1", identity="s"),
        },
        sources={"trixie": source(etag='"2"')},
    )
    parent = Wanted("trixie", url=URL, update=True)
    assert said(plan(seen, [Wanted("web", clone_from="trixie", update=True), parent])) == [
        "replace image trixie",
        "replace image web",
    ]
    assert said(plan(seen, [Wanted("web", clone_from="trixie"), parent])) == [
        "replace image trixie"
    ]


def test_an_image_of_unknown_origin_is_replaced_by_force_alone() -> None:
    seen = host(image("web"), sources={"web": source()})
    with pytest.raises(Failure, match="force: true replaces it all the same"):
        plan(seen, [Wanted("web", url=URL, update=True)])
    assert said(plan(seen, [Wanted("web", url=URL, update=True, force=True)])) == [
        "replace image web"
    ]


@pytest.mark.parametrize(
    ("fields", "word"), [({}, "Remove it"), ({"records": {"web": record()}}, "runs from it")]
)
def test_a_build_is_not_told_to_use_a_force_that_it_does_not_have(
    fields: dict[str, t.Any], word: str
) -> None:
    seen = host(image("web"), sources={"web": source(digest="2")}, used_by={"web": "web"}, **fields)
    with pytest.raises(Failure, match=word) as refused:
        plan(seen, [Wanted("web", path="/srv/a", update=True, digest="2")])
    assert "force" not in refused.value.message


def test_a_cut_off_rename_is_finished_and_a_finished_one_left_alone() -> None:
    entry = Wanted("new", rename_from="old")
    pieces = Pieces(enabled=True, record=True)
    (step,) = plan(host(image("new"), pieces={"old": pieces}), [entry])
    assert step.identity == "finish renaming image new"
    assert plan(host(image("new"), pieces={"old": Pieces()}), [entry]) == ()
    # Another image has got the old name meanwhile; what bears it is the other one's.
    assert plan(host(image("new"), image("old"), pieces={"old": pieces}), [entry]) == ()


def test_only_files_that_are_needed_are_uploaded() -> None:
    upload = source(kind="upload", location="/a.tar")
    seen = host(image("web"), sources={"web": upload, "db": upload}, records={"web": record()})
    entries = [Wanted(name, path="/a.tar", upload={}) for name in ("web", "db")]
    assert to_upload(plan(seen, entries)) == ["db"]


# --- classes --------------------------------------------------------------------------------


def other(name: str, kind: str, *, root: str | None = None, read_only: bool = False) -> Image:
    path = f"{root or CLASSES[kind].root}/{name}"
    return Image(name, "directory", read_only, 1, 1, None, path, kind)


def mixed(*images: Image, **fields: t.Any) -> Snapshot:
    there = {CLASSES[one.image_class].key(one.name): one for one in images}
    identities = {key: f"inode:{number}:1" for number, key in enumerate(there, 1)}
    return Snapshot(257, there, **{"identities": identities, **fields})


def every_class(**fields: t.Any) -> list[Wanted]:
    return [Wanted("web", image_class=kind, **fields) for kind in CLASSES]


def test_the_same_name_in_each_class_is_four_images() -> None:
    seen = mixed(sources={entry.key: source() for entry in every_class()})
    steps = plan(seen, every_class(url=URL, read_only=True))
    assert said(steps)[:4] == [
        "pull image web",
        "pull image portable/web",
        "pull image sysext/web",
        "pull image confext/web",
    ]
    assert len({step.identity for step in steps}) == 8
    read_only = {step.subject: step.needs for step in steps if step.verb == "make read-only image"}
    assert read_only["sysext/web"] == {"pull image sysext/web"}


def test_what_is_known_of_one_class_is_not_told_of_another() -> None:
    seen = mixed(
        other("web", "sysext"),
        records={"sysext/web": record()},
        sources={"sysext/web": source(etag='"2"'), "web": source(), "confext/web": source()},
        used_by={"web": "web"},
        leftovers=frozenset({"confext/web"}),
        problems={"portable/web": "404"},
    )
    entries = [entry for entry in every_class(url=URL, update=True) if entry.key != "portable/web"]
    assert said(plan(seen, entries)) == [
        "pull image web",
        "replace image sysext/web",
        "clear leftovers of image confext/web",
        "pull image confext/web",
    ]


def test_an_image_of_one_class_is_removed_alone() -> None:
    seen = mixed(image("web"), other("web", "sysext"), other("web", "portable"))
    (step,) = plan(seen, [Wanted("web", image_class="sysext", state="absent")])
    assert step.identity == "remove image sysext/web"


def test_an_image_is_named_once_in_its_class() -> None:
    twice = [Wanted("web", image_class="sysext"), Wanted("web", image_class="sysext")]
    with pytest.raises(Failure, match="sysext/web stands more than once"):
        plan(mixed(), twice)


def test_a_clone_is_of_the_class_of_its_parent() -> None:
    entries = [
        Wanted("copy", image_class="portable", clone_from="web"),
        Wanted("web", image_class="portable", url=URL),
    ]
    steps = plan(mixed(sources={"portable/web": source()}), entries)
    assert said(steps) == ["pull image portable/web", "clone image portable/copy"]
    assert steps[1].needs == {"pull image portable/web"}
    assert steps[1].arguments["parent"] == "portable/web"
    with pytest.raises(Failure, match="Images of class portable on this host: none"):
        plan(mixed(image("web"), other("web", "sysext")), entries[:1])


@pytest.mark.parametrize(("version", "allowed"), [(252, False), (253, False), (254, True)])
def test_a_class_that_the_host_does_not_know_yet_is_refused(version: int, allowed: bool) -> None:
    seen = dataclasses.replace(mixed(sources={"confext/web": source()}), version=version)
    entry = Wanted("web", image_class="confext", url=URL)
    if allowed:
        assert said(plan(seen, [entry])) == ["pull image confext/web"]
    else:
        with pytest.raises(
            Failure, match=f"need systemd 254 or later, and this host has {version}"
        ):
            plan(seen, [entry])
    gone = dataclasses.replace(seen, images={"confext/web": other("web", "confext")})
    assert said(plan(gone, [Wanted("web", image_class="confext", state="absent")])) == [
        "remove image confext/web"
    ]


def test_the_other_classes_are_known_to_every_supported_systemd() -> None:
    seen = dataclasses.replace(mixed(), version=252)
    for kind in ("portable", "sysext"):
        entry = Wanted("web", image_class=kind, url=URL)
        there = dataclasses.replace(seen, sources={entry.key: source()})
        assert said(plan(there, [entry])) == [f"pull image {kind}/web"]


@pytest.mark.parametrize(
    ("kind", "user", "word"),
    [
        ("portable", "attached", "while its services are attached. Detach it first"),
        ("sysext", "/usr", r"while it is merged into /usr\. Unmerge it first \(systemd-sysext"),
        ("confext", "/etc", r"while it is merged into /etc\. Unmerge it first \(systemd-confext"),
    ],
)
@pytest.mark.parametrize(
    "fields", [{"state": "absent"}, {"read_only": True}, {"url": URL, "update": True}]
)
def test_what_is_attached_or_merged_is_left_alone(
    kind: str, user: str, word: str, fields: dict[str, t.Any]
) -> None:
    key = f"{kind}/web"
    seen = mixed(
        other("web", kind),
        used_by={key: user},
        records={key: record()},
        sources={key: source(etag='"2"')},
    )
    with pytest.raises(Failure, match=word):
        plan(seen, [Wanted("web", image_class=kind, **fields)])


def test_force_merges_extensions_anew_but_does_not_detach() -> None:
    def planned_for(kind: str) -> Plan:
        key = f"{kind}/web"
        seen = mixed(
            other("web", kind),
            used_by={key: "/usr"},
            records={key: record()},
            sources={key: source(etag='"2"')},
        )
        return plan(seen, [Wanted("web", image_class=kind, url=URL, update=True, force=True)])

    (step,) = planned_for("sysext")
    assert step.arguments["owed"] == {"start": "/usr"}
    with pytest.raises(Failure, match="Detach it first"):
        planned_for("portable")


@pytest.mark.parametrize(
    "fields", [{"state": "absent"}, {"read_only": True}, {"url": URL, "update": True}]
)
def test_an_image_of_the_vendor_is_not_touched(fields: dict[str, t.Any]) -> None:
    seen = mixed(
        other("web", "confext", root="/usr/lib/confexts"),
        records={"confext/web": record()},
        sources={"confext/web": source(etag='"2"')},
    )
    with pytest.raises(Failure, match="/usr/lib/confexts/web, which is not of this collection"):
        plan(seen, [Wanted("web", image_class="confext", **fields)])


# --- what is told ---------------------------------------------------------------------------


def test_drift_is_a_warning_when_the_image_is_left_as_it_is() -> None:
    seen = host(image("a"), records={"a": record()}, sources={"a": source(etag='"2"')})
    (warning,) = warnings(seen, [Wanted("a", url=URL)], ())
    assert "update: true replaces it" in warning


def test_a_clone_of_what_was_replaced_is_told_without_a_warning() -> None:
    seen = host(
        image("trixie"),
        image("web"),
        records={"web": Provenance("clone", "trixie", 0.0, parent="subvolume:0", identity="s")},
    )
    entry = Wanted("web", clone_from="trixie")
    assert drift(entry, seen) == "trixie has been replaced since it was cloned"
    assert warnings(seen, [entry], ()) == []


def test_what_is_not_verified_is_a_warning() -> None:
    seen = host(sources={"a": source(), "b": source(verified="checksum")})
    entries = [Wanted("a", url=URL), Wanted("b", url=URL)]
    (warning,) = warnings(seen, entries, plan(seen, entries))
    assert warning.startswith("image a:") and "is not verified" in warning


def test_sums_over_plain_http_are_called_what_they_are() -> None:
    url = "http://mirror.example.org/trixie.tar.xz"
    found = source(location=url, checksum="sha256:" + "1" * 64, integrity=True)
    entries = [Wanted("a", url=url, verify="checksum")]
    seen = host(sources={"a": found})
    (step,) = plan(seen, entries)
    (warning,) = warnings(seen, entries, (step,))
    assert "damage and not tampering" in warning and url in warning
    assert isinstance(step.after, dict)
    assert (step.after["verified"], step.after["integrity"]) == ("none", True)


# --- any host, any wish ---------------------------------------------------------------------


class Model:
    """What the verbs do, without a host."""

    def __init__(self, seen: Snapshot) -> None:
        self.images = dict(seen.images)
        self.records = dict(seen.records)
        self.identities = dict(seen.identities)
        self.limits = dict(seen.limits)
        self.seen = seen
        self.count = 100

    def snapshot(self) -> Snapshot:
        return dataclasses.replace(
            self.seen,
            images=self.images,
            records=self.records,
            identities=self.identities,
            limits=self.limits,
        )

    def carry_out(self, steps: Plan) -> None:
        done: set[str] = set()
        for step in steps:
            assert step.needs <= done, f"{step.identity} came before what it needs"
            done.add(step.identity)
            getattr(self, step.verb.split(" ")[0])(step)

    def _put(self, name: str, origin: Provenance, *, read_only: bool = False) -> None:
        self.count += 1
        identity = f"subvolume:{self.count}"
        self.images[name] = image(name, read_only=read_only)
        self.identities[name] = identity
        self.records[name] = dataclasses.replace(origin, identity=identity)
        self.limits.pop(name, None)

    def pull(self, step: Step) -> None:
        assert step.subject not in self.images
        self._from_source(step)

    def replace(self, step: Step) -> None:
        assert step.subject in self.images
        if "parent" in step.arguments:
            self.clone(step, fresh=False)
        else:
            self._from_source(step)
        owed = step.arguments["owed"]
        self.limits[step.subject] = owed.get("limit")
        there = self.images[step.subject]
        self.images[step.subject] = dataclasses.replace(there, read_only="read_only" in owed)

    def _from_source(self, step: Step) -> None:
        found = step.arguments["source"]
        self._put(
            step.subject,
            Provenance(found.kind, found.location, 0.0, found.checksum, etag=found.etag),
        )

    def clone(self, step: Step, *, fresh: bool = True) -> None:
        parent = step.arguments["parent"]
        assert parent in self.images and (step.subject not in self.images) == fresh
        origin = Provenance("clone", parent, 0.0, parent=self.identities[parent])
        self._put(step.subject, origin, read_only=step.arguments.get("read_only", False))

    def remove(self, step: Step) -> None:
        for known in (self.images, self.records, self.identities):
            known.pop(step.subject, None)

    def limit(self, step: Step) -> None:
        self.limits[step.subject] = step.arguments["limit"]

    def make(self, step: Step) -> None:
        read_only = step.verb == "make read-only image"
        self.images[step.subject] = image(step.subject, read_only=read_only)


@st.composite
def hosts(draw: st.DrawFn) -> Snapshot:
    there = draw(st.sets(st.sampled_from(NAMES)))
    seen = host(*(image(name, read_only=draw(st.booleans())) for name in sorted(there)))
    known = {
        name: record(etag=draw(st.sampled_from(['"1"', '"2"'])))
        for name in sorted(there)
        if draw(st.booleans())
    }
    sources = {name: source(etag=draw(st.sampled_from(['"1"', '"2"']))) for name in NAMES}
    return dataclasses.replace(seen, records=known, sources=sources)


@st.composite
def wishes(draw: st.DrawFn) -> list[Wanted]:
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        if draw(st.integers(0, 3)) == 0:
            found.append(Wanted(name, state="absent"))
            continue
        origin = draw(st.sampled_from(("url", "clone_from", "nothing")))
        fields: dict[str, t.Any] = {}
        if origin == "url":
            fields["url"] = URL
        elif origin == "clone_from":
            others = [other for other in NAMES if other != name]
            fields["clone_from"] = draw(st.sampled_from(others))
        found.append(
            Wanted(
                name,
                read_only=draw(st.none() | st.booleans()),
                limit=draw(st.none() | st.just(5)),
                update=draw(st.booleans()),
                force=draw(st.booleans()),
                **fields,
            )
        )
    return found


def planned(seen: Snapshot, wish: list[Wanted]) -> Plan:
    try:
        return plan(seen, wish)
    except Failure:
        assume(False)
        raise


@planner
@given(hosts(), wishes())
def test_the_plan_leads_to_what_is_wanted(seen: Snapshot, wish: list[Wanted]) -> None:
    model = Model(seen)
    model.carry_out(planned(seen, wish))
    for entry in wish:
        found = model.images.get(entry.name)
        assert (found is not None) == (entry.state == "present")
        if found and entry.read_only is not None:
            assert found.read_only == entry.read_only
        if found and entry.limit is not None:
            assert model.limits.get(entry.name) == entry.limit
        if found and entry.update:
            assert drift(entry, model.snapshot()) is None


@planner
@given(hosts(), wishes())
def test_a_second_plan_is_empty(seen: Snapshot, wish: list[Wanted]) -> None:
    gone = {entry.name for entry in wish if entry.state == "absent"}
    assume(not gone & {entry.clone_from for entry in wish})
    model = Model(seen)
    model.carry_out(planned(seen, wish))
    assert describe(plan(model.snapshot(), wish)) == []


@planner
@given(hosts(), wishes())
def test_no_step_touches_what_was_not_named(seen: Snapshot, wish: list[Wanted]) -> None:
    named = {entry.name for entry in wish}
    assert {step.subject for step in planned(seen, wish)} <= named


def as_portables(seen: Snapshot) -> Snapshot:
    """The same host with portable services in the place of machines."""

    def moved(known: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {f"portable/{name}": value for name, value in known.items()}

    def one(name: str, there: Image) -> Image:
        path = f"/var/lib/portables/{name}"
        return dataclasses.replace(there, image_class="portable", path=path)

    return dataclasses.replace(
        seen,
        images=moved({name: one(name, there) for name, there in seen.images.items()}),
        identities=moved(seen.identities),
        records=moved(seen.records),
        sources=moved(seen.sources),
    )


@planner
@given(hosts(), wishes(), hosts(), wishes())
def test_classes_do_not_disturb_each_other(
    seen: Snapshot, wish: list[Wanted], other_seen: Snapshot, other_wish: list[Wanted]
) -> None:
    portables = as_portables(other_seen)
    portable_wish = [
        dataclasses.replace(entry, image_class="portable", limit=None) for entry in other_wish
    ]
    apart = [*planned(seen, wish), *planned(portables, portable_wish)]
    both = dataclasses.replace(
        seen,
        images={**seen.images, **portables.images},
        identities={**seen.identities, **portables.identities},
        records={**seen.records, **portables.records},
        sources={**seen.sources, **portables.sources},
    )
    together = planned(both, [*portable_wish, *wish])
    assert sorted(together, key=by_identity) == sorted(apart, key=by_identity)


def by_identity(step: Step) -> str:
    return step.identity
