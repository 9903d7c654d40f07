# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The web server on the test network: build/www, and how servers misbehave.

A path may start with one of these, before the file's own path:
  /noetag/     no ETag, as plain servers answer
  /slow/       256 KiB a second
  /dribble/    a byte each 9 seconds, which no timeout of a single read notices
  /truncated/  the connection ends in the middle of the file
SHA256SUMS is made when it is asked for, unless the folder has a file of that name.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import hashlib
import http.server
import io
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
import urllib.parse
from http import HTTPStatus
from pathlib import Path

from . import network, places, processes
from .network import Link
from .run import HostError

CHUNK = 64 * 1024
SLOW = 256 * 1024
DRIBBLE = 9
WAYS = ("noetag", "slow", "dribble", "truncated")

ADDRESS = places.BUILD / "www.json"
LOG = places.BUILD / "www.log"


class Request(t.NamedTuple):
    """What a request's path asks for."""

    ways: frozenset[str]
    path: Path


def parse(url_path: str) -> Request | None:
    """The ways and the file of a path, or nothing where it would leave the served folder."""
    parts = urllib.parse.unquote(url_path.split("?", 1)[0]).split("/")[1:]
    ways = set()
    while parts and parts[0] in WAYS:
        ways.add(parts.pop(0))
    if any(part in (".", "..") or "\0" in part for part in parts):
        return None
    return Request(frozenset(ways), Path(*parts))


@functools.lru_cache(maxsize=256)
def _digest(path: Path, _mtime: int, _size: int) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sums(directory: Path) -> str:
    """SHA256SUMS of a folder's files, in the form of sha256sum --binary."""
    lines = []
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.name.startswith(("SHA256SUMS", ".")):
            stat = path.stat()
            lines.append(f"{_digest(path, stat.st_mtime_ns, stat.st_size)} *{path.name}\n")
    return "".join(lines)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD, and writes one line for each request."""

    server_version = "testhost"
    root: Path

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        request = parse(self.path)
        target = request and self.root / request.path
        if request and target and target.is_file():
            self._file(request, target, with_body=with_body)
        elif request and target and target.name == "SHA256SUMS" and target.parent.is_dir():
            dribbles = "dribble" in request.ways
            self._text(sums(target.parent), with_body=with_body, dribbles=dribbles)
        elif target and target.is_dir():
            names = sorted(f"{e.name}/" if e.is_dir() else e.name for e in target.iterdir())
            self._text("".join(f"{name}\n" for name in names), with_body=with_body)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)
            self._log(HTTPStatus.NOT_FOUND, 0)

    def _text(self, text: str, *, with_body: bool, dribbles: bool = False) -> None:
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = 0
        if with_body and dribbles:
            sent = self._dribble(io.BytesIO(body), len(body))
        elif with_body:
            sent = self.wfile.write(body)
        self._log(HTTPStatus.OK, sent)

    def _file(self, request: Request, target: Path, *, with_body: bool) -> None:
        with target.open("rb") as handle:
            stat = os.fstat(handle.fileno())
            etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
            with_etag = "noetag" not in request.ways
            if with_etag and etag in self.headers.get("If-None-Match", ""):
                self.send_response(HTTPStatus.NOT_MODIFIED)
                self.send_header("ETag", etag)
                self.end_headers()
                self._log(HTTPStatus.NOT_MODIFIED, 0)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(stat.st_size))
            self.send_header("Last-Modified", email.utils.formatdate(stat.st_mtime, usegmt=True))
            if with_etag:
                self.send_header("ETag", etag)
            self.end_headers()
            sent = self._body(request, handle, stat.st_size) if with_body else 0
        self._log(HTTPStatus.OK, sent)

    def _dribble(self, handle: t.BinaryIO, size: int) -> int:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < size and (byte := handle.read(1)):
                self.wfile.write(byte)
                sent += 1
                time.sleep(DRIBBLE)
        self.close_connection = True
        return sent

    def _body(self, request: Request, handle: t.BinaryIO, size: int) -> int:
        if "dribble" in request.ways:
            return self._dribble(handle, size)
        left = size // 2 if "truncated" in request.ways else size
        sent = 0
        with contextlib.suppress(ConnectionError):
            while left and (chunk := handle.read(min(CHUNK, left))):
                self.wfile.write(chunk)
                sent += len(chunk)
                left -= len(chunk)
                if "slow" in request.ways:
                    time.sleep(len(chunk) / SLOW)
        self.close_connection = True
        return sent

    def _log(self, status: HTTPStatus, sent: int) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S")
        line = f"{moment} {self.client_address[0]} {self.command} {self.path} {status:d} {sent}\n"
        with LOG.open("a") as log:
            log.write(line)

    def log_message(self, format: str, *args: t.Any) -> None:
        """Say nothing on the terminal: what is of use is in the log."""


class Server(http.server.ThreadingHTTPServer):
    """Serves the test network and this machine, and nobody else."""

    daemon_threads = True

    def verify_request(self, request: t.Any, client_address: t.Any) -> bool:
        client = ipaddress.ip_address(client_address[0])
        return client.is_loopback or client in network.RANGE


def serve(directory: Path) -> None:
    """Serve a folder until the end."""
    directory.mkdir(parents=True, exist_ok=True)
    Handler.root = directory
    server = Server(("0.0.0.0", 0), Handler)
    partial = ADDRESS.with_suffix(".partial")
    partial.write_text(json.dumps({"pid": os.getpid(), "port": server.server_port}))
    partial.rename(ADDRESS)
    server.serve_forever()


def ensure() -> None:
    """Start this checkout's server, unless it runs."""
    with places.locked(places.BUILD / ".www.lock"):
        if pids() and ADDRESS.exists():
            return
        _kill()
        ADDRESS.unlink(missing_ok=True)
        places.WWW.mkdir(parents=True, exist_ok=True)
        with LOG.open("a") as log:
            subprocess.Popen(
                [sys.executable, str(Path(__file__).parent), "serve", str(places.WWW)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        deadline = time.monotonic() + 10
        while not ADDRESS.exists():
            if time.monotonic() > deadline:
                raise HostError(f"the web server did not start within 10 s; see {LOG}")
            time.sleep(0.02)


def end() -> None:
    with places.locked(places.BUILD / ".www.lock"):
        _kill()
        ADDRESS.unlink(missing_ok=True)
        (places.BUILD / ".www.lock").unlink()


def _kill() -> None:
    for pid in pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while pids() and time.monotonic() < deadline:
        time.sleep(0.02)


def pids() -> list[int]:
    return processes.matching(("serve", str(places.WWW)))


def url(link: Link) -> str:
    """The server's address as a host sees it."""
    return f"http://{link.gateway}:{json.loads(ADDRESS.read_text())['port']}"
