# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images.openpgp import (
    Key,
    armored_keys,
    merged,
    ring_keys,
    without,
)


def packet(tag: int, body: bytes, *, old: bool = False) -> bytes:
    if old:
        return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def key(seed: bytes, *, old: bool = False) -> bytes:
    return packet(6, b"\x04" + seed, old=old) + packet(13, b"me") + packet(2, b"signature")


def armored(data: bytes, *, crc: str = "") -> str:
    text = base64.encodebytes(data).decode()
    lines = ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "Comment: a key", "", text.strip()]
    return "\n".join([*lines, *([crc] if crc else []), "-----END PGP PUBLIC KEY BLOCK-----\n"])


def test_a_ring_is_taken_apart_and_nothing_is_lost() -> None:
    data = key(b"one") + key(b"two", old=True)
    found = ring_keys(data, "ring")
    assert b"".join(one.data for one in found) == data
    framed = b"\x99\x00\x04\x04one"
    assert found[0].fingerprint == hashlib.sha1(framed).hexdigest().upper()
    assert len({one.fingerprint for one in found}) == 2


def test_an_armored_key_is_the_binary_one() -> None:
    assert armored_keys(armored(key(b"one")), "keys") == ring_keys(key(b"one"), "ring")


def test_several_keys_in_one_text_are_found() -> None:
    text = armored(key(b"one")) + "some words\n" + armored(key(b"two"))
    assert len(armored_keys(text, "keys")) == 2


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "has no line"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "secret key"),
        (armored(key(b"one"), crc="=AAAA"), "damaged"),
        (armored(packet(5, b"\x04secret")), "secret key"),
        (armored(packet(13, b"me")), "does not begin with a public key"),
        (armored(key(b"one")[:-3]), "is cut off"),
        (armored(b"\x01\x02\x03"), "no packet at byte 0"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, word: str) -> None:
    with pytest.raises(Failure, match=word):
        armored_keys(text, "keys")


def test_a_keybox_is_refused_with_the_way_out() -> None:
    with pytest.raises(Failure, match="gpg --export"):
        ring_keys(b"\0\0\0\x20\x01\x01\0\x02KBXf" + b"\0" * 20, "ring")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_ring_or_refused(data: bytes) -> None:
    try:
        found = ring_keys(data, "ring")
    except Failure:
        return
    assert b"".join(one.data for one in found) == data


def test_a_newer_form_of_a_key_takes_the_place_of_the_older() -> None:
    ring = [Key("A", b"old"), Key("B", b"b")]
    assert merged(ring, [Key("A", b"new"), Key("C", b"c")]) == [
        Key("A", b"new"),
        Key("B", b"b"),
        Key("C", b"c"),
    ]
    assert without(ring, [Key("A", b"any")]) == [Key("B", b"b")]
