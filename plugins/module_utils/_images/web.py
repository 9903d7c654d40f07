# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Asking servers that may mean harm.

Private to the collection. Credentials go to the server that they are for and to no other. What a
server says has an end: it is read no further than it is wanted, and a thread of its own closes the
connection when our patience ends, wherever we wait: for a name, a handshake, a header, a byte.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .._core.plan import Failure
from .._core.printable import printable
from . import addresses
from .addresses import Address
from .patience import Pace, Patience

STALL_TIMEOUT = 30
USER_AGENT = "nspawn.machined"
TICK = 0.25


class Refused(Failure):
    """What was asked for is not to be had; a file beside it may be."""


class UrlRefused(Refused):
    """A server that answered, but with an error."""

    def __init__(self, shown: str, status: int) -> None:
        # In its own words a server may repeat what it was sent, or command a terminal.
        phrase = http.client.responses.get(status, "")
        super().__init__(
            f"{shown}: the server answered {status} {phrase}. Expected 200 OK; check the URL, and "
            "whether it wants a password or a header",
            status=status,
        )
        self.status = status


# --- patience -------------------------------------------------------------------------------


class _Watch:
    """Closes the connections of one request when it takes too long, and knows why it did."""

    def __init__(self, shown: str, patience: Patience) -> None:
        self._shown = shown
        self._patience = patience
        self.pace = Pace(patience.least_rate, patience.window)
        self._verdict: t.Optional[Failure] = None
        self._held: list[socket.socket] = []
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()
        for held in self._held:
            held.close()

    def check(self) -> None:
        """Raise why the connection was closed, if it was we who did it or are just about to."""
        if self._verdict:
            raise self._verdict
        self._patience.deadline.left()

    def _watch(self) -> None:
        while not self._end.wait(TICK):
            self._verdict = self._judge()
            if self._verdict:
                self._close()
                return

    def _judge(self) -> t.Optional[Failure]:
        try:
            self._patience.deadline.left()
        except Failure as failure:
            return failure
        if not self.pace.is_too_slow():
            return None
        least, window = self._patience.least_rate, self._patience.window
        return Failure(
            f"{self._shown}: the server sends less than {least} bytes a second, for {window:g} s "
            f"already ({self.pace.count} bytes have come). Nothing of it is kept; try it later or "
            "elsewhere, or allow less with least_rate"
        )

    def _close(self) -> None:
        with self._lock:
            for held in self._held:
                with contextlib.suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)

    def connect(
        self, address: tuple[str, int], timeout: float, _source: t.Optional[t.Any] = None
    ) -> socket.socket:
        """As C(socket.create_connection), but all addresses of a name have one patience."""
        host, port = address
        refused: t.Optional[OSError] = None
        for family, kind, protocol, _name, where in socket.getaddrinfo(
            host, port, 0, socket.SOCK_STREAM
        ):
            self.check()
            connection = socket.socket(family, kind, protocol)
            try:
                self._hold(connection)
                connection.settimeout(min(timeout, self._patience.deadline.left()))
                connection.connect(where)
            except OSError as error:
                refused = error
                connection.close()
            else:
                return connection
        raise refused or OSError(f"no address of {host} is known")

    def _hold(self, connection: socket.socket) -> None:
        """A second descriptor: TLS takes the first one away from its object."""
        with self._lock:
            self._held.append(connection.dup())


