# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import (
    Failure,
    Plan,
    describe,
    diff,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images import model as images_model
from ansible_collections.nspawn.machined.plugins.module_utils._images.model import Provenance
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.files import File
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.host import Version
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.plan import (
    held_back,
    plan,
    plan_absent,
    plan_unseen,
)
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.record import Record
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.seen import Remains, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.translate import Beside
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.wanted import (
    CLEAN_LEVELS,
    Request,
)
from ansible_collections.nspawn.machined.plugins.module_utils._systemd.machined import Image

HERE = "/srv/a"
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
CONFIGURATION = File("[Distribution]\nDistribution=custom\n", 0o600)
PASSWORD = File("s3cret\n", 0o600)


def request(**fields: t.Any) -> Request:
    return Request(HERE, **fields)


def images(digest: t.Optional[str] = None, *, read_only: bool = False) -> images_model.Snapshot:
    """A host with the image C(web) built from this; with nothing given, without it."""
    if digest is None:
        return images_model.Snapshot(257, {})
    return images_model.Snapshot(
        257,
        {"web": Image("web", "subvolume", read_only, 1, 1, None, "/var/lib/machines/web")},
        identities={"web": "subvolume:1"},
        records={"web": Provenance("mkosi", HERE, 0.0, digest=digest, identity="subvolume:1")},
    )


def directory(**fields: t.Any) -> Snapshot:
    """A directory in which everything is as wanted, and built."""
    usual: dict[str, t.Any] = {
        "mkosi": Version(25, "25.3"),
        "record": Record(HERE, "salt", ("mkosi.conf",), NEW, (f"{HERE}/out.tar",), "25.3"),
        "files": {"mkosi.conf": CONFIGURATION},
        "present": {"mkosi.conf": (CONFIGURATION.text, 0o600, 0)},
        "owner": 0,
        "warnings": (),
        "beside": Beside(),
        "output": "out",
        "format": "directory",
        "compression": "none",
        "digest": NEW,
        "destination": None,
        "outputs_there": True,
        "stage": "/srv/stage",
        "stage_left": False,
    }
    return Snapshot(**{**usual, **fields})


KEPT: dict[str, t.Any] = {"destination": HERE, "format": "tar"}


def said(steps: Plan) -> list[str]:
    return describe(steps)


def test_an_image_that_machined_cannot_have_is_refused() -> None:
    with pytest.raises(Failure, match="no images of Format=cpio"):
        plan(request(import_as="web"), directory(format="cpio", images=images()))


# --- what is done ---


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (request(import_as="web"), directory(images=images(NEW))),
        (request(import_as="web", read_only=True), directory(images=images(NEW, read_only=True))),
        (request(import_as="web", update=False), directory(images=images(NEW))),
        (request(), directory(**KEPT)),
        (request(state="clean"), directory(**KEPT)),
    ],
)
def test_nothing_is_done_where_everything_is_as_wanted(asked: Request, seen: Snapshot) -> None:
    assert said(plan(asked, seen)) == []


def test_from_nothing_it_writes_then_builds_then_imports() -> None:
    seen = directory(record=Record(HERE, "salt"), present={}, images=images())
    steps = plan(request(import_as="web"), seen)
    assert said(steps) == [f"write {HERE}/mkosi.conf", f"build {HERE}", "import image web"]
    assert [len(step.needs) for step in steps] == [0, 1, 1]


def test_what_was_built_from_something_else_is_built_anew_and_replaced() -> None:
    steps = plan(request(import_as="web"), directory(images=images(OLD)))
    assert said(steps) == [f"build {HERE}", "replace image web"]
    shown = diff(steps)[-1]
    assert OLD in shown["before"]
    assert NEW in shown["after"]


def test_without_update_it_is_left_alone_and_told() -> None:
    asked, seen = request(import_as="web", update=False), directory(images=images(OLD))
    assert said(plan(asked, seen)) == []
    assert held_back(asked, seen)


@pytest.mark.parametrize("asked", [request(import_as="web"), request(import_as="web", force=True)])
def test_what_is_updated_is_not_told_to_be_left_alone(asked: Request) -> None:
    assert not held_back(asked, directory(images=images(OLD)))


def test_by_force_the_same_is_built_again() -> None:
    steps = plan(request(import_as="web", force=True), directory(images=images(NEW)))
    assert said(steps) == [f"build {HERE}", "replace image web"]
    assert said(plan(request(force=True), directory(**KEPT))) == [f"build {HERE}"]


def test_by_force_it_is_replaced_also_without_update() -> None:
    steps = plan(request(import_as="web", force=True, update=False), directory(images=images(OLD)))
    assert said(steps) == [f"build {HERE}", "replace image web"]


def test_a_property_of_the_image_is_set_without_a_build() -> None:
    steps = plan(request(import_as="web", read_only=True), directory(images=images(NEW)))
    assert said(steps) == ["make read-only image web"]


