# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file, table
from ansible_collections.nspawn.machined.plugins.module_utils._settings.nspawn_file import Settings

PLACES = [(section, key) for section, keys in table.TABLE.items() for key in keys]


def settings(section: str, key: str, *values: str) -> Settings:
    return Settings({section: {key: values}})


# --- check ----------------------------------------------------------------------------------

GOOD = [
    ("Exec", "Boot", "yes"),
    ("Exec", "Boot", "T"),
    ("Exec", "Parameters", "a 'b c'"),
    ("Exec", "Environment", 'A=1 "B=2 3"'),
    ("Exec", "User", "alan"),
    ("Exec", "WorkingDirectory", "/srv"),
    ("Exec", "PivotRoot", "/a:/b"),
    ("Exec", "Capability", "CAP_NET_ADMIN cap_sys_admin"),
    ("Exec", "DropCapability", "all"),
    ("Exec", "KillSignal", "SIGRTMIN+3"),
    ("Exec", "Personality", "x86-64"),
    ("Exec", "MachineID", "0123456789abcdef0123456789ABCDEF"),
    ("Exec", "PrivateUsers", "pick"),
    ("Exec", "PrivateUsers", "65536:65536"),
    ("Exec", "PrivateUsers", "no"),
    ("Exec", "SystemCallFilter", "~@mount keyctl"),
    ("Exec", "LimitNOFILE", "1024:infinity"),
    ("Exec", "OOMScoreAdjust", "-1000"),
    ("Exec", "CPUAffinity", "0-3,5 7"),
    ("Exec", "Hostname", "web.example"),
    ("Exec", "ResolvConf", "bind-stub"),
    ("Exec", "Timezone", "symlink"),
    ("Exec", "LinkJournal", "try-guest"),
    ("Files", "Volatile", "overlay"),
    ("Files", "Bind", "/srv"),
    ("Files", "Bind", "+/srv:/srv:idmap,norbind"),
    ("Files", "Bind", ":/scratch"),
    ("Files", "Bind", r"/a\:b:/c"),
    ("Files", "BindUser", "alan grace"),
    ("Files", "BindUserShell", "/bin/zsh"),
    ("Files", "TemporaryFileSystem", "/var/tmp:size=10%"),
    ("Files", "Overlay", "/a:+/b"),
    ("Files", "Overlay", "/a:/b::/c"),
    ("Network", "Interface", "eth0:lan eth1"),
    ("Network", "MACVLAN", "eth0"),
    ("Network", "VirtualEthernetExtra", "a:b"),
    ("Network", "Bridge", "br0"),
    ("Network", "Zone", "twelve-chars"),
    ("Network", "Port", "80"),
    ("Network", "Port", "udp:53:5353"),
    ("X-Mine", "Anything", "goes"),
    ("Exec", "X-Mine", "as well"),
]
BAD = [
    ("Exec", "Boot", "maybe"),
    ("Exec", "Environment", "A=1 B"),
    ("Exec", "Environment", "'A=1"),
    ("Exec", "User", "a b"),
    ("Exec", "WorkingDirectory", "srv"),
    ("Exec", "PivotRoot", "/a/../b"),
    ("Exec", "Capability", "NET_ADMIN"),
    ("Exec", "MachineID", "0" * 32),
    ("Exec", "MachineID", "short"),
    ("Exec", "PrivateUsers", "chosen"),
    ("Exec", "OOMScoreAdjust", "1001"),
    ("Exec", "Hostname", "-web"),
    ("Exec", "ResolvConf", "copy"),
    ("Exec", "LinkJournal", "perhaps"),
    ("Files", "Bind", "srv"),
    ("Files", "Bind", "/srv:srv"),
    ("Files", "Bind", ":"),
    ("Files", "TemporaryFileSystem", "tmp"),
    ("Files", "Overlay", "/a"),
    ("Files", "Overlay", "/a:/b:c"),
    ("Files", "Inaccessible", "etc"),
    ("Files", "BindUserShell", "zsh"),
    ("Files", "PrivateUsersOwnership", "mine"),
    ("Network", "Interface", "eth0:a:b"),
    ("Network", "Interface", "0"),
    ("Network", "Bridge", "a/b"),
    ("Network", "Bridge", "sixteen-letters-"),
    ("Network", "Zone", "thirteen-char"),
    ("Network", "Port", "0"),
    ("Network", "Port", "65536"),
    ("Network", "Port", "sctp:80"),
]


@pytest.mark.parametrize(("section", "key", "value"), GOOD)
def test_a_value_that_systemd_understands_is_accepted(section: str, key: str, value: str) -> None:
    nspawn_file.check(settings(section, key, value))