# --- asking ---------------------------------------------------------------------------------


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone, from https never to http, and takes no credentials along."""

    def __init__(self, address: Address) -> None:
        self._secret = {name.lower() for name in address.headers}

    def http_error_302(
        self, req: urllib.request.Request, fp: t.Any, code: int, msg: str, headers: t.Any
    ) -> t.Any:
        # It would be read to its end, if it had one.
        fp.close()
        to = headers.get("location") or headers.get("uri")
        if to:
            _check_redirect(req.full_url, urllib.parse.urljoin(req.full_url, to))
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: t.Any,
        code: int,
        msg: str,
        headers: t.Any,
        newurl: str,
    ) -> t.Optional[urllib.request.Request]:
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)
        if followed is None:
            return None
        followed.method = req.get_method()
        # The proxy's word is added anew if there is a proxy on this way too.
        elsewhere = addresses.origin(newurl) != addresses.origin(req.full_url)
        gone = {"proxy-authorization"} | (self._secret if elsewhere else set())
        for name in [name for name in followed.headers if name.lower() in gone]:
            del followed.headers[name]
        return followed


def _check_redirect(url: str, to: str) -> None:
    parts, safe = urllib.parse.urlsplit(to), urllib.parse.urlsplit(url).scheme == "https"
    # Whose word a user in it would be, and for whom, only the server knows.
    if parts.scheme not in (("https",) if safe else ("http", "https")) or "@" in parts.netloc:
        raise Failure(
            f"{addresses.shown(url)} redirects to {addresses.shown(to)}, which is not followed"
        )


class _Connections(urllib.request.AbstractHTTPHandler):
    """Makes the connections of one request, all of them under watch."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._secure_connection, req)

    def _connection(self, host: str, **arguments: t.Any) -> http.client.HTTPConnection:
        return self._watched(http.client.HTTPConnection(host, **arguments))

    def _secure_connection(self, host: str, **arguments: t.Any) -> http.client.HTTPConnection:
        made = http.client.HTTPSConnection(host, context=_authorities(), **arguments)
        return self._watched(made)

    def _watched(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        connection._create_connection = self._watch.connect  # type: ignore[attr-defined]
        return connection

    http_request = urllib.request.AbstractHTTPHandler.do_request_
    https_request = urllib.request.AbstractHTTPHandler.do_request_


@functools.cache
def _authorities() -> ssl.SSLContext:
    """Those of the host; they are read from the disk once."""
    return ssl.create_default_context()


def _opener(watch: _Watch, address: Address) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Connections(watch),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(address),
    ):
        opener.add_handler(handler)
    return opener


class Answer:
    """What a server answers, as it comes."""

    def __init__(self, response: http.client.HTTPResponse, watch: _Watch, address: Address) -> None:
        self._response = response
        self._watch = watch
        self._address = address
        self.headers = response.headers
        self.chunked = bool(response.chunked)

    def read1(self, size: int) -> bytes:
        """The next bytes, as many as have come; none at the end."""
        try:
            with self._watch.pace.waiting():
                data = self._response.read1(size)
        except (OSError, http.client.HTTPException) as error:
            self._watch.check()
            raise Failure(
                f"{self._address.shown}: broken off after {self._watch.pace.count} bytes: "
                f"{_reason(error)}. Nothing of it is kept; run it again"
            ) from None
        if not data:
            self._watch.check()  # a connection that we closed looks like the end
        self._watch.pace.came(len(data))
        return data

    def read(self, limit: int) -> bytes:
        """All that comes, but no more than the limit."""
        data = bytearray()
        while len(data) < limit:
            chunk = self.read1(limit - len(data))
            if not chunk:
                break
            data += chunk
        return bytes(data)


@contextlib.contextmanager
def asked(
    address: Address,
    patience: Patience,
    *,
    method: str = "GET",
    headers: t.Optional[t.Mapping[str, str]] = None,
) -> t.Iterator[Answer]:
    """Ask a server; what it refuses becomes an error that names the URL."""
    # Without it a server may compress on the way, and checksums and lengths are of other bytes.
    ours = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})}
    request = urllib.request.Request(
        address.url, headers={**ours, **address.headers}, method=method
    )
    with _Watch(address.shown, patience) as watch:
        with watch.pace.waiting(), _refusals(address, watch):
            stall = min(STALL_TIMEOUT, patience.deadline.left())
            response = _opener(watch, address).open(request, timeout=stall)
        with t.cast("http.client.HTTPResponse", response):
            yield Answer(t.cast("http.client.HTTPResponse", response), watch, address)


@contextlib.contextmanager
def _refusals(address: Address, watch: _Watch) -> t.Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        watch.check()
        raise UrlRefused(address.shown, error.code) from None
    except (http.client.InvalidURL, ValueError):
        # What it says repeats the URL, also that of a redirect.
        raise Failure(f"{address.shown} leads to a URL that cannot be asked for") from None
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        watch.check()
        raise Failure(f"{address.shown} cannot be reached: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What went wrong, without a line that a server has sent."""
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, http.client.HTTPException):
        return f"it does not speak HTTP as expected ({type(cause).__name__})"
    return printable(str(cause))
