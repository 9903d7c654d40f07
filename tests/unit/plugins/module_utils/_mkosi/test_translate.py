# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import table, text
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi import translate as translate_

VERSIONS = (14, 19, 24, 25, 27)

RAW_GPT = """
[Distribution]
Distribution=opensuse
Release=15.1

[Output]
Format=raw_gpt
Bootable=yes
Output=opensuse-leap.raw

[Packages]
Packages=ca-certificates curl git iproute2 iputils sudo vim

[Validation]
Password=root
"""
SUBVOLUME = RAW_GPT.replace("raw_gpt\nBootable=yes", "subvolume").replace(
    "opensuse-leap.raw", "opensuse-leap-template"
)
SEVEN = ("ca-certificates", "curl", "git", "iproute2", "iputils", "sudo", "vim")


def translated(
    config: t.Union[str, t.Mapping[str, t.Any]], version: int, **options: t.Any
) -> translate_.Translated:
    parsed = text.parse(config) if isinstance(config, str) else config
    return translate_.translate(text.normalise(parsed), version, **options)


# --- the guide's own files ---


@pytest.mark.parametrize("version", [25, 27])
def test_a_raw_gpt_image_of_mkosi_5_becomes_a_bootable_disk(version: int) -> None:
    now = translated(RAW_GPT, version)
    assert now.settings["Output"] == {"Format": ("disk",), "Output": ("opensuse-leap",)}
    assert now.settings["Content"]["Bootable"] == ("yes",)
    assert now.settings["Content"]["Packages"][:7] == SEVEN
    assert "kernel-default" in now.settings["Content"]["Packages"]
    assert now.beside.root_password == "root"
    assert now.repart["10-root.conf"]["Partition"]["Format"] == ("ext4",)
    assert now.repart["00-esp.conf"]["Partition"]["Type"] == ("esp",)


@pytest.mark.parametrize("version", [25, 27])
def test_a_subvolume_of_mkosi_5_becomes_a_directory_on_a_subvolume(version: int) -> None:
    now = translated(SUBVOLUME, version)
    assert now.settings["Output"]["Format"] == ("directory",)
    assert now.settings["Build"] == {"UseSubvolumes": ("yes",)}
    assert now.repart == {}
    assert "systemd" in now.settings["Content"]["Packages"]


def test_mkosi_14_is_told_a_file_of_mkosi_5_in_its_own_words() -> None:
    now = translated(RAW_GPT, 14)
    assert now.settings["Output"]["Format"] == ("gpt_ext4",)
    assert now.settings["Output"]["Bootable"] == ("yes",)
    assert now.settings["Content"]["Packages"] == SEVEN
    assert now.beside.root_password == "root"
    assert now.repart == {}


@pytest.mark.parametrize("version", [25, 27])
def test_each_setting_with_another_name_is_warned_of_once(version: int) -> None:
    said = translated(RAW_GPT, version).warnings
    for old in ("Format=raw_gpt", "Bootable=", "Output=opensuse", "[Packages]", "Password="):
        assert len([one for one in said if old in one.split(" is ")[0]]) == 1


@pytest.mark.parametrize(
    ("setting", "version", "section", "name", "value"),
    [
        ({"Output": {"Compress": True}}, 25, "Output", "CompressOutput", "gz"),
        ({"Output": {"Compress": "xz"}}, 25, "Output", "CompressOutput", "xz"),
        ({"Output": {"XZ": True}}, 27, "Output", "CompressOutput", "xz"),
        ({"Packages": {"Cache": "c"}}, 25, "Build", "PackageCacheDirectory", "c"),
        ({"Build": {"PackageCacheDirectory": "c"}}, 14, "Content", "Cache", "c"),
        (
            {"Content": {"PostInstallationScripts": "p"}},
            14,
            "Content",
            "PostInstallationScript",
            "p",
        ),
        (
            {"Content": {"PostInstallationScript": "p"}},
            25,
            "Content",
            "PostInstallationScripts",
            "p",
        ),
        ({"Output": {"Format": "disk"}}, 14, "Output", "Format", "gpt_ext4"),
        ({"Output": {"CompressOutput": "gz"}}, 14, "Output", "CompressOutput", "xz"),
        ({"Output": {"Format": "raw_btrfs"}}, 14, "Output", "Format", "gpt_btrfs"),
        ({"Host": {"QemuMem": "2G"}}, 25, "Runtime", "RAM", "2G"),
        ({"Content": {"MachineId": "x"}}, 14, "Output", "MachineID", "x"),
    ],
)
def test_an_option_is_put_into_the_words_of_the_installed_version(
    setting: t.Mapping[str, t.Any], version: int, section: str, name: str, value: str
) -> None:
    now = translated(setting, version, compression="gz")
    assert now.settings[section][name] == (value,)
    assert now.warnings


@pytest.mark.parametrize(
    ("value", "version", "kept", "warnings"),
    [(True, 14, False, 1), (False, 14, True, 1), (True, 25, True, 0)],
)
def test_mkosi_14_builds_nothing_incrementally(
    value: bool, version: int, kept: bool, warnings: int
) -> None:
    now = translated({"Build": {"Incremental": value}}, version)
    assert bool(now.value("Incremental")) == kept
    assert len(now.warnings) == warnings


def test_use_subvolumes_makes_a_subvolume_of_mkosi_14() -> None:
    config = {"Build": {"UseSubvolumes": True}, "Output": {"Format": "directory"}}
    assert translated(config, 14).settings["Output"]["Format"] == ("subvolume",)
    config = {"Output": {"Format": "directory"}, "Build": {"UseSubvolumes": True}}
    assert translated(config, 14).settings["Output"]["Format"] == ("subvolume",)


