# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.summary import (
    Summary,
    essence,
    from_json,
    from_text,
    lost,
    paths,
    untold,
)

# As mkosi 14 prints it, shortened.
OLD = """\
COMMANDS:
                      verb: summary
                   cmdline: x

DISTRIBUTION:
              Distribution: debian
                   Release: bookworm

OUTPUT:
             Output Format: gpt_ext4
                    Output: /run/view/x.raw
                 Read-only: yes
Outer (output) Compression: xz
                  Bootable: yes

CONTENT:
                  Packages: ca-certificates
                            curl
             Package Cache: none
               Extra Trees: /srv/tree
                            mkosi.extra
            Skeleton Trees: none
"""


def new(**settings: t.Any) -> Summary:
    image = {
        "Distribution": "debian",
        "Format": "directory",
        "Packages": ["systemd", "dbus"],
        "Bootable": "disabled",
        "WithDocs": False,
        "Hostname": None,
        "Seed": "b2086175-f3fd-418f-bd82-2eab7ec8c10f",
        "RAM": 2147483648,
        "ExtraTrees": [{"Source": "/run/view/mkosi.extra", "Target": "/"}],
        "PostInstallationScripts": ["/run/view/mkosi.postinst"],
        "Architecture": "x86-64",
        **settings,
    }
    return from_json(json.dumps({"Images": [image]}))


def test_the_text_of_mkosi_14_is_read_with_its_lists() -> None:
    summary = from_text(OLD)
    assert summary.main["Packages"] == ["ca-certificates", "curl"]
    assert summary.format == "gpt_ext4"
    assert summary.text("Outer (output) Compression") == "xz"
    assert "Skeleton Trees" in summary.main


@pytest.mark.parametrize(
    "settings",
    [
        {"Distribution": {"Distribution": ("debian",)}},
        {"Content": {"Packages": ("systemd",)}},
        {"Content": {"Packages": ("systemd,dbus",)}},
        {"Content": {"Bootable": ("no",), "WithDocs": ("false",)}},
        {"Distribution": {"Architecture": ("x86_64",)}},
        {"Content": {"Hostname": ("",)}},
        {"Runtime": {"RAM": ("2G",)}},
        {"Content": {"ExtraTrees": ("mkosi.extra:/",)}},
        {"Content": {"RootPassword": ("x",)}},
        {"Match": {"Distribution": ("arch",)}},
    ],
)
def test_what_arrived_is_not_missed(settings: t.Any) -> None:
    assert lost(settings, new()) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"Distribution": {"Distribution": ("fedora",)}}, '"debian"'),
        ({"Content": {"Packages": ("systemd", "curl")}}, '["systemd", "dbus"]'),
        ({"Content": {"WithDocs": ("yes",)}}, "false"),
        ({"Content": {"Hostname": ("web",)}}, "null"),
        ({"Content": {"Timezone": ("UTC",)}}, "not in it at all"),
    ],
)
def test_what_did_not_arrive_is_named_with_what_is_there_instead(
    settings: t.Any, words: str
) -> None:
    (missing,) = lost(settings, new())
    assert words in missing


def test_a_setting_of_any_image_of_several_has_arrived() -> None:
    summary = Summary(({"Packages": ["a"]}, {"Packages": ["b"]}))
    assert lost({"Content": {"Packages": ("a",)}}, summary) == []
    assert lost({"Content": {"Packages": ("a", "b")}}, summary) != []


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"Content": {"Packages": ("ca-certificates", "curl")}}, 0),
        ({"Content": {"Packages": ("git",)}}, 1),
        ({"Distribution": {"Release": ("trixie",)}}, 1),
        ({"Output": {"Bootable": ("yes",), "ReadOnly": ("true",)}}, 0),
        ({"Output": {"ReadOnly": ("no",)}}, 1),
        ({"Output": {"Format": ("gpt_ext4",)}}, 0),
        ({"Output": {"Format": ("subvolume",)}}, 1),
        ({"Content": {"Autologin": ("yes",)}}, 0),
    ],
)
def test_mkosi_14_is_checked_as_far_as_it_tells(settings: t.Any, count: int) -> None:
    assert len(lost(settings, from_text(OLD))) == count


def test_where_and_when_it_is_built_does_not_count() -> None:
    some = new(Seed="1", RAM=1, OutputDirectory="/run/view/a")
    other = new(Seed="2", RAM=2, OutputDirectory="/tmp/b")
    assert essence(some, "/run/view", "/srv/d") == essence(other, "/run/view", "/srv/d")
    assert "/run/view" not in json.dumps(essence(some, "/run/view", "/srv/d"))


def test_where_mkosi_unpacks_what_it_brings_along_does_not_count() -> None:
    def told(place: str) -> Summary:
        tree = {"Source": f"{place}/resources/mkosi-initrd/mkosi.extra", "Target": None}
        return from_json(json.dumps({"Images": [{"ExtraTrees": [tree]}]}))

    some, other = told("/tmp/tmpkoxn98fg"), told("/tmp/tmpiod22p23")
    assert essence(some, "/v", "/d") == essence(other, "/v", "/d")
    assert paths(some) == []
    assert paths(told("/srv/a")) == ["/srv/a/resources/mkosi-initrd/mkosi.extra"]


def test_what_is_built_counts() -> None:
    assert essence(new(), "/v", "/d") != essence(new(Packages=["systemd"]), "/v", "/d")
    assert essence(from_text(OLD), "/v", "/d") != essence(
        from_text(OLD.replace("curl", "wget")), "/v", "/d"
    )


def test_what_the_summary_keeps_to_itself_counts_as_well() -> None:
    config = {"Content": {"WithDocs": ("yes",)}, "Output": {"OutputDirectory": ("a",)}}
    assert untold(config, new(), False, False) == []
    assert untold(config, new(), True, False) != untold(config, new(), True, True) != []
    old = from_text(OLD)
    moved = {**config, "Output": {"OutputDirectory": ("b",)}}
    assert untold(config, old, False, False) == untold(moved, old, False, False) != []
    other = {"Content": {"WithDocs": ("no",)}}
    assert untold(config, old, False, False) != untold(other, old, False, False)


def test_files_and_trees_that_are_read_are_found() -> None:
    assert paths(new()) == ["/run/view/mkosi.extra", "/run/view/mkosi.postinst"]
    assert paths(from_text(OLD)) == ["/srv/tree"]
