# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Addresses of images: what may be shown and kept of them, and what only their server may know.

Private to the collection. Pure.
"""

from __future__ import annotations

import base64
import dataclasses
import re
import typing as t
import urllib.parse

from .._core.plan import Failure

HIDDEN = "…"
# What these say is ours to say: of which bytes an answer is, and how its end is told.
_OURS = (
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "range",
    "te",
    "transfer-encoding",
)
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_ASCII = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}"

Origin = tuple[str, str, t.Optional[int]]


@dataclasses.dataclass(frozen=True)
class Address:
    """Where something is fetched from.

    What is secret of it is in no repr: messages, records and diffs have C(shown) alone.
    """

    shown: str
    """Without a user, a password, and the values of a query."""
    url: str = dataclasses.field(repr=False)
    """As it is asked for: with the query, but without the user and the password."""
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """What goes with each request to this server, and to no other."""

    def beside(self, name: str) -> Address:
        """Another file in the same directory."""
        parts = urllib.parse.urlsplit(self.url)
        path = f"{parts.path.rpartition('/')[0]}/{name}"
        url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        return Address(url, url, self.headers)

    @property
    def path(self) -> str:
        return urllib.parse.unquote(urllib.parse.urlsplit(self.url).path)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.rpartition("/")[2]

    @property
    def is_file(self) -> bool:
        """It is a file of this host."""
        return self.url.startswith("file:")

    @property
    def is_private(self) -> bool:
        """Nobody on the way can change what comes, nor make it up."""
        return self.url.startswith("https:")


def of(url: str, headers: t.Optional[t.Mapping[str, str]] = None) -> Address:
    """The address that a user has given; a user and a password in it become a header."""
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    sent = dict(headers or {})
    if at:
        word = urllib.parse.unquote_to_bytes(user if ":" in user else f"{user}:")
        sent["Authorization"] = f"Basic {base64.b64encode(word).decode()}"
    # What is not ASCII cannot be asked for; what is quoted already stays as it is.
    path, query = (urllib.parse.quote(part, _ASCII) for part in (parts.path, parts.query))
    plain = urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))
    return Address(shown(url), plain, sent)


def shown(url: str) -> str:
    """A URL as it may be read by everybody: links that are signed bear their word in the query."""
    if _wrong_with(url):
        return _shown_of_broken(url)
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = HIDDEN if parts.query else ""
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, query, ""))


def _shown_of_broken(url: str) -> str:
    """Nobody knows where the password ends in a URL that is none, so up to the last C(@)."""
    before, at, after = url.rpartition("@")
    if at:
        scheme = re.match(r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?", before)
        url = f"{scheme.group() if scheme else ''}{HIDDEN}@{after}"
    path, mark, _query = url.replace("#", "?").partition("?")
    return f"{path}{mark}{HIDDEN if mark else ''}"


def _netloc(url: str) -> str:
    try:
        return urllib.parse.urlsplit(url).netloc
    except ValueError:
        return ""


def origin(url: str) -> Origin:
    """The server that a URL is of: credentials are for one alone."""
    parts = urllib.parse.urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or usual


def check(url: str) -> None:
    """Refuse what is not a plain http, https or file URL."""
    wrong = _wrong_with(url)
    if wrong:
        raise Failure(
            f"url {shown(url)!r}: {wrong}. Expected http://HOST/PATH, https://HOST/PATH or "
            "file:///PATH"
        )


def _wrong_with(url: str) -> t.Optional[str]:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        # What it says itself would repeat a part of the URL, perhaps of the password.
        return "it cannot be taken apart; in a user or a password, write / as %2F, # as %23"
    if not url.isprintable() or " " in url:
        return "it contains spaces or control characters"
    if parts.scheme not in ("http", "https", "file"):
        return f"its scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme"
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            return "it names a host, but a file URL is about this host"
        return None if parts.path.startswith("/") else "its path is not absolute"
    if not parts.hostname or port == 0:
        return "it names no host"
    return None if parts.path.strip("/") else "it names no file"


def check_headers(url: t.Optional[str], headers: t.Mapping[str, str]) -> None:
    """Refuse headers that cannot be sent, or would not be what they seem to be; name no value."""
    if headers and (url is None or urllib.parse.urlsplit(url).scheme not in ("http", "https")):
        raise Failure("headers are sent to a server; they belong to a url of http or https")
    for name, value in headers.items():
        if not isinstance(value, str):
            raise Failure(f"headers: {name} has no value; expected a text")
        if not _FIELD_NAME.fullmatch(name):
            raise Failure(f"headers: {name!r} is no name of a header")
        if name.lower() in _OURS:
            raise Failure(f"headers: {name} is not to be given; what it says is settled already")
        if not value.isprintable() or not _is_latin1(value):
            raise Failure(
                f"headers: the value of {name} contains control characters, or such that no header "
                "can have. Expected printable Latin-1"
            )
    given = any(name.lower() == "authorization" for name in headers)
    if given and "@" in _netloc(url or ""):
        raise Failure("headers: Authorization is given, and a user in the URL; leave one out")


def _is_latin1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True