# --- what has no place in mkosi's file ---


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("content", "hashed"),
    [
        ({"Password": "s#cret"}, False),
        ({"RootPassword": "s#cret"}, False),
        ({"RootPassword": "hashed:s#cret"}, True),
        ({"Password": "s#cret", "PasswordIsHashed": True}, True),
    ],
)
def test_a_root_password_never_stands_in_the_configuration(
    version: int, content: t.Mapping[str, t.Any], hashed: bool
) -> None:
    now = translated({"Content": content}, version)
    assert "s#cret" not in text.render(now.settings) + repr(now.warnings)
    assert (now.beside.root_password, now.beside.root_password_hashed) == ("s#cret", hashed)


@pytest.mark.parametrize("version", VERSIONS)
def test_qcow2_is_left_to_qemu_img_and_compresses_inside(version: int) -> None:
    config = {"Output": {"Format": "raw_gpt", "QCow2": True, "Compress": True}}
    now = translated(config, version)
    assert now.beside.qcow2
    assert now.beside.compress_qcow2
    assert not {"QCow2", "Compress", "CompressOutput"} & set(now.settings["Output"])


def test_a_read_only_disk_has_a_read_only_root_partition() -> None:
    now = translated({"Output": {"Format": "disk", "ReadOnly": True}}, 25)
    assert now.repart["10-root.conf"]["Partition"]["ReadOnly"] == ("yes",)
    assert now.beside.read_only


def test_own_repart_definitions_are_not_added_to() -> None:
    now = translated({"Output": {"Format": "raw_btrfs"}}, 25, own_repart=True)
    assert now.repart == {}


def test_a_new_configuration_gets_no_packages_that_it_does_not_name() -> None:
    config = {
        "Distribution": {"Distribution": "debian"},
        "Content": {"Packages": ["systemd"]},
        "Output": {"Format": "directory"},
    }
    now = translated(config, 25)
    assert now.settings["Content"]["Packages"] == ("systemd",)
    assert now.warnings == ()


def test_base_packages_can_be_declined_in_the_old_words() -> None:
    config = {
        "Distribution": {"Distribution": "debian"},
        "Packages": {"Packages": "curl"},
        "Content": {"BasePackages": False},
    }
    assert translated(config, 25).settings["Content"]["Packages"] == ("curl",)


# --- refused ---


@pytest.mark.parametrize(
    ("config", "version", "words"),
    [
        ({"Package": {"Packages": "x"}}, 25, "no section [Package]"),
        ({"Contents": {"Packages": "x"}}, 25, "nearest section is [Content]"),
        ({"Whatever": {"Packages": "x"}}, 25, "reads Packages= in [Content]"),
        ({"Content": {"Pakages": "x"}}, 25, "nearest is [Content] Packages="),
        ({"Content": {"packages": "x"}}, 14, "nearest is [Content] Packages="),
        ({"Content": {"Timezone": "UTC"}}, 14, "needs mkosi 15 or later"),
        ({"Output": {"Encrypt": "all"}}, 25, "gone since mkosi 15"),
        ({"Build": {"SandboxTrees": "x"}}, 14, "Mirror="),
        ({"Output": {"Format": "raw_gtp"}}, 25, "is no format of mkosi"),
        ({"Output": {"Format": "uki"}}, 14, "needs a newer mkosi than 14"),
        ({"Output": {"Format": "plain_squashfs"}}, 25, "repart definition"),
        ({"Content": {"Packages": ["a#b"]}}, 25, "begins a comment"),
        ({"Content": {"Bad Key": 1}}, 25, "cannot be the name of a section or key"),
    ],
)
def test_what_mkosi_would_not_understand_is_refused_with_what_to_do(
    config: t.Mapping[str, t.Any], version: int, words: str
) -> None:
    with pytest.raises(Failure) as caught:
        translated(config, version)
    assert words in caught.value.message


# --- properties ---

words = st.from_regex(r"[a-z0-9][a-z0-9.+-]{0,12}", fullmatch=True)
values = st.lists(words, min_size=1, max_size=4).map(tuple)
ordinary = sorted(
    table.known_settings(25)
    & table.known_settings(27)
    - {"Format", "Output", "RootPassword", "CompressOutput", "UseSubvolumes"}
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, dict[str, tuple[str, ...]]]:
    config: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in draw(st.lists(st.sampled_from(ordinary), unique=True, max_size=8)):
        config.setdefault(table.sections(name, 25)[0], {})[name] = draw(values)
    return config


@given(configurations())
def test_what_mkosi_understands_already_is_not_touched(
    config: dict[str, dict[str, tuple[str, ...]]],
) -> None:
    now = translate_.translate(config, 25)
    assert now.settings == config
    assert now.warnings == ()


anything = st.dictionaries(
    st.one_of(st.text(max_size=12), st.sampled_from(sorted(table.known_sections(25)))),
    st.dictionaries(
        st.one_of(st.text(max_size=12), st.sampled_from(sorted(table.SETTINGS))),
        st.one_of(st.text(max_size=20), st.booleans(), st.integers(), st.none(), st.lists(words)),
        max_size=4,
    ),
    max_size=4,
)


@given(anything, st.sampled_from(VERSIONS))
def test_any_configuration_is_refused_clearly_or_understood_as_it_stands(
    config: dict[str, dict[str, t.Any]], version: int
) -> None:
    try:
        now = translate_.translate(text.normalise(config), version)
    except Failure:
        return
    again = translate_.translate(now.settings, version)
    assert again.settings == now.settings
    for section, keys in now.settings.items():
        if section not in table.CONDITIONAL_SECTIONS:
            for name in keys:
                assert section in table.sections(name, version)
