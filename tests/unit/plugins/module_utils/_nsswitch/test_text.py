# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._nsswitch.text import (
    Service,
    lacks,
    services,
    unreachable,
    with_services,
    without_services,
)

SYSTEMD = (Service("systemd"),)
MERGED = (Service("systemd", "[SUCCESS=merge]"),)

DEBIAN = """\
# /etc/nsswitch.conf
#
# passwd: these words are only a comment

passwd:         files
group:          files
shadow:         files
gshadow:        files

hosts:          files dns
networks:       files
netgroup:       nis
"""
OPENSUSE = "passwd:\tcompat\ngroup:  compat   # people\nshadow: compat\nhosts: files dns\n"
FEDORA = "passwd: files sss\ngroup: files [NOTFOUND=return] sss\nshadow: files\n"
ARCH = (
    "passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\nshadow: files systemd\n"
    "gshadow: files systemd\nhosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n"
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("passwd: files", "passwd: files systemd"),
        ("passwd:\tcompat", "passwd:\tcompat systemd"),
        ("passwd:files", "passwd:files systemd"),
        ("  passwd  :  files  ", "  passwd  :  files systemd  "),
        ("passwd: files # people", "passwd: files systemd # people"),
        ("passwd: files#people", "passwd: files systemd#people"),
        ("passwd: files sss", "passwd: files systemd sss"),
        ("passwd: sss files", "passwd: sss files systemd"),
        ("passwd: files compat", "passwd: files compat systemd"),
        ("passwd: files [NOTFOUND=return] sss", "passwd: files systemd [NOTFOUND=return] sss"),
        ("passwd: sss", "passwd: sss systemd"),
        ("passwd: sss [NOTFOUND=return]", "passwd: sss systemd [NOTFOUND=return]"),
        ("passwd:", "passwd: systemd"),
        ("passwd: # nobody", "passwd: systemd # nobody"),
        ("group: files", "group: files [SUCCESS=merge] systemd"),
        ("group: compat", "group: compat [SUCCESS=merge] systemd"),
        ("group:", "group: systemd"),
        (
            "group: files [SUCCESS=merge] sss",
            "group: files [SUCCESS=merge] systemd [SUCCESS=merge] sss",
        ),
        (
            "group: files [NOTFOUND=return] sss",
            "group: files [SUCCESS=merge] systemd [NOTFOUND=return] sss",
        ),
        ("shadow: files", "shadow: files systemd"),
    ],
)
def test_a_service_comes_where_systemd_recommends_it(line: str, expected: str) -> None:
    database = line.partition(":")[0].strip()
    assert with_services(f"{line}\n", database, SYSTEMD) == f"{expected}\n"
    assert with_services(f"{line}\r\n", database, SYSTEMD) == f"{expected}\r\n"


@pytest.mark.parametrize(
    ("service", "line", "expected"),
    [
        ("mymachines", "files dns", "mymachines files dns"),
        (
            "mymachines",
            "resolve [!UNAVAIL=return] files dns",
            "mymachines resolve [!UNAVAIL=return] files dns",
        ),
        ("resolve", "files dns", "resolve [!UNAVAIL=return] files dns"),
        ("resolve", "mymachines files dns", "mymachines resolve [!UNAVAIL=return] files dns"),
        (
            "resolve",
            "mymachines [UNAVAIL=continue] files",
            "mymachines [UNAVAIL=continue] resolve [!UNAVAIL=return] files",
        ),
        ("myhostname", "files dns", "files myhostname dns"),
        (
            "myhostname",
            "files mdns4_minimal [NOTFOUND=return] dns",
            "files myhostname mdns4_minimal [NOTFOUND=return] dns",
        ),
        ("myhostname", "dns", "myhostname dns"),
        ("myhostname", "mdns", "mdns myhostname"),
        ("ldap", "files dns", "files dns ldap"),
    ],
)
def test_services_for_names_of_hosts_come_in_the_documented_order(
    service: str, line: str, expected: str
) -> None:
    assert with_services(f"hosts: {line}\n", "hosts", [Service(service)]) == f"hosts: {expected}\n"


def test_all_of_them_make_the_line_of_the_manual_pages() -> None:
    wanted = [Service("mymachines"), Service("resolve"), Service("myhostname")]
    expected = "mymachines resolve [!UNAVAIL=return] files myhostname dns"
    for order in (wanted, wanted[::-1]):
        made = with_services("hosts: files dns\n", "hosts", order)
        assert made == f"hosts: {expected}\n"
    assert with_services(None, "hosts", wanted) == f"hosts: {expected}\n"


