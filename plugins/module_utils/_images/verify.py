# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Checksums and signatures of images. Private to the collection.

The same files and the same key rings as importd: SHA256SUMS beside the image and its detached
signature. Done here because importd takes no checksum that is given literally.
"""

from __future__ import annotations

import os
import re
import tempfile
import typing as t

from .._core import run
from .._core.lines import lines_of
from .._core.plan import Failure
from . import web
from .addresses import Address

SUMS = "SHA256SUMS"
SIGNATURES = (f"{SUMS}.gpg", f"{SUMS}.asc", f"{SUMS}.sign")
# The first one that exists counts, as for importd; .pgp is its name since 258.
KEYRINGS = (
    "/etc/systemd/import-pubring.pgp",
    "/etc/systemd/import-pubring.gpg",
    "/usr/lib/systemd/import-pubring.pgp",
    "/usr/lib/systemd/import-pubring.gpg",
    "/lib/systemd/import-pubring.gpg",
)
LIMIT = 1024 * 1024

Fetch = t.Callable[[Address, int], bytes]

# The asterisk marks a binary file; the other form is that of sha256sum --tag and BSD.
_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")
_TAGGED = re.compile(r"SHA256 \((.+)\) = ([0-9a-fA-F]{64})")


def sum_of(sums: str, name: str) -> t.Optional[str]:
    """What a SHA256SUMS file says of a file, with or without a directory before its name."""
    for line in lines_of(sums):
        plain, tagged = _LINE.fullmatch(line.rstrip()), _TAGGED.fullmatch(line.rstrip())
        digest, said = plain.groups() if plain else tagged.groups()[::-1] if tagged else ("", "")
        if said in (name, f"./{name}"):
            return f"sha256:{digest.lower()}"
    return None


def expectation(
    address: Address, verify: str, literal: t.Optional[str], fetch: Fetch
) -> tuple[t.Optional[str], str]:
    """The checksum that the image at a URL must have, and how it is known to be the right one.

    Whoever changes an image on the way changes sums that come the same way as well. So sums verify
    only what is served over https; otherwise they show damage, and that is not called verified.
    """
    if verify == "none":
        return literal, "checksum" if literal else "none"
    if verify == "checksum" and literal:
        return literal, "checksum"
    beside = address.beside(SUMS)
    where = beside.shown
    sums = fetch(beside, LIMIT)
    if verify == "signature":
        _check_signature(address, where, sums, fetch)
    name = address.name
    said = sum_of(sums.decode("utf-8", "replace"), name)
    if not said:
        raise Failure(
            f"{where} says nothing about {name}, so {address.shown} cannot be verified. Expected "
            "a line with its SHA-256 and that name; or give checksum: sha256:…"
        )
    if literal and literal != said:
        raise Failure(f"{where} says {said} of {name}, but checksum: says {literal}")
    if verify == "checksum" and not literal and not address.is_private:
        return said, "none"
    return said, verify


def _check_signature(address: Address, where: str, sums: bytes, fetch: Fetch) -> None:
    signature = _fetch_signature(address, fetch)
    keyring = next((path for path in KEYRINGS if os.path.exists(path)), None)
    if not keyring:
        raise Failure(
            f"{where} cannot be verified: there is no {KEYRINGS[1]}. Put the keys that may sign "
            "images into it (the role images does with images_keys)"
        )
    with tempfile.TemporaryDirectory(prefix="nspawn-machined-") as directory:
        paths = [os.path.join(directory, name) for name in ("signature", "sums")]
        for path, data in zip(paths, (signature, sums)):
            with open(path, "wb") as stream:
                stream.write(data)
        problem = _gpg(keyring, directory, *paths)
    if problem:
        raise Failure(
            f"{where} is not signed by a key in {keyring}: {problem}. Nothing of it is used; "
            "check the key ring and whether somebody changed the file"
        )


def _fetch_signature(address: Address, fetch: Fetch) -> bytes:
    refused = []
    for name in SIGNATURES:
        try:
            return fetch(address.beside(name), LIMIT)
        except web.Refused as failure:
            refused.append(failure.message)
    raise Failure(
        f"{address.shown} has no signature: {'; '.join(refused)}. Use verify: checksum, or give "
        "checksum:"
    )


def _gpg(keyring: str, home: str, signature: str, data: str) -> t.Optional[str]:
    """What is wrong with a signature; nothing when a key of the ring made it."""
    if run.find("gpgv"):
        argv = ["gpgv", "--homedir", home, "--keyring", keyring]
    elif run.find("gpg"):
        argv = ["gpg", "--no-options", "--no-default-keyring", "--batch", "--homedir", home]
        argv += ["--no-auto-key-locate", "--no-auto-check-trustdb", "--trust-model=always"]
        argv += ["--keyring", keyring, "--verify"]
    else:
        return "neither gpgv nor gpg is installed on this host; install one of them"
    result = run.run(
        [*argv, "--status-fd", "1", "--", signature, data]
        if "--verify" not in argv
        else [*argv[:-1], "--status-fd", "1", "--verify", "--", signature, data],
        check=False,
    )
    said = [line.split(" ", 2)[1] for line in lines_of(result.stdout) if line.count(" ") > 1]
    for word in ("EXPKEYSIG", "REVKEYSIG", "EXPSIG", "BADSIG"):
        if word in said:
            return _SAYS[word]
    if result.rc == 0 and "VALIDSIG" in said:
        return None
    return _SAYS["NO_PUBKEY"] if "NO_PUBKEY" in said else result.stderr.strip() or "no signature"


_SAYS = {
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key was revoked",
    "EXPSIG": "the signature has expired",
    "BADSIG": "the signature is of other contents",
    "NO_PUBKEY": "the key that signed it is not in the ring",
}