def test_read_only_in_the_old_words_is_the_images_own_property() -> None:
    seen = directory(images=images(NEW), beside=Beside(read_only=True))
    assert said(plan(request(import_as="web"), seen)) == ["make read-only image web"]
    assert said(plan(request(import_as="web", read_only=False), seen)) == []


def test_an_output_that_is_gone_is_built_again() -> None:
    assert said(plan(request(), directory(outputs_there=False, **KEPT))) == [f"build {HERE}"]


def test_a_remark_in_the_configuration_is_written_without_a_build() -> None:
    seen = directory(present={"mkosi.conf": ("# by hand\n", 0o644, 0)}, images=images(NEW))
    assert said(plan(request(import_as="web"), seen)) == [f"write {HERE}/mkosi.conf"]


@pytest.mark.parametrize("found", [(PASSWORD.text, 0o644, 0), (PASSWORD.text, 0o600, 1000)])
def test_a_password_that_others_may_read_is_written_again(found: tuple[str, int, int]) -> None:
    seen = directory(files={"mkosi.rootpw": PASSWORD}, present={"mkosi.rootpw": found}, **KEPT)
    assert said(plan(request(), seen)) == [f"write {HERE}/mkosi.rootpw"]


@pytest.mark.parametrize("owner", [0, 1000])
def test_who_builds_owns_what_is_written(owner: int) -> None:
    file = File("text\n")
    found = {"mkosi.extra/x": (file.text, 0o644, 1000)}
    seen = directory(files={"mkosi.extra/x": file}, present=found, owner=owner, **KEPT)
    steps = plan(request(user="builder"), seen)
    assert said(steps) == ([] if owner == 1000 else [f"write {HERE}/mkosi.extra/x"])
    for step in steps:
        assert (step.arguments["directory"], step.arguments["path"]) == (HERE, "mkosi.extra/x")


@pytest.mark.parametrize("path", ["mkosi.extra/x", "mkosi.postinst", "mkosi.sandbox/x"])
def test_what_a_file_says_is_not_shown_but_that_it_is_another(path: str) -> None:
    file = File("s3cret\n", 0o600)
    for found in ({}, {path: ("0ther-s3cret\n", 0o600, 0)}):
        shown = str(diff(plan(request(), directory(files={path: file}, present=found, **KEPT))))
        assert "s3cret" not in shown
        assert ("another one" in shown) == bool(found)


def test_a_definition_is_shown_without_what_may_be_secret() -> None:
    file = File("# X-Own=s3cret\n[Partition]\nType=root\nX-Own=s3cret\n")
    present = {"mkosi.repart/x.conf": ("[Partition]\nType=usr\nX-Own=0ther-s3cret\n", 0o644, 0)}
    for found in ({}, present):
        seen = directory(files={"mkosi.repart/x.conf": file}, present=found, **KEPT)
        shown = str(diff(plan(request(), seen)))
        assert "s3cret" not in shown
        assert "Type=root" in shown


def test_a_tree_that_a_user_built_is_not_taken_over() -> None:
    with pytest.raises(Failure, match="expected a file, which root can take over"):
        plan(request(import_as="web", user="builder"), directory(images=images()))


def test_a_password_is_never_shown() -> None:
    other = ("0ther-s3cret\n", 0o600, 0)
    for present in ({}, {"mkosi.rootpw": other}):
        seen = directory(files={"mkosi.rootpw": PASSWORD}, present=present, **KEPT)
        assert "s3cret" not in str(diff(plan(request(), seen)))
    gone = directory(present={"mkosi.conf": (CONFIGURATION.text, 0o600, 0), "mkosi.rootpw": other})
    assert "s3cret" not in str(diff(plan(request(), gone)))


def test_what_the_module_no_longer_writes_is_removed() -> None:
    present = {
        "mkosi.conf": (CONFIGURATION.text, 0o600, 0),
        "mkosi.postinst": ("#!/bin/sh\n", 0o755, 0),
    }
    assert said(plan(request(), directory(present=present, **KEPT))) == [
        f"remove {HERE}/mkosi.postinst"
    ]


def test_what_a_killed_run_left_goes_even_if_nothing_is_built() -> None:
    seen = directory(stage_left=True, images=images(NEW))
    assert said(plan(request(import_as="web"), seen)) == ["clear leftovers of build /srv/stage"]


@pytest.mark.parametrize(
    ("number", "kind", "compression", "ending"),
    [
        (14, "tar", "none", ".tar"),
        (14, "tar", "xz", ".tar.xz"),
        (14, "gpt_ext4", "none", ".raw"),
        (14, "gpt_btrfs", "xz", ".raw.xz"),
        (14, "plain_squashfs", "none", ".raw"),
        (14, "subvolume", "none", ""),
        (25, "tar", "xz", ""),
        (25, "disk", "none", ""),
    ],
)
def test_mkosi_14_is_told_the_ending_that_newer_ones_add(
    number: int, kind: str, compression: str, ending: str
) -> None:
    seen = directory(
        mkosi=Version(number, str(number)),
        format=kind,
        compression=compression,
        destination=HERE,
        outputs_there=False,
    )
    (step,) = plan(request(), seen)
    assert step.arguments["build"].ending == ending