@pytest.mark.parametrize("text", [DEBIAN, OPENSUSE, FEDORA])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_everything_else_stays_byte_for_byte(text: str, end: str) -> None:
    before = text.replace("\n", end)
    after = before
    for database in ("passwd", "group", "shadow"):
        after = with_services(after, database, SYSTEMD)
        assert not lacks(after, database, SYSTEMD)
    assert after.replace(" [SUCCESS=merge] systemd", "").replace(" systemd", "") == before


def test_what_is_asked_already_is_left_where_it_is() -> None:
    for database in ("passwd", "group", "shadow", "gshadow"):
        assert not lacks(ARCH, database, MERGED if database == "group" else SYSTEMD)
        assert with_services(ARCH, database, SYSTEMD) == ARCH
    assert with_services("group: files systemd\n", "group", SYSTEMD) == "group: files systemd\n"


def test_an_action_that_is_asked_for_is_added_beside_a_service_that_is_there() -> None:
    assert lacks("group: files systemd\n", "group", MERGED)
    made = with_services("group: files systemd\n", "group", MERGED)
    assert made == "group: files [SUCCESS=merge] systemd\n"
    assert not lacks("group: files [ success=MERGE ] systemd\n", "group", MERGED)


@pytest.mark.parametrize("line", ["files [NOTFOUND=return] systemd", "systemd files"])
def test_an_action_that_cannot_be_added_is_refused(line: str) -> None:
    with pytest.raises(Failure, match=r"group: .* before systemd"):
        with_services(f"group: {line}\n", "group", MERGED)


def test_an_action_that_would_be_the_second_or_the_first_is_refused() -> None:
    wish = [Service("mymachines", "[SUCCESS=merge]")]
    with pytest.raises(Failure, match="cannot stand before it"):
        with_services("hosts: files dns\n", "hosts", wish)


def test_a_database_without_a_line_gets_one_that_says_what_held_without() -> None:
    assert with_services("hosts: dns\n", "passwd", SYSTEMD) == "hosts: dns\npasswd: files systemd\n"
    made = with_services("hosts: dns\r\n", "group", SYSTEMD)
    assert made == "hosts: dns\r\ngroup: files [SUCCESS=merge] systemd\r\n"
    assert with_services(None, "shadow", SYSTEMD) == "shadow: files systemd\n"


def test_a_last_line_without_an_end_gets_one_as_glibc_may_not_heed_it() -> None:
    assert lacks("passwd: files systemd", "passwd", SYSTEMD)
    made = with_services("passwd: files systemd", "passwd", SYSTEMD)
    assert made == "passwd: files systemd\n"
    made = with_services("# c\r\nhosts: files", "passwd", SYSTEMD)
    assert made == "# c\r\nhosts: files\r\npasswd: files systemd\r\n"


def test_of_several_lines_the_last_counts() -> None:
    made = with_services("passwd: files systemd\npasswd: files\n", "passwd", SYSTEMD)
    assert made == "passwd: files systemd\npasswd: files systemd\n"


def test_lines_of_other_databases_are_not_mistaken() -> None:
    text = "passwd_compat: nis\n#passwd: files\nnopasswd: x\n"
    assert with_services(text, "passwd", SYSTEMD) == f"{text}passwd: files systemd\n"


def test_what_no_line_end_is_does_not_end_a_line() -> None:
    text = "passwd: files\x0b\x1cgroup: x\x85y\n"
    assert services(with_services(text, "passwd", SYSTEMD), "passwd")[:2] == ["files", "systemd"]
    assert services(text, "group") == []


def test_a_service_that_is_never_asked_is_noticed() -> None:
    assert unreachable("passwd: sss [NOTFOUND=return] systemd\n", "passwd", "systemd") == (
        "sss [NOTFOUND=return]"
    )
    assert unreachable("hosts: resolve [!UNAVAIL=return] dns\n", "hosts", "dns") is None
    assert unreachable("passwd: files systemd [NOTFOUND=return]\n", "passwd", "systemd") is None
    assert unreachable("passwd: files\n", "passwd", "systemd") is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("group: files [SUCCESS=merge] systemd", "group: files"),
        (
            "group: files [SUCCESS=merge] systemd [NOTFOUND=return] sss",
            "group: files [NOTFOUND=return] sss",
        ),
        ("passwd: files systemd [NOTFOUND=return] sss", "passwd: files [NOTFOUND=return] sss"),
        (
            "passwd: files [UNAVAIL=return] systemd [NOTFOUND=return] sss",
            "passwd: files [UNAVAIL=return] sss",
        ),
        ("passwd: systemd [NOTFOUND=return] files", "passwd: files"),
        ("passwd: systemd", "passwd:"),
        ("passwd: systemd [NOTFOUND=return]", "passwd:"),
        ("passwd: systemd files systemd", "passwd: files"),
        ("passwd: files  systemd  sss # why", "passwd: files  sss # why"),
        ("passwd: files", "passwd: files"),
    ],
)
def test_a_service_goes_with_what_is_its_own(line: str, expected: str) -> None:
    database = line.partition(":")[0]
    assert without_services(f"{line}\n", database, SYSTEMD) == f"{expected}\n"


