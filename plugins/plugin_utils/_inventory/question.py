# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a host tells of its machines. Private to the collection.

The text of this file is what runs there, given to Python through a pipe: Python 3.9, nothing but
its standard library and systemd's own programs. It only reads. A machine may lie, hang or be
paused: whatever is asked of it has a deadline and a cap, and what it does not tell is missing.

machined is not asked what a machine is: it opens the file itself, and with a FIFO in its place it
would answer nobody for three minutes.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import select
import shlex
import signal
import stat
import sys
import time
import typing as t

# Seconds for one question, and how many are asked at the same time.
PATIENCE = 5.0
AT_ONCE = 12
# Bytes of an answer: of systemd's own, and of what a machine says of itself.
MUCH = 16 * 1024 * 1024
LITTLE = 64 * 1024
RECORD = 1024 * 1024
MOST = 10000
UNKNOWN = 2**64 - 1

RECORDS = "/var/lib/nspawn.machined"
SETTINGS = ("/etc/systemd/nspawn", "/run/systemd/nspawn")
ENABLED = "/etc/systemd/system/machines.target.wants"
IMAGES = (
    "/etc/machines",
    "/run/machines",
    "/var/lib/machines",
    "/var/lib/container",
    "/usr/local/lib/machines",
    "/usr/lib/machines",
)
MACHINED = (
    "org.freedesktop.machine1",
    "/org/freedesktop/machine1",
    "org.freedesktop.machine1.Manager",
)
SYSTEMD = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
)
_LINKS = 40
_LOOK = os.O_PATH | os.O_CLOEXEC


# --- many questions at the same time --------------------------------------------------------


class Asked:
    """A process that answers one question."""

    def __init__(self, act: t.Callable[[], t.Any], limit: int, end: float) -> None:
        self.limit = limit
        self.end = end
        self.text = b""
        self.descriptor, answer = os.pipe()
        self.process = os.fork()
        if not self.process:
            _answer(act, answer)
        os.close(answer)

    def finish(self) -> t.Optional[bytes]:
        """What it said, unless that was too much, or it failed."""
        os.close(self.descriptor)
        fine = len(self.text) <= self.limit
        ended = self._ended() if fine else None
        if ended is None:
            try:
                # Its own children are in its group.
                os.killpg(self.process, signal.SIGKILL)
            except OSError:
                pass
            # It may hang where nothing can end it.
            ended = self._ended()
        return self.text if fine and ended == 0 else None

    def _ended(self) -> t.Optional[int]:
        for _attempt in range(20):
            found, status = os.waitpid(self.process, os.WNOHANG)
            if found:
                return status
            time.sleep(0.002)
        return None


def _answer(act: t.Callable[[], t.Any], answer: int) -> t.NoReturn:
    code = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(answer, 1)
        os.dup2(nothing, 2)
        text = act()
        if text:
            with os.fdopen(1, "wb", closefd=False) as stream:
                stream.write(text)
        code = 0
    finally:
        os._exit(code)


def ask(questions: t.Mapping[t.Any, tuple[t.Callable[[], t.Any], int]], end: float) -> t.Any:
    """The answers, without those that did not come in time."""
    waiting = list(questions.items())[::-1]
    answers: dict[t.Any, bytes] = {}
    running: dict[int, tuple[t.Any, Asked]] = {}
    while (waiting or running) and (running or time.monotonic() < end):
        while waiting and len(running) < AT_ONCE and time.monotonic() < end:
            key, (act, limit) = waiting.pop()
            asked = Asked(act, limit, min(end, time.monotonic() + PATIENCE))
            running[asked.descriptor] = key, asked
        for descriptor in _done(running):
            key, asked = running.pop(descriptor)
            text = asked.finish()
            if text is not None:
                answers[key] = text
    return answers


