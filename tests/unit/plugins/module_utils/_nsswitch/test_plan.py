# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure, describe
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.authselect import Profile
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.plan import (
    plan,
    text_of,
    warnings,
)
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.seen import PATH, Snapshot
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.text import Service
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.wanted import Wanted

SYSTEMD = (Service("systemd"),)
PEOPLE = {"passwd": SYSTEMD, "group": SYSTEMD}
HOST = Wanted("/", PEOPLE)
IMAGE = Wanted("/srv/image", PEOPLE)
GONE = Wanted("/", PEOPLE, absent=True)

PLAIN = "passwd: files\ngroup: files\n"
DONE = "passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\n"
TEMPLATE = (
    'passwd: files {if "with-people":systemd}\n'
    'group: files {if "with-people":[SUCCESS=merge] systemd}\n'
    'hosts: files {if "with-names":myhostname }dns\n'
)
MADE = "passwd: files \ngroup: files \nhosts: files dns\n"
FEDORA = Snapshot(MADE, profile=Profile("local", frozenset(), TEMPLATE))


def test_the_file_is_written_once() -> None:
    (step,) = plan(Snapshot(PLAIN), HOST)
    assert (step.identity, step.before, step.after) == (f"write {PATH}", PLAIN, DONE)
    assert step.arguments == {"root": "/", "text": DONE}
    assert plan(Snapshot(DONE), HOST) == ()


def test_the_vendors_file_that_says_it_is_not_copied() -> None:
    assert plan(Snapshot(vendor=DONE), HOST) == ()


def test_the_vendors_file_that_does_not_is_copied_down_with_the_words() -> None:
    (step,) = plan(Snapshot(vendor=f"# theirs\n{PLAIN}"), HOST)
    assert (step.identity, step.before, step.after) == (f"write {PATH}", None, f"# theirs\n{DONE}")


def test_a_system_without_any_file_gets_one() -> None:
    (step,) = plan(Snapshot(), IMAGE)
    assert (step.before, step.after) == (None, DONE)


def test_what_goes_is_taken_out_and_a_copy_of_the_vendors_with_it() -> None:
    (step,) = plan(Snapshot(DONE), GONE)
    assert (step.verb, step.after) == ("write", PLAIN)
    (step,) = plan(Snapshot(DONE, vendor=PLAIN), GONE)
    assert (step.identity, step.after) == (f"remove {PATH}", None)
    assert plan(Snapshot(PLAIN), GONE) == ()
    assert plan(Snapshot(), GONE) == ()


# --- authselect -------------------------------------------------------------------------------


def test_one_feature_of_authselect_serves_all_the_databases_that_it_brings() -> None:
    assert describe(plan(FEDORA, HOST)) == ["enable-feature authselect with-people"]


def test_several_features_are_turned_on_where_several_are_needed() -> None:
    wanted = Wanted("/", {"passwd": SYSTEMD, "hosts": (Service("myhostname"),)})
    assert describe(plan(FEDORA, wanted)) == [
        "enable-feature authselect with-people",
        "enable-feature authselect with-names",
    ]


def test_a_feature_goes_when_what_it_brings_shall_go() -> None:
    seen = Snapshot(
        f"{DONE}hosts: files dns\n", profile=Profile("local", frozenset({"with-people"}), TEMPLATE)
    )
    assert plan(seen, HOST) == ()
    assert describe(plan(seen, GONE)) == ["disable-feature authselect with-people"]


@pytest.mark.parametrize(
    ("seen", "wanted", "says"),
    [
        (FEDORA, Wanted("/", {"passwd": (Service("sss"),)}), "no feature .* makes passwd with sss"),
        (
            Snapshot(DONE, profile=Profile("local", frozenset(), DONE)),
            GONE,
            "no feature .* makes passwd without systemd",
        ),
        (
            Snapshot(MADE, profile=Profile("custom/lost")),
            HOST,
            "no feature of its profile custom/lost",
        ),
        (FEDORA, IMAGE, "/srv/image: its nsswitch.conf is made by authselect"),
        (
            Snapshot(MADE, profile=Profile("local", frozenset({"with-people"}), TEMPLATE)),
            HOST,
            "not what authselect makes",
        ),
    ],
)
def test_what_authselect_cannot_do_is_refused(seen: Snapshot, wanted: Wanted, says: str) -> None:
    with pytest.raises(Failure, match=says):
        plan(seen, wanted)


# --- warnings ---------------------------------------------------------------------------------


def test_a_service_without_its_library_is_told_of_once() -> None:
    (said,) = warnings(Snapshot(PLAIN), HOST)
    assert said.startswith("passwd, group: systemd cannot be asked yet")
    assert list(warnings(Snapshot(PLAIN, libraries=frozenset({"systemd"})), HOST)) == []
    assert list(warnings(Snapshot(DONE), GONE)) == []


def test_a_service_that_is_never_asked_is_told_of() -> None:
    seen = Snapshot("passwd: sss [NOTFOUND=return] files\n", libraries=frozenset({"systemd"}))
    (said,) = warnings(seen, dataclasses.replace(HOST, databases={"passwd": SYSTEMD}))
    assert "never asked" in said and "sss [NOTFOUND=return]" in said


def test_check_mode_tells_the_text_that_would_count() -> None:
    assert text_of(Snapshot(vendor=PLAIN), HOST) == DONE