def test_the_action_of_resolve_goes_with_it() -> None:
    line = "hosts: mymachines resolve [!unavail=return] files dns\n"
    assert without_services(line, "hosts", [Service("resolve")]) == "hosts: mymachines files dns\n"


# --- properties -------------------------------------------------------------------------------

SPACE = st.sampled_from([" ", "  ", "\t", " \t "])
NAMES = st.sampled_from(
    ["files", "compat", "sss", "nis", "dns", "resolve", "mymachines", "systemd"]
)
ACTIONS = st.sampled_from(["", "[NOTFOUND=return]", "[SUCCESS=merge]", "[!UNAVAIL=return]"])
DATABASES = st.sampled_from(["passwd", "group", "shadow", "hosts"])
WISHES = st.sampled_from(["systemd", "mymachines", "resolve", "myhostname", "ldap"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A configuration that somebody may have written."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    made = ""
    for _line in range(draw(st.integers(0, 6))):
        words = ""
        for name, action in draw(st.lists(st.tuples(NAMES, ACTIONS), max_size=4)):
            words += draw(SPACE) + name
            words += draw(SPACE) + action if action else ""
        comment = draw(st.sampled_from(["", " # why", "#", "# passwd: files"]))
        database = draw(st.sampled_from(["passwd", "group", "shadow", "hosts", "services", "#x"]))
        made += f"{database}:{words}{comment}{end}"
    return made


def asked(text: str, database: str) -> list[tuple[str, str]]:
    """As glibc reads it: each service with the action that follows it."""
    last = None
    for line in text.split("\n"):
        name, colon, rest = line.partition("#")[0].partition(":")
        if colon and name.strip() == database:
            last = rest.replace("[", " [").split()
    found: list[tuple[str, str]] = []
    for word in last or ["files"]:
        if word.startswith("["):
            assert found, f"an action that follows no service: {text!r}"
            assert not found[-1][1], f"two actions for one service: {text!r}"
            found[-1] = (found[-1][0], word)
        else:
            found.append((word, ""))
    return found


@given(texts(), DATABASES, WISHES)
def test_a_service_is_asked_then_and_the_second_time_changes_nothing(
    text: str, database: str, name: str
) -> None:
    made = with_services(text, database, [Service(name)])
    assert name in dict(asked(made, database))
    assert not lacks(made, database, [Service(name)])
    assert with_services(made, database, [Service(name)]) == made


@given(texts(), DATABASES, WISHES)
def test_nothing_is_lost_and_nothing_else_comes(text: str, database: str, name: str) -> None:
    made = with_services(text, database, [Service(name)])
    missing = iter(made)
    assert all(character in missing for character in text), "the text is not what it was"
    for other in ("passwd", "group", "shadow", "hosts", "services"):
        if other != database:
            assert asked(made, other) == asked(text, other)


@example("passwd: files [!UNAVAIL=return]\n", "passwd", "resolve")
@given(texts(), DATABASES, WISHES)
def test_there_and_back_is_where_it_began(text: str, database: str, name: str) -> None:
    wish = [Service(name)]
    if any(one == name for one, _action in asked(text, database)):
        return
    back = without_services(with_services(text, database, wish), database, wish)
    assert asked(back, database)[: len(asked(text, database))] == asked(text, database)
    if services(text, database):
        assert back == text


@given(texts(), DATABASES, WISHES)
def test_what_goes_is_gone_and_what_is_left_can_be_read(
    text: str, database: str, name: str
) -> None:
    left = without_services(text, database, [Service(name)])
    assert name not in services(left, database)
    asked(left, database)
    others = [one for one, _action in asked(text, database) if one != name]
    if services(left, database):
        assert [one for one, _action in asked(left, database)] == others
