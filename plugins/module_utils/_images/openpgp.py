# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Key rings of OpenPGP as files: taken apart into keys and put together again.

Private to the collection. A key ring is one key after the other, each a row of packets
(RFC 9580, 4.2 and 10.1); nothing of them is understood but where they begin and end, and the
fingerprint. So no program is needed to look after a ring, and a second run finds it as it is.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import re
import typing as t

from .._core.plan import Failure

_PUBLIC_KEY = 6
_SECRET_KEYS = (5, 7)
_KEYBOX_MAGIC = b"KBXf"
_ARMOR = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+: [^\r\n]*\r?\n)*\s*"
    r"(?P<data>[A-Za-z0-9+/=\s]+?)\s*(?:\n=(?P<crc>[A-Za-z0-9+/]{4})\s*)?"
    r"-----END PGP PUBLIC KEY BLOCK-----"
)


@dataclasses.dataclass(frozen=True)
class Key:
    """A public key with all that belongs to it."""

    fingerprint: str
    data: bytes


def armored_keys(text: str, what: str) -> list[Key]:
    """The keys of an armored text, as C(gpg --armor --export) gives it."""
    if "PRIVATE KEY BLOCK" in text:
        raise Failure(f"{what} contains a secret key, which has no place in a key ring of images")
    blocks = list(_ARMOR.finditer(text))
    if not blocks:
        raise Failure(f"{what} has no line '-----BEGIN PGP PUBLIC KEY BLOCK-----'")
    keys: list[Key] = []
    for block in blocks:
        try:
            data = base64.b64decode("".join(block["data"].split()), validate=True)
        except binascii.Error as error:
            raise Failure(f"{what} is not base64: {error}") from None
        if block["crc"] and base64.b64decode(block["crc"]) != _crc(data):
            raise Failure(f"{what} is damaged: its checksum does not match")
        keys += ring_keys(data, what)
    return keys


def _crc(data: bytes) -> bytes:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return (crc & 0xFFFFFF).to_bytes(3, "big")


def ring_keys(data: bytes, what: str) -> list[Key]:
    """The keys of a binary key ring."""
    if data[8:12] == _KEYBOX_MAGIC:
        raise Failure(
            f"{what} is a keybox of GnuPG, which cannot be edited here. Export its keys with "
            "gpg --export and give them as keys"
        )
    keys: list[Key] = []
    begin, fingerprint = 0, ""
    for tag, start, body, end in _packets(data, what):
        if tag in _SECRET_KEYS:
            raise Failure(f"{what} contains a secret key, which has no place in a key ring")
        if tag == _PUBLIC_KEY:
            if fingerprint:
                keys.append(Key(fingerprint, data[begin:start]))
            begin, fingerprint = start, _fingerprint(data[body:end])
        elif not fingerprint:
            raise Failure(f"{what} does not begin with a public key")
    if fingerprint:
        keys.append(Key(fingerprint, data[begin:]))
    return keys


def _fingerprint(body: bytes) -> str:
    if body[:1] == b"\x04":
        framed = b"\x99" + len(body).to_bytes(2, "big") + body
        return hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper()
    marker = b"\x9b" if body[:1] == b"\x06" else b"\x9a"
    return hashlib.sha256(marker + len(body).to_bytes(4, "big") + body).hexdigest().upper()


def _packets(data: bytes, what: str) -> t.Iterator[tuple[int, int, int, int]]:
    """Tag, start, start of the body and end of each packet."""
    at = 0
    while at < len(data):
        try:
            tag, body, length = _header(data, at)
        except (IndexError, ValueError):
            raise Failure(f"{what} is no key ring: there is no packet at byte {at}") from None
        end = body + length
        if end > len(data):
            raise Failure(f"{what} is cut off: a packet at byte {at} has no end")
        yield tag, at, body, end
        at = end


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, where the body begins and how long it is; keys have no bodies in parts."""
    first = data[at]
    if not first & 0x80:
        raise ValueError
    if not first & 0x40:
        width = (1, 2, 4)[first & 3]
        body = at + 1 + width
        return first >> 2 & 0x0F, body, int.from_bytes(data[at + 1 : body], "big")
    tag, length = first & 0x3F, data[at + 1]
    if length < 192:
        return tag, at + 2, length
    if length < 224:
        return tag, at + 3, ((length - 192) << 8) + data[at + 2] + 192
    if length < 255:
        raise ValueError
    return tag, at + 6, int.from_bytes(data[at + 2 : at + 6], "big")


def merged(ring: t.Sequence[Key], keys: t.Sequence[Key]) -> list[Key]:
    """A ring with these keys: a newer form of a key takes the place of the older one."""
    newer = {key.fingerprint: key for key in keys}
    known = {key.fingerprint for key in ring}
    kept = [newer.get(key.fingerprint, key) for key in ring]
    return kept + [key for name, key in newer.items() if name not in known]


def without(ring: t.Sequence[Key], keys: t.Sequence[Key]) -> list[Key]:
    gone = {key.fingerprint for key in keys}
    return [key for key in ring if key.fingerprint not in gone]
