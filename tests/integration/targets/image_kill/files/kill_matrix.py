# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill everything that takes part in making an image, at random moments, and look what is left.

Run on a host, from the folder that holds ansible_collections: kill_matrix.py TIMES [SEED]
Every combination of a way (pull, import, replacement) and a victim (the module, systemd-import,
the http server) is tried that many times. After each kill the image must be whole or not there,
the old one or the new one; then a run must converge, another one do nothing, and nothing be left.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import signal
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
NAME = "killed"
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
        self.process = subprocess.Popen([sys.executable, __file__, "serve"])
        for _attempt in range(200):
            with contextlib.suppress(OSError):
                import socket

                socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
                return
            time.sleep(0.02)
        raise SystemExit("the http server did not start")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def archive(seed: int, path: Path) -> None:
    """A tar of many files; the same name has other contents with another seed."""
    chance = random.Random(seed)
    with tarfile.open(path, "w") as into:
        for name in ("usr", "etc"):
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            into.addfile(info)
        for number in range(FILES):
            info = tarfile.TarInfo(f"./usr/file-{number}")
            info.size = SIZE
            into.addfile(info, io.BytesIO(chance.randbytes(SIZE)))


def fingerprint() -> str | None:
    """Of all files of the image; nothing when there is no image."""
    root = MACHINES / NAME
    if not root.exists():
        return None
    digest = hashlib.sha256()
    for path in sorted((root / "usr").iterdir()):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def converge(images: list[dict[str, object]]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.Popen(
        [sys.executable, str(HERE / "converge.py"), json.dumps(images)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def outcome(images: list[dict[str, object]]) -> dict[str, object]:
    out, err = converge(images).communicate(timeout=120)
    try:
        answer: dict[str, object] = json.loads(out)
    except ValueError:
        raise SystemExit(f"the module broke: {err.decode()}") from None
    return answer


def importers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/systemd-import") and b"killed" in b" ".join(words):
                found.append(int(entry.name))
    return found


def left() -> list[str]:
    """What should not be there when nothing runs."""
    found = [str(path) for path in MACHINES.iterdir() if path.name.startswith(".")]
    for folder in (RECORDS, PROGRESS):
        if folder.exists():
            found += [str(path) for path in folder.iterdir() if not path.name.endswith(".json")]
    if PROGRESS.exists():
        found += [str(path) for path in PROGRESS.iterdir()]
    return found


def touch(which: str, into: str) -> None:
    """Serve one of the two archives under the name that is always the same."""
    target = SERVED / into
    new = target.with_suffix(".new")
    shutil.copyfile(HERE / which, new)
    new.rename(target)


class Matrix:
    """All combinations, and what they led to."""

    def __init__(self, times: int, seed: int) -> None:
        self.times = times
        self.chance = random.Random(seed)
        self.server = Server()
        self.prints: dict[str, str | None] = {}
        self.rows: list[dict[str, object]] = []
        self.wrong: list[str] = []

    def wanted(self, way: str) -> list[dict[str, object]]:
        source = {"path": str(SERVED / "image.tar")}
        if way != "import":
            source = {"url": f"http://127.0.0.1:{PORT}/image.tar", "verify": "none"}
        return [{"name": NAME, "update": way == "replacement", **source}]

    def begin(self, way: str) -> None:
        self.server.start()
        outcome([{"name": NAME, "state": "absent"}])
        touch("old.tar", "image.tar")
        if way == "replacement":
            self.run(way)
            touch("new.tar", "image.tar")

    def run(self, way: str) -> float:
        started = time.monotonic()
        result = outcome(self.wanted(way))
        if result["failure"]:
            self.wrong.append(f"{way}: {result['failure']}")
        return time.monotonic() - started

    def one(self, way: str, victim: str, longest: float) -> tuple[str, float]:
        self.begin(way)
        before = fingerprint()
        module = converge(self.wanted(way))
        if victim == "importer":
            # It comes late; before that there would be nobody to kill.
            while not importers() and module.poll() is None:
                time.sleep(0.005)
            longest /= 2
        moment = self.chance.uniform(0, longest)
        time.sleep(moment)
        hit = self.kill(victim, module)
        module.wait(timeout=120)
        found = fingerprint()
        after = self.prints["new" if way == "replacement" else "old"]
        where = f"{way}, {victim} killed after {moment:.3f} s"
        if found not in (before, after):
            self.wrong.append(f"{where}: the image is neither the old nor the new one")
        self.server.start()
        self.run(way)
        if fingerprint() != after:
            self.wrong.append(f"{where}: the next run did not converge")
        again = outcome(self.wanted(way))
        if again["plan"] or again["failure"]:
            self.wrong.append(f"{where}: another run still did {again}")
        if left():
            self.wrong.append(f"{where}: left {left()}")
        return (
            "missed"
            if not hit
            else "none"
            if found is None
            else "old"
            if found == before
            else "new"
        ), moment

    def kill(self, victim: str, module: subprocess.Popen[bytes]) -> bool:
        if victim == "module":
            ended = module.poll() is not None
            module.kill()
            return not ended
        if victim == "server":
            self.server.stop()
            return module.poll() is None
        pids = importers()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def all(self) -> None:
        for number, which in enumerate(("old", "new")):
            archive(number, HERE / f"{which}.tar")
        SERVED.mkdir(exist_ok=True)
        for which in ("old", "new"):
            outcome([{"name": NAME, "state": "absent"}])
            touch(f"{which}.tar", "image.tar")
            self.run("import")
            self.prints[which] = fingerprint()
        for way in ("pull", "import", "replacement"):
            self.begin(way)
            longest = self.run(way)
            for victim in ("module", "importer", "server"):
                if (way, victim) == ("import", "server"):
                    continue
                found = [self.one(way, victim, longest) for _time in range(self.times)]
                states = [state for state, _moment in found]
                self.rows.append(
                    {
                        "way": way,
                        "victim": victim,
                        "kills": len(found),
                        "whole": round(longest, 2),
                        **{state: states.count(state) for state in sorted(set(states))},
                    }
                )

    def end(self) -> None:
        outcome([{"name": NAME, "state": "absent"}])
        self.server.stop()
        shutil.rmtree(SERVED)
        if (MACHINES / NAME).exists() or left():
            self.wrong.append(f"in the end: left {left()}")


def main() -> None:
    if sys.argv[1] == "serve":
        serve()
    matrix = Matrix(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    try:
        matrix.all()
    finally:
        matrix.end()
    print(json.dumps({"rows": matrix.rows, "wrong": matrix.wrong}, indent=1))


if __name__ == "__main__":
    main()