# --- clean and absent ---


@pytest.mark.parametrize("level", CLEAN_LEVELS)
@pytest.mark.parametrize("there", [(), ("outputs",), ("incremental",), ("all",), CLEAN_LEVELS])
def test_clean_takes_its_level_and_those_below_it(level: str, there: tuple[str, ...]) -> None:
    steps = plan(request(state="clean", clean=level), directory(to_clean=there))
    reached = CLEAN_LEVELS[: CLEAN_LEVELS.index(level) + 1]
    expected = [one for one in reached if one in there]
    assert said(steps) == ([f"clean {HERE}"] if expected else [])
    for step in steps:
        assert step.before == dict.fromkeys(expected, "there")


def test_only_an_image_that_came_from_here_is_taken_away() -> None:
    remains = Remains(Record(HERE, "salt"), False, (), (), (), images(NEW))
    asked = request(state="absent", import_as="web")
    assert said(plan_absent(asked, remains)) == ["remove image web"]
    elsewhere = dataclasses.replace(asked, directory="/srv/b")
    assert said(plan_absent(elsewhere, remains)) == []


def test_what_the_module_knows_is_forgotten_last() -> None:
    remains = Remains(
        Record(HERE, "salt"), True, ("mkosi.conf",), (f"{HERE}/out.tar",), ("/srv/stage",)
    )
    steps = plan_absent(request(state="absent"), remains)
    assert said(steps) == [
        "clear leftovers of build /srv/stage",
        f"remove output {HERE}/out.tar",
        f"remove {HERE}/mkosi.conf",
        f"forget {HERE}",
    ]
    assert len(steps[-1].needs) == 3


# --- properties ---


@st.composite
def situations(draw: st.DrawFn) -> tuple[Request, Snapshot]:
    imported = draw(st.booleans())
    kept = draw(st.booleans()) or not imported
    asked = request(
        import_as="web" if imported else None,
        update=draw(st.booleans()),
        read_only=draw(st.none() | st.booleans()) if imported else None,
    )
    found = draw(st.none() | st.just((CONFIGURATION.text, 0o600, 0)) | st.just(("#", 0o600, 7)))
    seen = directory(
        record=Record(HERE, "salt", ("mkosi.conf",), draw(st.sampled_from([None, OLD, NEW]))),
        present={"mkosi.conf": found} if found else {},
        destination=HERE if kept else None,
        outputs_there=draw(st.booleans()),
        stage_left=draw(st.booleans()),
        beside=Beside(read_only=draw(st.booleans())),
        images=images(draw(st.sampled_from([None, OLD, NEW])), read_only=draw(st.booleans()))
        if imported
        else None,
    )
    return asked, seen


def carried_out(asked: Request, seen: Snapshot, steps: Plan) -> Snapshot:
    """The directory after the steps, as far as a plan can see it."""
    there = seen.images
    fields: dict[str, t.Any] = {}
    for step in steps:
        if step.verb == "write":
            fields["present"] = {"mkosi.conf": (CONFIGURATION.text, 0o600, 0)}
        elif step.verb == "build":
            fields.update(
                record=dataclasses.replace(seen.record, digest=NEW),
                outputs_there=True,
                stage_left=False,
            )
        elif step.verb == "clear leftovers of build":
            fields["stage_left"] = False
        elif step.verb in ("import image", "replace image"):
            assert isinstance(step.after, t.Mapping)
            there = images(NEW, read_only=bool(step.after.get("read_only")))
        elif step.verb in ("make read-only image", "make writable image") and there:
            record = there.records["web"]
            there = images(record.digest, read_only=step.verb == "make read-only image")
    return dataclasses.replace(seen, images=there, **fields)


@given(situations())
def test_after_a_run_there_is_nothing_to_do(situation: tuple[Request, Snapshot]) -> None:
    asked, seen = situation
    steps = plan(asked, seen)
    assert said(plan(asked, carried_out(asked, seen, steps))) == []


@given(situations())
def test_nothing_is_imported_that_was_not_just_built_or_kept(
    situation: tuple[Request, Snapshot],
) -> None:
    asked, seen = situation
    steps = plan(asked, seen)
    verbs = [step.verb for step in steps]
    if {"import image", "replace image"} & set(verbs):
        fresh = seen.destination and seen.record.digest == seen.digest and seen.outputs_there
        assert "build" in verbs or fresh


def test_a_mkosi_that_is_not_there_yet_builds_and_cleans_nothing() -> None:
    assert describe(plan_unseen(request(import_as="web"))) == [
        f"build {HERE}",
        "import image web",
    ]
    assert describe(plan_unseen(request())) == [f"build {HERE}"]
    assert plan_unseen(request(state="clean")) == ()
