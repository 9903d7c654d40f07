# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images.addresses import (
    check,
    check_headers,
    of,
    origin,
    shown,
)

URL = "https://images.example.org/debian/a%20b.tar.xz?x=1"


def refusal(url: str) -> str:
    """Why a URL is refused; nothing when it is taken."""
    try:
        check(url)
    except Failure as refused:
        return refused.message
    return ""


# Letters that stand in no other part of the URLs that are tried.
words = st.text("qzQZ0189!$&'()*+,;=:%-._~", min_size=4)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.tar",
        "https://example.org:8443/b/a.tar.xz?token=1",
        "http://me@example.org/a.tar",
        "http://me:secret@example.org/a.tar",
        "file:///srv/a.tar",
        "file://localhost/srv/a.tar",
        "http://[2001:db8::1]/a.tar",
    ],
)
def test_plain_urls_are_taken(url: str) -> None:
    check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/a.tar",
        "ftp://example.org/a.tar",
        "data:text/plain,a",
        "http:///a.tar",
        "http://example.org",
        "http://example.org:99999/a.tar",
        "http://example.org/a b.tar",
        "http://example.org/a\n.tar",
        "file://other/srv/a.tar",
        "http://[/a.tar",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Failure, match="Expected http"):
        check(url)


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        check(text)
    except Failure:
        return
    assert text.lower().startswith(("http://", "https://", "file:/"))


def test_what_is_beside_lies_in_the_same_directory_and_gets_the_same_headers() -> None:
    found = of(URL, {"X-Token": "word"}).beside("SHA256SUMS")
    assert found.url == found.shown == "https://images.example.org/debian/SHA256SUMS"
    assert found.headers == {"X-Token": "word"}


def test_a_user_and_a_password_become_a_header() -> None:
    found = of("https://me:s%40crt@images.example.org/a.tar")
    assert found.url == found.shown == "https://images.example.org/a.tar"
    assert base64.b64decode(found.headers["Authorization"].split()[1]) == b"me:s@crt"


def test_a_token_in_the_place_of_the_user_is_a_secret_too() -> None:
    found = of("https://token@images.example.org/a.tar")
    assert base64.b64decode(found.headers["Authorization"].split()[1]) == b"token:"
    assert found.shown == "https://images.example.org/a.tar"


def test_of_a_signed_link_the_query_is_asked_for_and_not_shown() -> None:
    found = of("https://images.example.org/a.tar?Signature=word&x=1#part")
    assert found.url == "https://images.example.org/a.tar?Signature=word&x=1"
    assert found.shown == "https://images.example.org/a.tar?…"


def test_a_repr_says_nothing_that_is_secret() -> None:
    found = of("https://me:planted@images.example.org/a.tar?s=planted", {"X": "planted"})
    assert "planted" not in repr(found)


def test_what_is_not_ascii_is_asked_for_in_quotes() -> None:
    assert of("https://images.example.org/ä/b%20c.tar").url == (
        "https://images.example.org/%C3%A4/b%20c.tar"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://me:planted@images.example.org/a.tar",
        "https://planted@images.example.org/a.tar",
        "https://planted:planted@images.example.org:99999/a.tar",
        "https://me:planted/planted@images.example.org/a.tar",
        "https://me:planted#planted@images.example.org/a.tar",
        "https://me:planted?planted@images.example.org/a.tar",
        "https://me:planted@planted@images.example.org/a.tar",
        "https://me:planted@[broken/a.tar",
        "ftp://me:planted@images.example.org/a.tar",
        "me:planted@images.example.org/a.tar",
        "https://images.example.org/a.tar?s=planted",
        "https://images.example.org/a tar?s=planted",
        "https://images.example.org/a.tar#planted",
        "https://images.example.org?planted",
        "file://me:planted@elsewhere/a.tar",
    ],
)
def test_no_word_is_shown_of_a_url_not_even_of_one_that_is_refused(url: str) -> None:
    assert "planted" not in shown(url)
    assert "planted" not in refusal(url)


@given(words, words)
def test_whatever_the_word_is_it_is_not_shown(name: str, word: str) -> None:
    for url in (f"https://{name}:{word}@h.test/a", f"https://h.test/a?{name}={word}"):
        assert word not in shown(url)


def test_a_path_with_an_at_sign_stays_as_it_is() -> None:
    url = "https://images.example.org/foo@1.2/a.tar"
    assert shown(url) == of(url).url == url


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.test/x", "https://A.test:443/y", True),
        ("http://a.test/x", "http://a.test:80/y", True),
        ("http://a.test/x", "https://a.test/x", False),
        ("https://a.test/x", "https://a.test:8443/x", False),
        ("https://a.test/x", "https://b.a.test/x", False),
    ],
)
def test_credentials_are_for_one_server(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"X-Token": "planted\r\nX-Other: 1"}, "control characters"),
        ({"X-Token": "planted\0"}, "control characters"),
        ({"X-Token": "plantedĀ"}, "control characters"),
        ({"X Token": "planted"}, "no name of a header"),
        ({"X-Token:": "planted"}, "no name of a header"),
        ({"": "planted"}, "no name of a header"),
        ({"Host": "planted"}, "not to be given"),
        ({"accept-encoding": "planted"}, "not to be given"),
        ({"range": "planted"}, "not to be given"),
        ({"X-Token": None}, "has no value"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_without_their_value(
    headers: dict[str, str], says: str
) -> None:
    with pytest.raises(Failure, match=says) as raised:
        check_headers(URL, headers)
    assert "planted" not in raised.value.message


def test_headers_need_a_server_and_one_word_only() -> None:
    with pytest.raises(Failure, match="belong to a url"):
        check_headers("file:///a.tar", {"X": "1"})
    with pytest.raises(Failure, match="belong to a url"):
        check_headers(None, {"X": "1"})
    with pytest.raises(Failure, match="leave one out"):
        check_headers("https://me:word@h.test/a", {"authorization": "Bearer 1"})
    check_headers("https://h.test/a", {"Authorization": "Bearer 1"})