@pytest.mark.parametrize(("section", "key", "value"), BAD)
def test_a_value_that_systemd_would_ignore_is_refused_with_what_is_expected(
    section: str, key: str, value: str
) -> None:
    with pytest.raises(Failure) as caught:
        nspawn_file.check(settings(section, key, value))
    shown = f"{key}={value}" if key != "Environment" else f"{key}=A=********"
    assert f"[{section}] {shown}: " in caught.value.message


@pytest.mark.parametrize(
    ("section", "key", "hint"),
    [
        ("Network", "Zoen", "the nearest is Zone="),
        ("Network", "zone", "the nearest is Zone="),
        ("Network", "Bridges", "the nearest is Bridge="),
        ("Exec", "BindReadOny", "the nearest is [Files] BindReadOnly="),
        ("Exec", "Bind", "it belongs into [Files]"),
        ("Files", "Quux", "it has Bind, BindReadOnly,"),
        ("Netwrok", "Zone", "expected [Network]"),
        ("files", "Bind", "expected [Files]"),
        ("Quux", "Quux", "expected [Exec], [Files], [Network]"),
    ],
)
def test_a_typing_error_is_answered_with_the_nearest_name(
    section: str, key: str, hint: str
) -> None:
    with pytest.raises(Failure) as caught:
        nspawn_file.check(settings(section, key, "1"))
    assert hint in caught.value.message


@pytest.mark.parametrize(
    ("section", "key", "value", "since"),
    [
        ("Files", "BindUserShell", "yes", 258),
        ("Network", "NamespacePath", "/run/netns/a", 259),
        ("Exec", "PrivateUsersDelegate", "1", 260),
        ("Exec", "RestrictAddressFamilies", "AF_INET", 261),
        ("Exec", "PrivateUsers", "managed", 261),
        ("Network", "MACVLAN", "eth0:lan", 254),
        ("Files", "PrivateUsersOwnership", "foreign", 258),
    ],
)
def test_what_is_too_new_for_the_host_is_refused_with_the_version_that_it_needs(
    section: str, key: str, value: str, since: int
) -> None:
    wish = settings(section, key, value)
    nspawn_file.check(wish, since)
    needs = f"needs systemd {since} or later, this host has {since - 1}"
    with pytest.raises(Failure, match=needs):
        nspawn_file.check(wish, since - 1)


def test_all_that_is_wrong_is_named_at_once() -> None:
    wish = Settings({"Exec": {"Boto": ["1"], "User": ["a b"]}, "Network": {"Zone": ["a", "b"]}})
    with pytest.raises(Failure) as caught:
        nspawn_file.check(wish)
    assert len(caught.value.details["problems"]) == 3


def test_the_oldest_supported_systemd_knows_all_keys_but_the_four_later_ones() -> None:
    newer = {key for section, key in PLACES if table.TABLE[section][key].since > 252}
    assert newer == {
        "BindUserShell",
        "NamespacePath",
        "PrivateUsersDelegate",
        "RestrictAddressFamilies",
    }
    assert len(PLACES) == 65


@pytest.mark.parametrize(("section", "key"), PLACES)
def test_every_key_can_be_reset_and_removed(section: str, key: str) -> None:
    nspawn_file.check(settings(section, key, ""))
    assert nspawn_file.merge(f"[{section}]\n{key}=a\n", settings(section, key)) == ""


# --- merge ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("[Exec]\nBoot=1\n", settings("Exec", "Boot", "yes")),
        ("[Exec]\nPrivateUsers=true\n", settings("Exec", "PrivateUsers", "yes")),
        ("[Network]\nZone=a\nZone=b\n", settings("Network", "Zone", "b")),
        ("[Files]\nBindUser=a b\n", settings("Files", "BindUser", "a", "b")),
        ("[Exec]\nCapability=CAP_KILL\nCapability=CAP_CHOWN\n",
         settings("Exec", "Capability", "CAP_KILL CAP_CHOWN")),
    ],
)  # fmt: skip
def test_a_text_that_means_the_same_is_left_alone(text: str, wish: Settings) -> None:
    assert nspawn_file.merge(text, wish) == text


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("[Exec]\nBoot=yes\nBoot=no\n", settings("Exec", "Boot", "no")),
        ("[Files]\nBind=/a\nBind=/b\n", settings("Files", "Bind", "/b", "/a")),
        ("[Exec]\nEnvironment=\"A=1 2\"\n", settings("Exec", "Environment", '"A=1', '2"')),
        ("[Exec]\nUser=Alan\n", settings("Exec", "User", "alan")),
    ],
)  # fmt: skip
def test_a_text_that_means_something_else_is_changed(text: str, wish: Settings) -> None:
    merged = nspawn_file.merge(text, wish)
    assert merged != text
    assert [values for _place, values in nspawn_file.parse(merged).places()] == [
        values for _place, values in wish.places()
    ]


