# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the files that the tests of images are served: good ones, bad ones and forged ones.

Run on the controller with the folder to fill. Everything is small and made in a second.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
OS_RELEASE = b"ID=tiny\nVERSION_ID=1\nPRETTY_NAME='Tiny 1'\n"
RAW_SIZE = 8 << 20
ZSTD_BLOCK = 100_000


def zst(data: bytes) -> bytes:
    """A Zstandard frame of raw blocks: no program and no library is needed to make one."""
    frame = struct.pack("<IBQ", 0xFD2FB528, 0xE0, len(data))
    blocks = [data[at : at + ZSTD_BLOCK] for at in range(0, len(data), ZSTD_BLOCK)]
    for number, block in enumerate(blocks, 1):
        header = len(block) << 3 | (number == len(blocks))
        frame += struct.pack("<I", header)[:3] + block
    return frame


def tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return into.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def tree(seed: int) -> list[tuple[tarfile.TarInfo, bytes]]:
    """A root that says what it is and has some weight, which does not compress."""
    folders = ["./", "./etc/", "./usr/", "./usr/bin/", "./usr/lib/", "./var/"]
    weight = random.Random(seed).randbytes(2 << 20)
    return [
        *((member(name, tarfile.DIRTYPE), b"") for name in folders),
        (member("./usr/lib/os-release"), OS_RELEASE),
        (member("./etc/os-release", tarfile.SYMTYPE, linkname="../usr/lib/os-release"), b""),
        (member("./etc/seed"), b"%d\n" % seed),
        (member("./usr/bin/weight"), weight),
    ]


def extension(seed: int) -> list[tuple[tarfile.TarInfo, bytes]]:
    """What extends /usr and /etc under any of these names, which systemd looks for inside."""
    names = ("c-ext", "c-disk", "c-up", "c-dir", "c-copy")
    places = ("./usr/lib/extension-release.d/", "./etc/extension-release.d/")
    folders = ["./", "./usr/", "./usr/lib/", "./usr/share/", "./usr/share/c-ext/", "./etc/"]
    return [
        *((member(name, tarfile.DIRTYPE), b"") for name in [*folders, *places]),
        *(
            (member(f"{place}extension-release.{name}", mode=0o644), b"ID=_any\n")
            for place in places
            for name in names
        ),
        (member("./usr/share/c-ext/seed", mode=0o644), b"%d\n" % seed),
        (member(f"./usr/share/c-ext/only-{seed}", mode=0o644), b""),
        (member("./etc/c-ext-seed", mode=0o644), b"%d\n" % seed),
    ]


def raw(seed: int) -> bytes:
    """What begins like a disk with a partition table."""
    data = bytearray(RAW_SIZE)
    data[510:512] = b"\x55\xaa"
    weight = random.Random(seed).randbytes(2 << 20)
    data[1 << 20 : (1 << 20) + len(weight)] = weight
    return bytes(data)


def evil() -> dict[str, bytes]:
    """Archives that try to leave the place where they are unpacked."""
    harmless = tree(1)
    return {
        "dots.tar": tar([*harmless, (member("../../../../../../escaped-dots"), b"out\n")]),
        "absolute.tar": tar([*harmless, (member("/escaped-absolute"), b"out\n")]),
        "link.tar": tar(
            [
                *harmless,
                (member("./out", tarfile.SYMTYPE, linkname="/"), b""),
                (member("./out/escaped-link"), b"out\n"),
            ]
        ),
        "updots.tar": tar(
            [
                *harmless,
                (member("./up", tarfile.SYMTYPE, linkname="../../../../../.."), b""),
                (member("./up/escaped-up"), b"out\n"),
            ]
        ),
        "hardlink.tar": tar(
            [*harmless, (member("./shadow", tarfile.LNKTYPE, linkname="/etc/shadow"), b"")]
        ),
        "device.tar": tar(
            [
                *harmless,
                (member("./disk", tarfile.BLKTYPE, devmajor=8, devminor=0), b""),
                (member("./suid", mode=0o4755), b"#!/bin/sh\n"),
            ]
        ),
    }


def sums(folder: Path) -> str:
    """In the form of sha256sum."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if not path.name.startswith("SHA256SUMS")
    )


def gpg(home: str, *words: str) -> bytes:
    command = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback"]
    done = subprocess.run([*command, "--passphrase", "", *words], check=True, capture_output=True)
    return done.stdout


def sign(home: str, key: str, folder: Path, suffix: str) -> None:
    form = ["--armor"] if suffix == "asc" else []
    target = folder / f"SHA256SUMS.{suffix}"
    target.unlink(missing_ok=True)
    gpg(home, "-u", key, *form, "-o", str(target), "--detach-sign", str(folder / "SHA256SUMS"))


def keys_and_signatures(root: Path) -> None:
    home = tempfile.mkdtemp(prefix="gpg-", dir="/tmp")
    try:
        for key in ("good", "wrong"):
            gpg(home, "--quick-gen-key", f"{key}@example.org", "ed25519", "sign", "never")
            exported = gpg(home, "--armor", "--export", f"{key}@example.org")
            (root / f"{key}.asc").write_bytes(exported)
        for name, key, suffix in (
            ("signed", "good", "gpg"),
            ("armored", "good", "asc"),
            ("forged", "wrong", "gpg"),
            ("changed", "good", "gpg"),
        ):
            folder = root / name
            folder.mkdir()
            shutil.copy(root / "tiny.tar.xz", folder)
            (folder / "SHA256SUMS").write_text(sums(folder))
            sign(home, key, folder, suffix)
        # The sums were signed, the file was changed afterwards.
        (root / "changed" / "tiny.tar.xz").write_bytes(lzma.compress(tar(tree(666))))
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home)


def main(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for name, data in {"tiny.tar": tar(tree(1)), "tiny.raw": raw(1)}.items():
        (root / name).write_bytes(data)
        for suffix, compress in {**COMPRESSORS, "zst": zst}.items():
            (root / f"{name}.{suffix}").write_bytes(compress(data))
    (root / "tar-without-name").write_bytes((root / "tiny.tar.gz").read_bytes())
    (root / "raw-without-name").write_bytes((root / "tiny.raw.xz").read_bytes())
    (root / "neither").write_bytes(b"neither the one nor the other\n" * 100)
    other = lzma.compress(tar(tree(2)))
    (root / "other.tar.xz").write_bytes(other)
    middle = len(other) // 2
    (root / "corrupt.tar.xz").write_bytes(other[:middle] + b"\0" * 64 + other[middle + 64 :])
    (root / "cut.tar.gz").write_bytes((root / "tiny.tar.gz").read_bytes()[:100_000])
    (root / "cut.tar").write_bytes((root / "tiny.tar").read_bytes()[:1_000_000])
    (root / "not-a.tar").write_bytes(os.urandom(100_000))
    for name, data in evil().items():
        (root / name).write_bytes(data)
    keys_and_signatures(root)
    badsums = root / "badsums"
    badsums.mkdir()
    shutil.copy(root / "tiny.tar.xz", badsums)
    (badsums / "SHA256SUMS").write_text(f"{'0' * 64}  tiny.tar.xz\n")
    nosums = root / "nosums"
    nosums.mkdir()
    shutil.copy(root / "tiny.tar.xz", nosums)
    (nosums / "SHA256SUMS").write_text(f"{'0' * 64}  something-else\n")
    for seed in (1, 2):
        archive = lzma.compress(tar(extension(seed)))
        (root / f"extension-{seed}.tar.xz").write_bytes(archive)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