def _done(running: t.Mapping[int, tuple[t.Any, Asked]]) -> list[int]:
    """Those that have said all, too much, or nothing for too long."""
    poll = select.poll()
    for descriptor in running:
        poll.register(descriptor, select.POLLIN)
    first = min(asked.end for _key, asked in running.values())
    done = []
    for descriptor, _event in poll.poll(max(0.0, first - time.monotonic()) * 1000 + 1):
        asked = running[descriptor][1]
        text = os.read(descriptor, 1 << 16)
        asked.text += text
        if not text or len(asked.text) > asked.limit:
            done.append(descriptor)
    now = time.monotonic()
    late = [one for one, (_key, asked) in running.items() if asked.end <= now and one not in done]
    for descriptor in late:
        running[descriptor][1].limit = -1
    return done + late


def program(*argv: str) -> t.Callable[[], None]:
    """A question that a program answers."""

    def act() -> None:
        os.execvp(argv[0], argv)

    return act


def call(service: tuple[str, str, str], *words: str) -> t.Callable[[], None]:
    """A question that is asked on the bus."""
    patience = f"--timeout={PATIENCE:g}"
    return program("busctl", "--json=short", patience, "call", "--", *service, *words)


def data(text: t.Optional[bytes]) -> t.Any:
    """The first value that a call has returned; nothing when there was none."""
    try:
        return json.loads(text or b"null")["data"][0]
    except (ValueError, TypeError, LookupError):
        return None


# --- files of somebody else -----------------------------------------------------------------


def open_beneath(root: int, path: str) -> int:
    """Look at something as one does for whom O(root) is the root: no link leads out of it."""
    todo, way, links = path.split("/")[::-1], [root], 0
    while todo:
        part = todo.pop()
        if part == "..":
            way = way[:-1] if len(way) > 1 else way
        elif part not in ("", "."):
            found = os.open(part, _LOOK | os.O_NOFOLLOW, dir_fd=way[-1])
            if stat.S_ISLNK(os.fstat(found).st_mode):
                links += 1
                if links > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                target = os.readlink("", dir_fd=found)
                todo += target.split("/")[::-1]
                way = way[:1] if target.startswith("/") else way
            else:
                way.append(found)
    return way[-1]


def text_beneath(root: int, path: str) -> t.Optional[bytes]:
    """The beginning of a file; nothing when it is none."""
    try:
        found = open_beneath(root, path)
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return None
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(f"/proc/self/fd/{found}", flags), "rb") as stream:
            return stream.read(LITTLE - 1)
    except OSError:
        return None


def release(root: int) -> bytes:
    """What a tree says it is."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        text = text_beneath(root, place)
        if text is not None:
            return text
    return b""


def release_of_machine(leader: int, unit: str) -> t.Callable[[], bytes]:
    def act() -> bytes:
        root = os.open(f"/proc/{leader}/root", _LOOK | os.O_DIRECTORY)
        # Looked at afterwards: if it is the machine's now, it was when its root was opened.
        return release(root) if _group(leader, unit) else b""

    return act


def release_of_tree(path: str) -> t.Callable[[], bytes]:
    return lambda: release(os.open(path, _LOOK | os.O_DIRECTORY))


def fields_of(text: t.Optional[bytes]) -> dict[str, str]:
    """The fields of an os-release file that are told."""
    found = {}
    for line in (text or b"").decode("utf-8", "replace").split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and key in ("ID", "VERSION_ID", "PRETTY_NAME"):
            try:
                found[key] = "".join(shlex.split(value))[:256]
            except ValueError:
                continue
    return found


# --- files of the host's own ----------------------------------------------------------------


def read(path: str, limit: int) -> t.Optional[str]:
    """A file that only root of this host can have written; nothing when it cannot be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            text = stream.read(limit + 1)
    except OSError:
        return None
    return text.decode("utf-8", "replace") if len(text) <= limit else None


def may_read(path: str) -> bool:
    """Whether what is not found there is not there."""
    return not os.path.lexists(path) or os.access(path, os.X_OK)


