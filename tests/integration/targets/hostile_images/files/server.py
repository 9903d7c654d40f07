# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server on the host itself, for what the one on the test network cannot show.

Run with a folder and the certificate of localhost. It serves the folder over http and https, and
  /private/PATH    only with the user me and the word planted-word, or with a token
  /token/PATH      only with the header X-Token: planted-token
  /moved/PATH      is PATH, on the same server
  /elsewhere/PATH  is PATH, on another port of this host, so on another server
  /plain/PATH      is PATH, over plain http
  /echo/PATH       an error that says the credentials that it was given
What it was sent, header by header, is in the file FOLDER/../requests.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import ssl
import sys
import threading
from pathlib import Path

HTTP, HTTPS, OTHER = 18080, 18443, 18444
WORDS = {
    "private": ("Authorization", f"Basic {base64.b64encode(b'me:planted-word').decode()}"),
    "token": ("X-Token", "planted-token"),
}
LOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    root: Path
    secure = False

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def answer(self, *, with_body: bool) -> None:
        port = self.connection.getsockname()[1]
        seen = {"port": port, "path": self.path, "headers": dict(self.headers.items())}
        with LOCK, (self.root.parent / "requests").open("a") as log:
            log.write(json.dumps(seen) + "\n")
        _empty, way, *rest = self.path.split("?")[0].split("/")
        inner = "/".join(rest)
        scheme = "https" if self.secure else "http"
        if way == "moved":
            self.move(f"{scheme}://localhost:{port}/{inner}")
        elif way == "elsewhere":
            self.move(f"https://localhost:{OTHER}/{inner}?Signature=planted-signature")
        elif way == "plain":
            self.move(f"http://localhost:{HTTP}/{inner}")
        elif way == "echo":
            self.send_error(403, f"no {self.headers.get('Authorization')} planted-word here")
        elif way in WORDS and self.headers.get(WORDS[way][0]) != WORDS[way][1]:
            self.send_error(401)
        else:
            self.file(inner if way in WORDS else f"{way}/{inner}", with_body)

    def move(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def file(self, inner: str, with_body: bool) -> None:
        path = self.root / inner.strip("/")
        if path.name == "SHA256SUMS" and not path.exists():
            files = [file for file in path.parent.iterdir() if file.suffix == ".xz"]
            sums = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files]
            body = "".join(sums).encode()
        elif path.is_file():
            body = path.read_bytes()
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()[:16]}"')
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class SecureHandler(Handler):
    secure = True


def main() -> None:
    Handler.root, certificate = Path(sys.argv[1]), sys.argv[2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", HTTP), Handler)]
    for port in (HTTPS, OTHER):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), SecureHandler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
