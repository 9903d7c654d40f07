# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make calls as an ordinary user, and tell what became of each.

Usage: on_host.py granted TABLE USER SESSION RIGHT,... | refused TABLE USER SESSION
SESSION is "session" for a login session, or "none". Prints JSON. It runs on the host and needs
nothing but Python there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
import time
import typing as t

MACHINES = ("lab", "lab2", "lab-x")
# What guards say: polkit through whom it was asked, the bus, and the kernel.
DENIAL = re.compile(
    r"(?i)interactive ?authentication ?required|access denied|permission ?denied|not authorized"
    r"|not permitted"
)
# Before, anybody may ask for a machine's status.
STATUS_IS_GUARDED_SINCE = 262
# What calls that were let through would leave behind.
TRACES = ("/etc/systemd", "/run/systemd/system", "/run/systemd/system.control")
DEADLINE = 40


@dataclasses.dataclass(frozen=True)
class Call:
    """One line of a table."""

    word: str
    since: int
    shows: str
    command: str


def version() -> int:
    return int(output("systemctl", "--version").split()[1])


def calls(path: str, columns: int) -> list[Call]:
    """The calls that this host's systemd has."""
    newest = version()
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                *words, command = line.strip().split(None, columns - 1)
                word, since = words[0], int(words[1])
                if since <= newest:
                    found.append(Call(word, since, words[2] if columns == 4 else "", command))
    return found


def output(*argv: str) -> str:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode(errors="replace")


def attempt(call: Call, user: str, session: str) -> tuple[int, str]:
    """Make a call as the user, with nobody there who could enter a password."""
    argv = shlex.split(call.command.replace("USER", user))
    if argv[0] in ("systemctl", "machinectl", "systemd-run", "run0"):
        argv.insert(1, "--no-ask-password")
    if session == "session":
        become = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe"]
        become += [f"--property=User={user}", "--property=PAMName=login", "--"]
        argv[0] = output("which", argv[0]).strip()
        argv = [*become, *(word.replace("$", "$$") for word in argv)]
    else:
        argv = ["runuser", "-u", user, "--", *argv]
    # A terminal whose input ends is closed before anything was said in it.
    terminal = "shell" in argv or "login" in argv
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            argv,
            stdin=reading if terminal else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TERM": "dumb", "SYSTEMD_PAGER": ""},
        )
    except subprocess.TimeoutExpired as late:
        return -1, (late.stdout or b"").decode(errors="replace")
    finally:
        os.close(reading)
        os.close(writing)
    return done.returncode, done.stdout.decode(errors="replace")


def unit(machine: str) -> str:
    return f"systemd-nspawn@{machine}.service"


def invocation(machine: str) -> str:
    return output("systemctl", "show", "--property=InvocationID", "--value", unit(machine)).strip()


def state(machine: str) -> str:
    return output("systemctl", "is-active", unit(machine)).strip()


def have_machines_run() -> None:
    if any(state(machine) != "active" for machine in MACHINES):
        clear_killed()
        output("systemctl", "start", *map(unit, MACHINES))


def have_machine_not_run() -> None:
    output("systemctl", "stop", unit("lab"))
    clear_killed()


def clear_killed() -> None:
    """A guest that hangs in its shutdown is killed, and its next start would be refused."""
    for machine in MACHINES:
        if state(machine) == "failed":
            output("umount", f"/run/systemd/nspawn/unix-export/{machine}")
            output("rmdir", f"/run/systemd/nspawn/unix-export/{machine}")
            output("systemctl", "reset-failed", unit(machine))


def eventually(check: t.Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return False


def shows(call: Call, user: str, said: str, before: str) -> bool:
    """Whether what a call should do can be seen."""
    if call.shows == "stopped":
        return eventually(lambda: state("lab") in ("inactive", "failed"))
    if call.shows == "running":
        return state("lab") == "active"
    if call.shows == "restarted":
        return eventually(lambda: state("lab") == "active" and invocation("lab") != before)
    return re.search(call.shows.replace("USER", user), said) is not None


def granted(table: str, user: str, session: str, rights: t.Collection[str]) -> t.Any:
    """Everything of these rights works, and nothing else of the table does."""
    result: dict[str, t.Any] = {"granted": 0, "refused": 0, "wrong": []}
    rights = {"anybody", *rights, *(["status"] if version() < STATUS_IS_GUARDED_SINCE else [])}
    for call in calls(table, 4):
        if " start " in call.command and call.word in rights:
            have_machine_not_run()
        else:
            have_machines_run()
        before = invocation("lab")
        code, said = attempt(call, user, session)
        if call.word in rights:
            good = code == 0 and shows(call, user, said, before)
            result["granted"] += good
        else:
            good = code != 0 and bool(DENIAL.search(said)) and invocation("lab") == before
            result["refused"] += good
        if not good:
            result["wrong"].append(told(call, code, said))
    return result


def refused(table: str, user: str, session: str) -> t.Any:
    """How many calls of the table are refused, and which are let through."""
    have_machines_run()
    before = traces()
    result: dict[str, t.Any] = {"refused": 0, "fails": 0, "let_through": []}
    for call in calls(table, 3):
        have_machines_run()
        code, said = attempt(call, user, session)
        denied = bool(DENIAL.search(said))
        if code != 0 and (denied or call.word == "fails"):
            result["refused" if denied else "fails"] += 1
        else:
            result["let_through"].append(told(call, code, said))
    time.sleep(1.5)
    after = traces()
    result["traces"] = sorted(
        f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    )
    return result


def traces() -> dict[str, str]:
    found = {f"invocation of {machine}": invocation(machine) for machine in MACHINES}
    found["images"] = output("ls", "-A", "/var/lib/machines", "/home/alan")
    found["written as root"] = output("ls", "/run/it-pwned")
    found["default"] = output("systemctl", "get-default")
    found["environment"] = output("systemctl", "show-environment")
    listed = output("machinectl", "list-images", "--no-legend").splitlines()
    found["read-only"] = "; ".join(" ".join(line.split()[:3]) for line in listed)
    for directory in TRACES:
        found[directory] = output("find", directory, "-printf", "%p %y %l\\n")
    return found


def told(call: Call, code: int, said: str) -> str:
    last = " / ".join(said.strip().splitlines()[-2:])
    return f"{call.word}: {call.command}: exit code {code}: {last[:300]}"


def main() -> None:
    kind, table, user, session, *rest = sys.argv[1:]
    if kind == "granted":
        print(json.dumps(granted(table, user, session, rest[0].split(","))))
    else:
        print(json.dumps(refused(table, user, session)))


if __name__ == "__main__":
    main()