def recorded(subject: str, name: str) -> dict[str, t.Any]:
    """What the collection remembers of one thing."""
    try:
        found = json.loads(read(f"{RECORDS}/{subject}/{name}.json", RECORD) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def zone(name: str) -> t.Optional[str]:
    """The zone of its network, from the one file of settings that systemd believes."""
    text = next(
        (found for place in SETTINGS if (found := read(f"{place}/{name}.nspawn", RECORD))), ""
    )
    section, value = "", None
    for line in text.split("\n"):
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Network]" and line[:1] not in ("#", ";"):
            key, equals, said = line.partition("=")
            if equals and key.strip() == "Zone":
                value = said.strip() or None
    return value


def is_frozen(leader: int, unit: str) -> bool:
    group = _group(leader, unit)
    events = group and read(f"/sys/fs/cgroup{group}/cgroup.events", LITTLE)
    return bool(events) and "frozen 1" in str(events).split("\n")


def _group(leader: int, unit: str) -> t.Optional[str]:
    """The control group of a unit; nothing when the process is none of it."""
    for line in (read(f"/proc/{leader}/cgroup", LITTLE) or "").split("\n"):
        parts = line.partition("::")[2].split("/")
        if unit and unit in parts:
            return "/".join(parts[: parts.index(unit) + 1])
    return None


# --- all of it ------------------------------------------------------------------------------


