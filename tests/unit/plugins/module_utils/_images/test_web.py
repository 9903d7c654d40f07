# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
import typing as t
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._images import addresses, web
from ansible_collections.nspawn.machined.plugins.module_utils._images.patience import (
    Deadline,
    Patience,
)

Serve = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server:
    """A server of this machine; what it was asked is kept."""

    def __init__(self, serve: Serve) -> None:
        self.asked: list[dict[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append({k.lower(): v for k, v in self.headers.items()})
                with contextlib.suppress(OSError):
                    serve(self)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/a"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


Start = Callable[[Serve], Server]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    servers: list[Server] = []

    def begin(serve: Serve) -> Server:
        servers.append(Server(serve))
        return servers[-1]

    yield begin
    for server in servers:
        server.end()


def patience(seconds: float = 20, least_rate: int = 0, window: float = 60) -> Patience:
    return Patience(Deadline(seconds, "the test"), least_rate, window)


def ask(url: str, headers: t.Optional[dict[str, str]] = None, **fields: t.Any) -> bytes:
    with web.asked(addresses.of(url, headers), patience(**fields)) as answer:
        return answer.read(1 << 20)


def answer(handler: http.server.BaseHTTPRequestHandler, body: bytes = b"body") -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def moved(to: str) -> Serve:
    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()

    return serve


# --- credentials ----------------------------------------------------------------------------


def test_credentials_go_to_the_server_that_they_are_for(start: Start) -> None:
    server = start(answer)
    url = server.url.replace("http://", "http://me:word@")
    assert ask(url, {"X-Token": "token"}) == b"body"
    assert server.asked[0]["authorization"] == "Basic bWU6d29yZA=="
    assert server.asked[0]["x-token"] == "token"
    assert "word" not in server.asked[0]["host"]


def test_credentials_are_not_taken_along_to_another_server(start: Start) -> None:
    there = start(answer)
    here = start(moved(there.url))
    url = here.url.replace("http://", "http://me:word@")
    assert ask(url, {"X-Token": "token", "cookie": "c=1"}) == b"body"
    assert here.asked[0]["x-token"] == "token"
    assert not {"authorization", "x-token", "cookie"} & set(there.asked[0])
    assert there.asked[0]["user-agent"] == web.USER_AGENT


def test_credentials_do_not_come_back_over_another_server(start: Start) -> None:
    where: dict[str, str] = {}

    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.path == "/a":
            moved(where["there"])(handler)
        else:
            answer(handler)

    here = start(serve)
    where["there"] = start(moved(here.url + "gain")).url
    assert ask(here.url, {"X-Token": "token"}) == b"body"
    assert "x-token" in here.asked[0] and "x-token" not in here.asked[1]


def test_credentials_stay_on_a_redirect_of_the_same_server(start: Start) -> None:
    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        (moved("/b") if handler.path == "/a" else answer)(handler)

    server = start(serve)
    assert ask(server.url, {"X-Token": "token"}) == b"body"
    assert [one["x-token"] for one in server.asked] == ["token", "token"]


def test_the_word_for_a_proxy_does_not_go_to_whom_needs_none(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = start(answer)
    proxy = start(moved(there.url))
    monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:word@"))
    assert ask("http://images.example.org/a") == b"body"
    assert "proxy-authorization" in proxy.asked[0]
    assert "proxy-authorization" not in there.asked[0]


@pytest.mark.parametrize(
    "to",
    [
        "file:///etc/hostname",
        "ftp://127.0.0.1/a?planted",
        "http://me:planted@127.0.0.1:1/a",
        "http://[planted/a",
    ],
)
def test_redirects_to_elsewhere_are_not_followed(start: Start, to: str) -> None:
    server = start(moved(to))
    with pytest.raises(Failure, match=r"is not followed|cannot be asked for") as raised:
        ask(f"{server.url}?s=planted")
    assert "planted" not in raised.value.message


def test_an_error_names_the_url_without_its_word(start: Start) -> None:
    server = start(lambda handler: handler.send_error(404))
    with pytest.raises(web.UrlRefused, match=r"/a\?…: the server answered 404") as raised:
        ask(server.url.replace("http://", "http://me:planted@") + "?s=planted")
    assert "planted" not in raised.value.message


@pytest.mark.parametrize(
    "answered",
    [
        b"HTTP/1.0 403 planted \x1b[2J\r\n\r\n",
        b"planted \x1b[2J\r\n\r\n",
        b"HTTP/1.0 2planted\r\n\r\n",
    ],
)
def test_what_a_server_says_in_its_own_words_is_not_repeated(start: Start, answered: bytes) -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(answered)

    server = start(answer)
    with pytest.raises(Failure) as raised:
        ask(server.url)
    assert "planted" not in raised.value.message
    assert raised.value.message.isprintable()


def test_the_body_of_a_redirect_is_not_read(start: Start) -> None:
    there = start(answer)

    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        moved(there.url)(handler)
        while True:
            handler.wfile.write(b"x" * 65536)

    assert ask(start(serve).url, seconds=10) == b"body"


# --- patience -------------------------------------------------------------------------------


def dribble(handler: http.server.BaseHTTPRequestHandler, data: bytes, pause: float = 0.05) -> None:
    for number in range(len(data)):
        handler.wfile.write(data[number : number + 1])
        time.sleep(pause)


def in_the_body(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    dribble(handler, b"x" * 10_000)


def in_the_header(handler: http.server.BaseHTTPRequestHandler) -> None:
    dribble(handler, b"HTTP/1.0 200 OK\r\nX-Long: " + b"x" * 10_000)


def in_a_chunk_size(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    dribble(handler, b"0" * 10_000)


WAYS = [in_the_body, in_the_header, in_a_chunk_size]


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_dribbles_is_left_after_the_window(start: Start, way: Serve) -> None:
    url = start(way).url
    since = time.monotonic()
    with pytest.raises(Failure, match=r"sends less than 1000 bytes a second, for 0\.5 s"):
        ask(url, least_rate=1000, window=0.5)
    assert time.monotonic() - since < 3


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_dribbles_does_not_outlast_the_deadline(start: Start, way: Serve) -> None:
    url = start(way).url
    since = time.monotonic()
    with pytest.raises(Failure, match=r"the test was not done within 0\.5 s"):
        ask(url, seconds=0.5)
    assert time.monotonic() - since < 3


def test_a_server_that_takes_the_connection_and_says_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/a"
        with pytest.raises(Failure, match="sends less than"):
            ask(url, least_rate=1000, window=0.5)
        with pytest.raises(Failure, match="was not done within"):
            ask(url.replace("http:", "https:"), seconds=0.5)


def test_nothing_is_left_of_a_request(start: Start) -> None:
    server = start(answer)
    before = threading.active_count()
    for _time in range(5):
        ask(server.url)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_what_is_read_has_an_end_also_when_the_answer_has_none(start: Start) -> None:
    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    assert len(ask(start(serve).url)) == 1 << 20
