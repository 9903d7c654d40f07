# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Be the D-Bus of a machine, with bad manners, until ended: bus.py MACHINE MANNER.

The socket lies in the machine; who listens is the host, which makes no difference to who asks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator

NAME, MANNER = sys.argv[1:]
HUNDRED_MEGABYTES = 100_000_000


def padded(data: bytes, to: int) -> bytes:
    return data + b"\0" * (-len(data) % to)


def string(text: bytes) -> bytes:
    return struct.pack("<I", len(text)) + text + b"\0"


def reply(number: int, to: int, signature: bytes, body: bytes) -> bytes:
    fields = b"\5\1u\0" + struct.pack("<I", to)
    fields += b"\10\1g\0" + bytes([len(signature)]) + signature + b"\0"
    head = struct.pack("<cBBBIII", b"l", 2, 1, 1, len(body), number, len(fields))
    return padded(head + fields, 8) + body


def answer(call: bytes, manner: str) -> tuple[bytes, bytes]:
    """Signature and body of what is answered."""
    if b"Hello" in call:
        return b"s", string(b":1.1")
    word = b"running\x1b[2J" if manner == "nonsense" else b"running"
    if manner == "flooding":
        word = b"x" * HUNDRED_MEGABYTES
    if b"\0Get\0" in call:
        return b"v", b"\1s\0\0" + string(word)
    return b"s", string(word)


def messages(stream: Rest) -> Iterator[bytes]:
    """What is asked, one by one."""
    data = b""
    while True:
        while len(data) < 16:
            more = stream.recv(65536)
            if not more:
                return
            data += more
        _end, _type, _flags, _version, body, _serial, fields = struct.unpack("<cBBBIII", data[:16])
        length = 16 + fields + (-fields % 8) + body
        while len(data) < length:
            data += stream.recv(65536)
        yield data[:length]
        data = data[length:]


def send(stream: socket.socket, data: bytes) -> None:
    if MANNER != "dribbling":
        stream.sendall(data)
        return
    for byte in data:
        stream.sendall(bytes([byte]))
        time.sleep(0.7)


def greet(stream: socket.socket) -> bytes:
    """Let everybody in; return what came after that."""
    said = b""
    greeted = False
    while b"BEGIN\r\n" not in said:
        said += stream.recv(65536)
        if b"AUTH" in said and not greeted:
            greeted = True
            lines = b"OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n"
            send(stream, (b"DATA\r\n" if b"DATA" in said else b"") + lines)
    return said.partition(b"BEGIN\r\n")[2]


class Rest:
    """A stream of which a part was read already."""

    def __init__(self, stream: socket.socket, before: bytes) -> None:
        self._stream = stream
        self._before = before

    def recv(self, size: int) -> bytes:
        data, self._before = self._before, b""
        return data or self._stream.recv(size)


def serve(stream: socket.socket) -> None:
    with contextlib.suppress(OSError), stream:
        if MANNER == "silent":
            time.sleep(600)
        rest = Rest(stream, greet(stream))
        for number, call in enumerate(messages(rest), 1):
            signature, body = answer(call, MANNER)
            send(stream, reply(number, struct.unpack("<I", call[8:12])[0], signature, body))


def leave(_number: int, _frame: types.FrameType | None) -> None:
    sys.exit()


leader = subprocess.run(
    ["machinectl", "show", "--property=Leader", "--value", NAME],
    stdout=subprocess.PIPE,
    text=True,
    check=True,
).stdout.strip()
directory = os.open(f"/proc/{leader}/root/run/dbus", os.O_DIRECTORY)
os.chdir(directory)
signal.signal(signal.SIGTERM, leave)
os.rename("system_bus_socket", "another")
try:
    if MANNER == "renamed":
        time.sleep(600)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("system_bus_socket")
        os.chmod("system_bus_socket", 0o666)
        listener.listen(20)
        while True:
            stream, _address = listener.accept()
            threading.Thread(target=serve, args=(stream,), daemon=True).start()
finally:
    os.rename("another", "system_bus_socket")
