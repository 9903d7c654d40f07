# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from testhost import mirrors
from testhost.mirrors import Configured, Source
from testhost.run import HostError

INDEXTARGETS = """\
Packages|http://one.example/debian/|bookworm|main|
Packages|http://one.example/debian/|bookworm|contrib|
Packages|http://one.example/debian/|bookworm-updates|main|
Translations|http://one.example/debian/|bookworm|main|
Packages|http://two.example/debian-security/|bookworm-security|main|
Packages|https://shop.example/node|nodistro|main|
"""

RELEASE = """\
Origin: {origin}
Label: Debian
Suite: {suite}
Codename: {codename}
Date: Sat, 15 Nov 2026 10:00:00 UTC
"""


def test_archives_and_security_archives_are_told_apart() -> None:
    assert mirrors.parse(INDEXTARGETS) == Configured(
        archives=("http://one.example/debian", "https://shop.example/node"),
        security=("http://two.example/debian-security",),
    )


@pytest.mark.parametrize(
    ("origin", "suite", "codename", "wanted", "answer"),
    [
        ("Debian", "stable", "trixie", "trixie", True),
        ("Debian", "stable", "trixie", "stable", True),
        ("Debian", "stable-updates", "trixie-updates", "trixie-updates", True),
        ("Debian", "stable-security", "trixie-security", "trixie-security", True),
        ("Debian", "oldstable", "bookworm", "trixie", False),
        ("Somebody", "stable", "trixie", "trixie", False),
    ],
)
def test_only_a_suite_that_calls_itself_debian_counts(
    origin: str, suite: str, codename: str, wanted: str, answer: bool
) -> None:
    release = RELEASE.format(origin=origin, suite=suite, codename=codename)
    assert mirrors.is_debian(release, wanted) is answer


def test_another_repository_with_a_suite_of_the_same_name_is_passed_over() -> None:
    configured = Configured(("https://shop.example/node", "http://one.example/debian"), ())
    chosen = mirrors.choose("trixie", configured, lambda source: "one.example" in source.uri)
    assert chosen == (
        Source("http://one.example/debian", "trixie"),
        Source("http://one.example/debian", "trixie-updates"),
    )


def test_a_mirror_without_updates_and_security_still_serves() -> None:
    configured = mirrors.parse(INDEXTARGETS)
    chosen = mirrors.choose("forky", configured, lambda source: source.suite == "forky")
    assert chosen == (Source("http://one.example/debian", "forky"),)


def test_a_suite_that_no_mirror_has_is_an_error_that_names_what_was_looked_at() -> None:
    with pytest.raises(HostError, match=r"has Debian's trixie .*http://one\.example/debian"):
        mirrors.choose("trixie", mirrors.parse(INDEXTARGETS), lambda _source: False)


def test_proxies_are_passed_on_and_everything_else_stays_here() -> None:
    dump = """\
Acquire::Languages "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::Proxy "";
Acquire::Check-Valid-Until "false";
APT::Install-Recommends "1";
"""
    assert mirrors.parse_options(dump) == (
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Valid-Until "false";',
    )


def test_sources_are_separate_stanzas() -> None:
    text = mirrors.deb822([Source("http://a.example", "x"), Source("http://b.example", "y")])
    stanzas = text.split("\n\n")
    assert [stanza.splitlines()[1:3] for stanza in stanzas] == [
        ["URIs: http://a.example", "Suites: x"],
        ["URIs: http://b.example", "Suites: y"],
    ]
