# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import web
from ansible_collections.nspawn.machined.plugins.module_utils._images.addresses import Address, of
from ansible_collections.nspawn.machined.plugins.module_utils._images.verify import (
    expectation,
    sum_of,
)

URL = of("https://images.example.org/debian/a%20b.tar.xz?x=1")
ONE = "1" * 64
TWO = "2" * 64


def serving(text: str) -> object:
    def fetch(address: Address, _limit: int) -> bytes:
        assert address.url == "https://images.example.org/debian/SHA256SUMS"
        return text.encode()

    return fetch


def nothing(address: Address, _limit: int) -> bytes:
    raise AssertionError(f"{address.url} was fetched")


@pytest.mark.parametrize(
    "line",
    [
        f"{ONE}  a.tar",
        f"{ONE} *a.tar",
        f"{ONE.upper()}  ./a.tar",
        f"SHA256 (a.tar) = {ONE}",
        f"{ONE}  a.tar\r",
    ],
)
def test_every_form_of_a_sum_is_read(line: str) -> None:
    assert sum_of(f"{TWO}  xa.tar\n{line}\n{TWO}  a.tar.xz\n", "a.tar") == f"sha256:{ONE}"


def test_a_sum_of_another_folder_is_not_ours() -> None:
    assert sum_of(f"{ONE}  other/a.tar\n", "a.tar") is None


@given(st.text())
def test_no_text_breaks_the_look_for_a_sum(text: str) -> None:
    found = sum_of(text, "a.tar")
    assert found is None or len(found) == 71


def test_a_literal_checksum_needs_no_look_at_the_server() -> None:
    literal = f"sha256:{ONE}"
    assert expectation(URL, "checksum", literal, nothing) == (literal, "checksum")


def test_without_verification_nothing_is_asked() -> None:
    assert expectation(URL, "none", None, nothing) == (None, "none")


def test_the_sum_of_the_server_counts() -> None:
    found = expectation(URL, "checksum", None, serving(f"{ONE}  a b.tar.xz\n"))  # type: ignore[arg-type]
    assert found == (f"sha256:{ONE}", "checksum")


def test_sums_over_plain_http_verify_nothing() -> None:
    def fetch(_address: Address, _limit: int) -> bytes:
        return f"{ONE}  a.tar\n".encode()

    literal = f"sha256:{ONE}"
    assert expectation(of("http://example.org/a.tar"), "checksum", None, fetch) == (literal, "none")
    assert expectation(of("file:///srv/a.tar"), "checksum", None, fetch) == (literal, "none")
    assert expectation(of("https://example.org/a.tar"), "checksum", None, fetch) == (
        literal,
        "checksum",
    )


def test_a_checksum_of_the_playbook_verifies_what_comes_over_plain_http() -> None:
    literal = f"sha256:{ONE}"
    found = expectation(of("http://example.org/a.tar"), "checksum", literal, nothing)
    assert found == (literal, "checksum")


def test_a_server_that_says_nothing_of_the_image_is_an_error() -> None:
    with pytest.raises(Failure, match=r"says nothing about a b\.tar\.xz"):
        expectation(URL, "checksum", None, serving(f"{ONE}  b.tar\n"))  # type: ignore[arg-type]


def test_the_next_name_of_a_signature_is_tried_only_where_one_is_not_to_be_had() -> None:
    asked: list[str] = []

    def fetch(address: Address, _limit: int) -> bytes:
        asked.append(address.name)
        if address.name == "SHA256SUMS":
            return b""
        raise web.UrlRefused(address.shown, 404) if len(asked) < 3 else Failure("slow")

    with pytest.raises(Failure, match="slow"):
        expectation(URL, "signature", None, fetch)
    assert asked == ["SHA256SUMS", "SHA256SUMS.gpg", "SHA256SUMS.asc"]