class Host:
    """This host, of which everything is asked that costs the same however many there are."""

    def __init__(self, end: float) -> None:
        self.end = end
        units = ("ListUnitsByPatterns", "asas", "0", "1", "systemd-nspawn@*.service")
        found = ask(
            {
                "machines": (call(MACHINED, "ListMachines"), MUCH),
                "images": (call(MACHINED, "ListImages"), MUCH),
                "units": (call(SYSTEMD, *units), MUCH),
            },
            end,
        )
        rows = {name: data(found.get(name)) for name in ("machines", "images", "units")}
        self.answers = rows["machines"] is not None and rows["images"] is not None
        self.images = {row[0]: row for row in rows["images"] or [] if row[0][:1] != "."}
        self.units = {row[0]: row[3] for row in rows["units"] or []}
        names = [row[0] for row in rows["machines"] or [] if row[0][:1] != "."]
        self.machines = self._shown(names[:MOST])

    def _shown(self, names: list[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        # One that has gone meanwhile makes it fail; it tells the others all the same.
        line = 'machinectl show -- "$@" || :'
        shown = ask({0: (program("/bin/sh", "-c", line, "sh", *names), MUCH)}, self.end)
        blocks = shown.get(0, b"").decode("utf-8", "replace").split("\n\n")
        found = [dict(line.partition("=")[::2] for line in one.split("\n")) for one in blocks]
        return {one["Name"]: one for one in found if one.get("Name")}

    def state(self, name: str) -> str:
        """One word, the same that machine_info has for it."""
        machine = self.machines.get(name, {})
        unit = machine.get("Unit") or unit_of(name)
        active = self.units.get(unit, "inactive")
        if machine and is_frozen(number(machine.get("Leader")), unit):
            return "paused"
        if active == "activating":
            return "starting"
        if active == "deactivating" or machine.get("State") == "closing":
            return "stopping"
        if machine:
            return "running"
        return "failed" if active == "failed" else "stopped"

    def is_machine(self, name: str) -> bool:
        """Whether an image is a machine that does not run, and not only what others are made of."""
        unit = unit_of(name)
        places = [f"{RECORDS}/machines/{name}.json", f"{ENABLED}/{unit}"]
        places += [f"{place}/{name}.nspawn" for place in SETTINGS]
        known = self.units.get(unit, "inactive") != "inactive"
        return known or any(os.path.lexists(place) for place in places)


def unit_of(name: str) -> str:
    return f"systemd-nspawn@{name}.service"


def number(text: t.Any) -> int:
    return int(text) if str(text).isdigit() else 0


def seconds(moment: t.Any) -> t.Optional[int]:
    """Of microseconds since 1970; nothing when nobody knows."""
    return moment // 1000000 if isinstance(moment, int) and 0 < moment < UNKNOWN else None


def started(machine: t.Mapping[str, str]) -> t.Optional[int]:
    moment = number(machine.get("TimestampMonotonic"))
    return round(time.time() - time.monotonic() + moment / 1e6) if moment else None


def addresses(text: t.Optional[bytes]) -> t.Optional[list[str]]:
    """Those by which the host reaches it, none of its loopback."""
    rows = data(text)
    if not isinstance(rows, list):
        return None
    found = []
    for row in rows[:64]:
        try:
            one = ipaddress.ip_address(bytes(row[1]))
        except (ValueError, TypeError, LookupError):
            continue
        if not one.is_loopback:
            found.append(str(one))
    return found


def path_of(name: str, kind: str) -> str:
    file = f"{name}.raw" if kind == "raw" else name
    paths = [f"{place}/{file}" for place in IMAGES]
    return next((path for path in paths if os.path.lexists(path)), paths[2])


def listed(host: Host, asked: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Everything that is to be told, and whether it is a machine or an image."""
    found = dict.fromkeys(sorted(host.machines), "machine")
    for name in sorted(set(host.images) - set(found)):
        kind = "machine" if host.is_machine(name) else "image"
        if asked["stopped" if kind == "machine" else "images"]:
            found[name] = kind
    return dict(list(found.items())[:MOST])


def questions(host: Host, names: t.Iterable[str]) -> dict[t.Any, t.Any]:
    """What each of them is asked itself."""
    found: dict[t.Any, t.Any] = {}
    for name in names:
        machine = host.machines.get(name)
        if machine is not None:
            leader, unit = number(machine.get("Leader")), machine.get("Unit", "")
            where = call(MACHINED, "GetMachineAddresses", "s", name)
            found["addresses", name] = where, LITTLE
            found["release", name] = release_of_machine(leader, unit), LITTLE
        elif host.images[name][1] in ("directory", "subvolume"):
            path = path_of(name, host.images[name][1])
            found["release", name] = release_of_tree(path), LITTLE
    return found


def told(host: Host, name: str, kind: str, answers: t.Mapping[t.Any, bytes]) -> dict[str, t.Any]:
    """All of one machine or image."""
    machine = host.machines.get(name, {})
    image = host.images.get(name) or [name, None, None, None, None]
    record = recorded("machines", name)
    origin = recorded("images", name)
    template = record.get("image") or (
        origin.get("source") if origin.get("kind") == "clone" else ""
    )
    parent = host.images.get(template) if isinstance(template, str) and template else None
    release = fields_of(answers.get(("release", name)))
    return {
        "name": name,
        "kind": kind,
        "state": host.state(name) if kind == "machine" else "image",
        "class": machine.get("Class"),
        "service": machine.get("Service"),
        "unit": machine.get("Unit") or (unit_of(name) if kind == "machine" else None),
        "started": started(machine),
        "addresses": addresses(answers.get(("addresses", name))),
        "os": release.get("ID"),
        "os_version": release.get("VERSION_ID"),
        "os_name": release.get("PRETTY_NAME"),
        "zone": zone(name) if kind == "machine" else None,
        "type": image[1],
        "read_only": image[2],
        "created": seconds(image[3]),
        "modified": seconds(image[4]),
        "image": template or None,
        # Of a subvolume nobody knows; one that is replaced is made anew.
        "image_changed": (seconds(parent[4]) or seconds(parent[3])) if parent else None,
        "declared": bool(record) if may_read(RECORDS) else None,
        "owner": record.get("owner"),
        "vars": record.get("vars") or {},
    }


def main(hello: str, asked: t.Mapping[str, t.Any]) -> None:
    """Say it all in one line that begins with a word that nothing else begins with."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
    os.environ["LC_ALL"] = "C"
    host = Host(time.monotonic() + asked["seconds"])
    answer: dict[str, t.Any] = {"asked": round(time.time())}
    if host.answers:
        names = listed(host, asked)
        answers = ask(questions(host, names), host.end)
        answer["found"] = [told(host, name, kind, answers) for name, kind in names.items()]
    else:
        answer["error"] = "systemd-machined does not answer; systemd-container has to be installed"
    print(f"\n{hello} {json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