# --- defaults -------------------------------------------------------------------------------


def test_machines_get_readiness_and_private_users_with_their_ownership() -> None:
    assert nspawn_file.with_defaults(Settings({})) == {
        "Exec": {"NotifyReady": ("yes",), "PrivateUsers": ("pick",)},
        "Files": {"PrivateUsersOwnership": ("auto",)},
    }


@pytest.mark.parametrize("value", ["no", "yes", "65536:65536", "identity"])
def test_the_ownership_is_left_out_where_the_user_chose_other_private_users(value: str) -> None:
    found = nspawn_file.with_defaults(settings("Exec", "PrivateUsers", value))
    assert found.last("Exec", "PrivateUsers") == value
    assert not found.values_of("Files", "PrivateUsersOwnership")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("Exec", "NotifyReady", "no"),
        ("Files", "PrivateUsersOwnership", "chown"),
        ("Files", "PrivateUsersChown", "yes"),
    ],
)
def test_every_default_gives_way(section: str, key: str, value: str) -> None:
    found = nspawn_file.with_defaults(settings(section, key, value))
    assert found.last(section, key) == value
    assert not nspawn_file.advice(found, 252)


# --- advice ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "version", "says"),
    [
        (settings("Files", "PrivateUsersOwnership", "auto"), 257, "turns private users off"),
        (settings("Exec", "PrivateUsers", "pick"), 257, "changes the owners"),
        (
            Settings({"Exec": {"PrivateUsers": ["off"]}, "Files": {"BindUser": ["alan"]}}),
            257,
            "needs private users",
        ),
    ],
)
def test_what_is_allowed_but_hardly_meant_is_said(wish: Settings, version: int, says: str) -> None:
    nspawn_file.check(wish, version)
    assert any(says in hint for hint in nspawn_file.advice(wish, version))


def test_the_defaults_need_no_advice() -> None:
    assert nspawn_file.advice(nspawn_file.DEFAULTS, 252) == []


@pytest.mark.parametrize(
    ("section", "key", "value", "version", "ignored"),
    [
        ("Files", "Bind", "/a", 257, True),
        ("Network", "Private", "no", 257, True),
        ("Exec", "LimitNOFILE", "5", 257, True),
        ("Exec", "Boot", "yes", 257, False),
        ("Exec", "NotifyReady", "yes", 257, False),
        ("Exec", "SystemCallFilter", "mount", 257, True),
        ("Exec", "SystemCallFilter", "~mount", 257, False),
        ("Files", "BindUser", "alan", 257, True),
        ("Files", "BindUser", "alan", 252, False),
        ("Exec", "RestrictAddressFamilies", "AF_INET", 257, True),
        ("Quux", "Quux", "1", 257, True),
    ],
)
def test_what_a_file_next_to_the_image_may_do_is_known(
    section: str, key: str, value: str, version: int, ignored: bool
) -> None:
    found = nspawn_file.ignored_next_to_image(settings(section, key, value), version)
    assert found == ([f"{section}.{key}"] if ignored else [])


# --- anything -------------------------------------------------------------------------------

WORDS = st.text(max_size=12) | st.sampled_from(
    [*table.TABLE, *(key for _section, key in PLACES), "X-Mine", "/srv", "yes", "tcp:80", "a\\"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
RAW = st.dictionaries(
    WORDS | st.integers(),
    SCALARS | st.dictionaries(WORDS, SCALARS | st.lists(SCALARS) | st.dictionaries(WORDS, SCALARS)),
    max_size=4,
)


@hypothesis_settings(max_examples=1000, deadline=None)
@example({"Exec": {"Environment": {"A": "b\nc"}}})
@given(RAW)
def test_anything_is_refused_clearly_or_written_faithfully(raw: dict[str, object]) -> None:
    try:
        wish = nspawn_file.normalise(raw)
        nspawn_file.check(wish)
        text = nspawn_file.merge("# kept\n", wish)
    except Failure:
        return
    written = {
        section: {key: values for key, values in keys.items() if values}
        for section, keys in wish.items()
    }
    assert nspawn_file.parse(text) == Settings(written)
    assert text.startswith("# kept\n")
    assert nspawn_file.merge(text, wish) == text
