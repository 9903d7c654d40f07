# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is killed and what is looked at: a slow http server, an image, the module as a process.

Runs on a host, with the collection and its tests in PYTHONPATH.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import json
import random
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVED = HERE / "served"
MACHINES = Path("/var/lib/machines")
RECORDS = Path("/var/lib/nspawn.machined/images")
PROGRESS = Path("/run/nspawn.machined/progress")
SETTINGS = Path("/etc/systemd/nspawn")
UNITS = Path("/etc/systemd/system")
NAME = "killed"
OTHER = "killed-other"
STAGED = MACHINES / f".#nspawn-machined.{NAME}"
PORT = 18080
FILES = 400
SIZE = 40_000
RATE = 24 << 20


class Slow(http.server.SimpleHTTPRequestHandler):
    """Takes most of a second for a file, and tells a change by an ETag."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        self._begin(path)
        with path.open("rb") as stream, contextlib.suppress(ConnectionError):
            for chunk in iter(lambda: stream.read(1 << 18), b""):
                self.wfile.write(chunk)
                time.sleep(len(chunk) / RATE)

    def do_HEAD(self) -> None:
        self._begin(Path(self.translate_path(self.path)))

    def _begin(self, path: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve() -> None:
    handler = functools.partial(Slow, directory=str(SERVED))
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), handler).serve_forever()


class Server:
    """The http server, as a process that can be killed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        if self.process and self.process.poll() is None:
            return
        self.process = subprocess.Popen([sys.executable, __file__])
        for _attempt in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
                return
            time.sleep(0.02)
        raise SystemExit("the http server did not start")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


# --- the module -----------------------------------------------------------------------------


def converge(images: list[dict[str, object]]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "converge.py"), json.dumps(images)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def answer(module: subprocess.Popen[bytes]) -> dict[str, object] | None:
    """What the module said; nothing when it was killed."""
    out, err = module.communicate(timeout=120)
    if module.returncode < 0:
        return None
    try:
        said: dict[str, object] = json.loads(out)
    except ValueError:
        raise SystemExit(f"the module broke: {err.decode()}") from None
    return said


def outcome(images: list[dict[str, object]]) -> dict[str, object]:
    said = answer(converge(images))
    if said is None:
        raise SystemExit("the module was killed by somebody else")
    return said


def importers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/systemd-import") and NAME.encode() in b" ".join(words):
                found.append(int(entry.name))
    return found


# --- sources and images ---------------------------------------------------------------------


def archive(seed: int, path: Path, files: int) -> None:
    """A tar of many files; the same name has other contents with another seed."""
    chance = random.Random(seed)
    with tarfile.open(path, "w") as into:
        for name in ("usr", "etc"):
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            into.addfile(info)
        for number in range(files):
            info = tarfile.TarInfo(f"./usr/file-{number}")
            info.size = SIZE
            into.addfile(info, io.BytesIO(chance.randbytes(SIZE)))


def make_sources(files: int = FILES) -> None:
    for number, which in enumerate(("old", "new")):
        archive(number, HERE / f"{which}.tar", files)
    SERVED.mkdir(exist_ok=True)


def offer(which: str) -> None:
    """Serve one of the two archives under the name that is always the same."""
    new = SERVED / "image.new"
    shutil.copyfile(HERE / f"{which}.tar", new)
    new.rename(SERVED / "image.tar")


def source(way: str) -> dict[str, object]:
    if way == "import":
        return {"path": str(SERVED / "image.tar")}
    return {"url": f"http://127.0.0.1:{PORT}/image.tar", "verify": "none"}


def fingerprint(name: str = NAME) -> str | None:
    """Of all files of an image; nothing when there is no image."""
    root = MACHINES / name
    if not root.exists():
        return None
    digest = hashlib.sha256()
    for path in sorted((root / "usr").iterdir()):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def left() -> list[str]:
    """What should not be there when nothing runs."""
    found = [
        str(path)
        for folder in (MACHINES, SETTINGS)
        if folder.exists()
        for path in folder.iterdir()
        if path.name.startswith(".")
    ]
    for folder in (RECORDS, PROGRESS):
        if folder.exists():
            found += [str(path) for path in folder.iterdir() if not path.name.endswith(".json")]
    if PROGRESS.exists():
        found += [str(path) for path in PROGRESS.iterdir()]
    return found


def remove_all() -> None:
    outcome([{"name": name, "state": "absent"} for name in (NAME, OTHER)])


if __name__ == "__main__":
    serve()
