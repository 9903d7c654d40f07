# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testhost import web


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one file, served on loopback; its log lies beside it."""
    directory = tmp_path / "www"
    (directory / "images").mkdir(parents=True)
    (directory / "images" / "a.tar").write_bytes(b"x" * 300_000)
    monkeypatch.setattr(web, "LOG", tmp_path / "www.log")
    monkeypatch.setattr(web.Handler, "root", directory, raising=False)
    return directory


@pytest.fixture
def port(served: Path) -> Iterator[int]:
    server = web.Server(("127.0.0.1", 0), web.Handler)
    # Closing it then waits for the answers, which would else be logged in the next test.
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    """Status, ETag and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.headers.get("ETag", ""), answer.read()
    finally:
        connection.close()


def test_a_file_is_not_sent_again_to_whoever_has_it(port: int) -> None:
    status, etag, body = get(port, "/images/a.tar")
    assert (status, len(body)) == (200, 300_000)
    assert get(port, "/images/a.tar", If_None_Match=etag) == (304, etag, b"")


def test_without_etags_a_file_is_sent_every_time(port: int) -> None:
    _status, etag, _body = get(port, "/images/a.tar")
    status, none, body = get(port, "/noetag/images/a.tar", If_None_Match=etag)
    assert (status, none, len(body)) == (200, "", 300_000)


def test_a_truncated_file_promises_more_than_it_brings(port: int) -> None:
    with pytest.raises(http.client.IncompleteRead) as error:
        get(port, "/truncated/images/a.tar")
    assert (len(error.value.partial), error.value.expected) == (150_000, 150_000)


def test_a_slow_file_takes_its_time(port: int) -> None:
    start = time.monotonic()
    get(port, "/slow/images/a.tar")
    assert time.monotonic() - start >= (300_000 - web.CHUNK) / web.SLOW


def test_a_file_that_dribbles_comes_byte_by_byte(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DRIBBLE", 0.2)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/dribble/images/SHA256SUMS")
        with connection.getresponse() as response:
            start = time.monotonic()
            assert len(response.read(3)) == 3
    assert time.monotonic() - start >= 0.3


def test_a_head_request_brings_no_body(port: int) -> None:
    assert get(port, "/images/a.tar", method="HEAD")[::2] == (200, b"")


def test_checksums_are_made_when_asked_for(port: int) -> None:
    digest = hashlib.sha256(b"x" * 300_000).hexdigest()
    assert get(port, "/images/SHA256SUMS")[2].decode() == f"{digest} *a.tar\n"
    assert get(port, "/noetag/images/SHA256SUMS")[2].decode() == f"{digest} *a.tar\n"


def test_checksums_follow_the_file(port: int, served: Path) -> None:
    before = get(port, "/images/SHA256SUMS")[2]
    (served / "images" / "a.tar").write_bytes(b"y")
    assert get(port, "/images/SHA256SUMS")[2] != before


def test_checksums_that_a_test_wrote_itself_are_served_as_they_are(port: int, served: Path) -> None:
    (served / "images" / "SHA256SUMS").write_text("forged\n")
    assert get(port, "/images/SHA256SUMS")[2] == b"forged\n"


@pytest.mark.parametrize(
    "path", ["/../www.log", "/images/%2e%2e/%2e%2e/www.log", "/missing", "//etc/passwd"]
)
def test_nothing_outside_the_folder_is_served(port: int, served: Path, path: str) -> None:
    (served.parent / "www.log").write_text("secret\n")
    status, _etag, body = get(port, path)
    assert status == 404
    assert b"secret" not in body


def test_every_request_is_logged_with_its_status_and_size(port: int, served: Path) -> None:
    get(port, "/images/a.tar")
    get(port, "/missing")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = (served.parent / "www.log").read_text().splitlines()
        if len(lines) == 2:
            break
    # Each is answered by a thread of its own, and logged after its answer.
    assert sorted(line.split()[2:] for line in lines) == [
        ["GET", "/images/a.tar", "200", "300000"],
        ["GET", "/missing", "404", "0"],
    ]
