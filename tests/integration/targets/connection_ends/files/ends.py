# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut or kill what leads into a machine while something is under way, and look what is left.

Run on the controller: ends.py PLACE [PART]... . PLACE is an empty folder for all that is made here,
with a file host.json: the variables of the host. The machines it-ends and it-bare (which has no
Python) run there, and it-image is an image. Prints a row for each cut as JSON; ends with 1 when
one was not as it has to be.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

PLACE = Path(sys.argv[1])
HOST = json.loads((PLACE / "host.json").read_text())
# How long what was cut may take to be gone.
GONE = 10.0
LONG = "sleep 6171{number}"
BIG = 200 * 1024 * 1024


# --- the host -------------------------------------------------------------------------------


def on_host(script: str, timeout: float = 60) -> str:
    """Run a script there, over a session of our own."""
    argv = ["ssh", *shlex.split(HOST["ansible_ssh_common_args"])]
    argv += ["-o", f"ControlPath={PLACE}.own", "-o", "ControlMaster=auto"]
    argv += ["-o", "ControlPersist=20", f"root@{HOST['ansible_host']}", "/bin/bash -s"]
    done = subprocess.run(
        argv, input=script, capture_output=True, text=True, timeout=timeout, check=False
    )
    return done.stdout.strip()


def wait_on_host(condition: str, timeout: float = 30) -> None:
    script = f"end=$((SECONDS + {timeout:.0f}))\nuntil {condition}; do\n"
    script += "[ $SECONDS -lt $end ] || exit 0\nsleep 0.02\ndone\necho yes\n"
    if on_host(script, timeout + 30) != "yes":
        raise TimeoutError(condition)


_HAVE = """
systemctl thaw systemd-nspawn@{name}.service 2>/dev/null
systemctl reset-failed systemd-nspawn@{name}.service 2>/dev/null
if ! machinectl show {name} >/dev/null 2>&1; then
# A systemd-nspawn that was killed has left it behind, and the next one would refuse to begin.
umount /run/systemd/nspawn/unix-export/{name} 2>/dev/null
machinectl start {name}
fi
end=$((SECONDS + 60))
until busctl --machine={name} call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
  org.freedesktop.DBus.Peer Ping >/dev/null 2>&1 &&
  ! systemctl --machine={name} list-jobs --no-legend 2>/dev/null | grep -q .; do
[ $SECONDS -lt $end ] || exit 1
sleep 0.2
done
echo yes
"""


def have(name: str) -> None:
    """Wait until a machine runs, as it should."""
    if on_host(_HAVE.format(name=name), 90) != "yes":
        raise TimeoutError(f"{name} does not run")


_LEADS = "pgrep -af '[s]ystemd-run .*--machine=it-(ends|bare)|[n]spawn-machined-.*[.]service'"
_LEFT = r"""
for name in it-ends it-bare; do
machinectl show $name >/dev/null 2>&1 || continue
systemctl --machine=$name list-units --all --plain --no-legend 'nspawn-machined-*' 2>&1
done
pgrep -af '[s]leep 6171|[s]ystemd-run .*--machine=it-(ends|bare)|[s]ystemd-nspawn .*--machine=exec-'
systemctl list-units --all --plain --no-legend 'exec-*.scope'
ls -A /var/lib/machines | grep '^[.]#machine[.]'
for name in it-ends it-bare it-image; do
find /var/lib/machines/$name/root -type f -size +1M
done
ours=$(ps -o ppid= $$)
for session in $(pgrep -f '^sshd(-session)?: root@notty'); do
[ $session = $ours ] || ps -o pid=,args= --ppid $session
done
"""


def left_on_host() -> list[str]:
    return [line for line in on_host(_LEFT).split("\n") if line]


def one(pattern: str) -> int:
    """The process on the host that it is about."""
    return int(on_host(f"pgrep -of {shlex.quote(pattern)}"))


def session() -> int:
    """The process of sshd behind the lane."""
    return int(
        on_host("""
process=$(pgrep -of '[s]ystemd-run .*--machine=it-(ends|bare)')
while [ "$process" -gt 1 ]; do
case $(ps -o args= $process) in sshd*@*) echo $process; exit ;; esac
process=$(ps -o ppid= $process | tr -d ' ')
done
""")
    )


# --- here -----------------------------------------------------------------------------------


def processes() -> dict[int, str]:
    """All that have to do with our runs: their words have the folder in them."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if f"{PLACE}/" in words:
                    found[int(entry.name)] = words
    return found


def parent(process: int) -> int:
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(stat[1])
    return 0


def left_here() -> list[str]:
    # A session to the host stays for a while, as ssh was told to.
    return [f"{one}: {words}" for one, words in processes().items() if "[mux]" not in words]


def kill(found: t.Iterable[int], number: int = signal.SIGKILL) -> None:
    found = list(found)
    if not found:
        raise LookupError("there was nothing to kill")
    for process in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def named(*words: str) -> list[int]:
    return [process for process, line in processes().items() if all(word in line for word in words)]


class Run:
    """A run of Ansible, in a process group of its own."""

    def __init__(self, words: list[str]) -> None:
        self.output = PLACE / "output"
        environment = {
            **os.environ,
            "ANSIBLE_HOME": f"{PLACE}/home",
            "ANSIBLE_LOCAL_TEMP": f"{PLACE}/home/tmp",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{PLACE}/cp",
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def workers(self) -> list[int]:
        return [one for one in processes() if parent(one) == self.process.pid]

    def end(self, timeout: float) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            kill(processes())
            self.process.wait()
            return -99


def inventory() -> None:
    ssh = {
        "ansible_connection": "nspawn.machined.nspawn_ssh",
        "ansible_ssh_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        **{
            name: HOST[name]
            for name in ("ansible_host", "ansible_ssh_common_args", "ansible_ssh_args")
        },
    }
    image = {
        "ansible_connection": "nspawn.machined.nspawn_image",
        "ansible_nspawn_ssh": True,
    }
    hosts = {"it-ends": {}, "it-bare": {}, "it-image": image}
    (PLACE / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": ssh}}))
    (PLACE / "cp").mkdir(exist_ok=True)
    with (PLACE / "big").open("wb") as file:
        for _piece in range(BIG // 2**20):
            file.write(os.urandom(2**20))


class Numbers:
    last = 100

    @classmethod
    def next(cls) -> int:
        cls.last += 1
        return cls.last


def task(name: str, module: str, arguments: t.Any, **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, f"ansible.builtin.{module}": arguments, **more}


def play(machine: str, tasks: list[dict[str, t.Any]]) -> list[str]:
    plays = [{"hosts": machine, "gather_facts": False, "tasks": tasks}]
    (PLACE / "play.yml").write_text(json.dumps(plays))
    return ["ansible-playbook", "-i", f"{PLACE}/inventory.json", f"{PLACE}/play.yml"]


# --- rows -----------------------------------------------------------------------------------


class Row(t.NamedTuple):
    """What is cut while something is under way."""

    part: str
    name: str
    cut: t.Callable[[Run], object]
    says: str
    """What is said, as a pattern."""
    rc: tuple[int, ...]
    seconds: float = 5
    """Within which it has to be said."""
    machine: str = "it-ends"
    what: str = "command"
    more: t.Mapping[str, t.Any] = {}
    before_thaw: bool = False


def under_way(row: Row) -> tuple[list[str], str]:
    """What to run, and how to see on the host that it is under way."""
    if row.what == "copy":
        tasks = [task("Copy", "copy", {"src": f"{PLACE}/big", "dest": "/root/big", "mode": "0600"})]
        seen = f"find /var/lib/machines/{row.machine}/root -type f -size +1M | grep -q ."
    else:
        number = Numbers.next()
        sleep = LONG.format(number=number)
        if row.what == "short":
            sleep = f"sleep 4; : {sleep}"
        command = f"{sleep}; echo end-{number}"
        seen = f"pgrep -f '[s]h -c {sleep}' >/dev/null"
        tasks = [
            task("First", "raw", "echo first"),
            task("Long", "raw", command, **row.more),
        ]
        if row.what == "short":
            tasks.append(task("Last", "raw", "echo last"))
    return play(row.machine, tasks), seen


def tried(row: Row) -> dict[str, t.Any]:
    if row.machine != "it-image":
        have(row.machine)
    words, seen = under_way(row)
    run = Run(words)
    wrong: list[str] = []
    try:
        wait_on_host(seen)
        time.sleep(0 if row.what == "copy" else 0.3)
        begin = time.monotonic()
        row.cut(run)
    except (TimeoutError, LookupError, ValueError) as error:
        wrong.append(f"{error!r}")
        begin = time.monotonic()
    rc = run.end(row.seconds + 20)
    took = time.monotonic() - begin
    if row.before_thaw:
        here = gone(left_here)[0]
        # A paused machine cannot be asked for its units.
        host = gone(lambda: [line for line in on_host(_LEADS).split("\n") if line])[0]
        wrong += [f"left before it went on: {line}" for line in here + host]
        on_host(f"systemctl thaw systemd-nspawn@{row.machine}.service")
    here, host, late = left()
    said = run.said()
    message = re.findall(r'"?msg"?: "(.*?)(?<!\\)"|(\[ERROR\]: .*|ERROR! .*)', said)
    if rc not in row.rc:
        wrong.append(f"ended with {rc}")
    if not re.search(row.says, said, re.S):
        wrong.append("said something else")
    if took > row.seconds:
        wrong.append("took too long")
    if here or host:
        wrong.append("something was left")
    return {
        "cut": row.name,
        "during": row.what,
        "in": row.machine,
        "error": " ".join("".join(found) for found in message)[:300],
        "rc": rc,
        "seconds": round(took, 1),
        "left": here + host,
        "gone_after": round(late, 1),
        "wrong": wrong,
        **({"said": said[-1500:]} if wrong else {}),
    }


def gone(look: t.Callable[[], list[str]]) -> tuple[list[str], float]:
    begin = time.monotonic()
    while True:
        found = look()
        took = time.monotonic() - begin
        if not found or took > GONE:
            return found, took
        time.sleep(0.2)


def left() -> tuple[list[str], list[str], float]:
    here, first = gone(left_here)
    host, second = gone(left_on_host)
    for process in [int(line.partition(":")[0]) for line in here]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if host:
        on_host("pkill -KILL -f '[s]leep 6171|[s]ystemd-run .*--machine=it-(ends|bare)'")
        on_host("find /var/lib/machines/it-*/root -type f -size +1M -delete")
    return here, host, first + second


def on_it(script: str) -> t.Callable[[Run], object]:
    return lambda _run: on_host(script)


def ssh_clients(_run: Run) -> None:
    kill(one for one in named("ssh", "ControlPath") if "[mux]" not in processes().get(one, ""))


def lane_client(_run: Run) -> None:
    kill(named("ssh", "BatchMode=yes", "-o"))


LOST = "the way into the machine it-(ends|bare) was lost"
DIRECT = "in the machine it-bare|on the host|to the host via ssh"


def both(name: str, cut: t.Callable[[Run], object], says: str, rc: tuple[int, ...]) -> list[Row]:
    return [
        Row("lane", name, cut, says, rc),
        Row("copy", name, cut, says, rc, what="copy"),
    ]


def rows() -> list[Row]:
    interrupted: tuple[tuple[str, t.Callable[[Run], object], tuple[int, ...]], ...] = (
        ("Ctrl-C", lambda run: os.killpg(run.process.pid, signal.SIGINT), (-2, 99, 130)),
        ("SIGTERM to ansible", lambda run: kill([run.process.pid], signal.SIGTERM), (-15, 143)),
        ("kill -9 of ansible", lambda run: kill([run.process.pid]), (-9,)),
    )
    found = []
    for name, cut, rc in interrupted:
        found += both(name, cut, "", rc)
        found.append(Row("direct", name, cut, "", rc, machine="it-bare"))
        found.append(Row("image", name, cut, "", rc, machine="it-image"))
    worker = "[Ww]orker.*dead|dead state"
    found += both("kill -9 of the task", lambda run: kill(run.workers()), worker, (1, 2, 4, 250))
    found += both("kill -9 of the lane's ssh", lane_client, LOST, (4,))
    found += both("kill -9 of ssh's session", lambda _run: kill(named("[mux]")), LOST, (4,))
    found += both("kill -9 of sshd", lambda _run: on_host(f"kill -9 {session()}"), LOST, (4,))
    inside = "[s]ystemd-run .*--machine=it-ends"
    found += both("kill -9 of systemd-run", on_it(f"pkill -9 -f '{inside}'"), LOST, (4,))
    helper = "systemctl --machine=it-ends kill --signal=SIGKILL 'nspawn-machined-*.service'"
    main = "systemctl --machine=it-ends kill --kill-whom=main --signal=SIGKILL 'nspawn-machined-*'"
    found += both("kill -9 of the helper", on_it(main), LOST, (4,))
    found += both("kill -9 of its unit", on_it(helper), LOST, (4,))
    found += both(
        "stop of its unit",
        on_it("systemctl --machine=it-ends stop 'nspawn-machined-*.service'"),
        LOST,
        (4,),
    )
    found += [
        Row(
            "lane",
            "kill -9 of the keeper",
            lambda _run: kill(named("keeper.py")),
            "ok=3",
            (0,),
            8,
            what="short",
        ),
        Row(
            "lane",
            "timeout of the task",
            lambda _run: None,
            "imed out",
            (2,),
            8,
            more={"timeout": 3},
        ),
        Row(
            "lane",
            "kill -9 of the machine",
            on_it("systemctl kill --signal=SIGKILL systemd-nspawn@it-ends.service"),
            LOST,
            (4,),
        ),
        Row(
            "lane",
            "stop of the machine",
            on_it("systemctl stop systemd-nspawn@it-ends.service"),
            LOST,
            (4,),
            15,
        ),
        Row("lane", "machinectl terminate", on_it("machinectl terminate it-ends"), LOST, (4,)),
        Row("lane", "reboot inside", on_it("systemctl --machine=it-ends reboot"), LOST, (4,), 15),
        Row(
            "lane",
            "machine paused for good",
            on_it("systemctl freeze systemd-nspawn@it-ends.service"),
            "nothing has come from it",
            (4,),
            32,
            before_thaw=True,
        ),
        Row(
            "direct",
            "kill -9 of the task",
            lambda run: kill(run.workers()),
            worker,
            (1, 2, 4, 250),
            machine="it-bare",
        ),
        Row(
            "direct",
            "kill -9 of all ssh clients",
            ssh_clients,
            DIRECT,
            (2, 4),
            10,
            machine="it-bare",
        ),
        Row(
            "direct",
            "kill -9 of ssh's session",
            lambda _run: kill(named("[mux]")),
            DIRECT,
            (2, 4),
            10,
            machine="it-bare",
        ),
        Row(
            "direct",
            "kill -9 of sshd",
            lambda _run: on_host(f"kill -9 {session()}"),
            DIRECT,
            (2, 4),
            10,
            machine="it-bare",
        ),
        Row(
            "direct",
            "timeout of the task",
            lambda _run: None,
            "imed out",
            (2,),
            8,
            machine="it-bare",
            more={"timeout": 3},
        ),
        Row(
            "direct",
            "kill -9 of the machine",
            on_it("systemctl kill --signal=SIGKILL systemd-nspawn@it-bare.service"),
            DIRECT,
            (2, 4),
            10,
            machine="it-bare",
        ),
    ]
    return found


# --- a machine in the place of another ------------------------------------------------------


def replaced() -> dict[str, t.Any]:
    """Another image under the same name between two tasks."""
    have("it-ends")
    on_host("machinectl clone it-guest it-other; echo other >/var/lib/machines/it-other/etc/which")
    wait = f"touch {PLACE}/reached; until [ -e {PLACE}/go ]; do sleep 0.05; done"
    tasks = [
        task("First", "raw", "cat /etc/which || echo first"),
        task(
            "Wait",
            "command",
            {"argv": ["sh", "-c", wait]},
            delegate_to="localhost",
            vars={"ansible_connection": "local"},
        ),
        task("Then", "raw", "cat /etc/which"),
    ]
    for name in ("reached", "go"):
        (PLACE / name).unlink(missing_ok=True)
    run = Run(["env", "ANSIBLE_CALLBACK_RESULT_FORMAT=json", *play("it-ends", tasks), "-v"])
    while not (PLACE / "reached").exists() and run.process.poll() is None:
        time.sleep(0.05)
    on_host(
        "machinectl terminate it-ends; while machinectl show it-ends >/dev/null 2>&1; "
        "do sleep 0.05; done; cd /var/lib/machines; mv it-ends it-old; mv it-other it-ends"
    )
    have("it-ends")
    (PLACE / "go").touch()
    rc = run.end(30)
    said = run.said()
    wrong = [] if rc == 0 and "other" in said else [f"ended with {rc}: {said[-1500:]}"]
    here, host, late = left()
    on_host(
        "machinectl terminate it-ends; while machinectl show it-ends >/dev/null 2>&1; "
        "do sleep 0.05; done; cd /var/lib/machines; mv it-ends it-other; mv it-old it-ends; "
        "machinectl remove it-other"
    )
    return {
        "cut": "another machine under its name between two tasks",
        "error": "",
        "rc": rc,
        "left": here + host,
        "gone_after": round(late, 1),
        "wrong": wrong + (["something was left"] if here or host else []),
    }


# --- a thousand tasks -----------------------------------------------------------------------


def sizes() -> dict[str, dict[str, int]]:
    """Memory in KiB and descriptors, of what stays from task to task."""
    found = {}
    for what, words in (("keeper", ["keeper.py"]), ("ssh", ["ssh", "BatchMode=yes"])):
        here = named(*words)
        found[what] = {"processes": len(here)}
        for process in here[:1]:
            status = Path(f"/proc/{process}/status").read_text()
            match = re.search(r"VmRSS:\s+(\d+)", status)
            found[what]["rss"] = int(match.group(1)) if match else 0
            found[what]["descriptors"] = len(os.listdir(f"/proc/{process}/fd"))
    words = on_host(r"""
unit=$(systemctl --machine=it-ends list-units --plain --no-legend 'nspawn-machined-*')
unit=${unit%% *}
echo "$unit" | grep -c .
helper=$(pgrep -f '[n]spawn.machined helper' | tail -1)
[ -n "$helper" ] || helper=$(cat /proc/sys/kernel/pid_max)
awk '/VmRSS/ {print $2}' /proc/$helper/status
ls /proc/$helper/fd | wc -l
find /sys/fs/cgroup/machine.slice -path "*$unit/*" -name cgroup.procs -exec cat {} + | wc -l
find /sys/fs/cgroup/machine.slice -path "*$unit/*" -type d | wc -l
""").split("\n")
    names = ("units", "rss", "descriptors", "processes", "groups")
    found["helper"] = dict(zip(names, (int(word or 0) for word in words), strict=False))
    return found


def thousand(count: int = 1000) -> dict[str, t.Any]:
    have("it-ends")
    for file in PLACE.glob("reached*"):
        file.unlink()
    batch = count // 10
    pause = "touch {0}/reached{1}; until [ -e {0}/go{1} ]; do sleep 0.05; done"
    tasks = []
    for number in range(11):
        (PLACE / f"go{number}").unlink(missing_ok=True)
        if number:
            tasks.append(
                task("Many", "raw", "echo {{ item }}", loop=f"{{{{ range({batch}) | list }}}}")
            )
        else:
            tasks.append(task("Begin", "raw", "true", loop="{{ range(5) | list }}"))
        tasks.append(
            task(
                "Look",
                "command",
                {"argv": ["sh", "-c", pause.format(PLACE, number)]},
                delegate_to="localhost",
                vars={"ansible_connection": "local"},
            )
        )
    begin = time.monotonic()
    run = Run(play("it-ends", tasks))
    seen = []
    for number in range(11):
        while not (PLACE / f"reached{number}").exists() and run.process.poll() is None:
            time.sleep(0.05)
        seen.append(sizes())
        (PLACE / f"go{number}").touch()
    rc = run.end(60)
    took = time.monotonic() - begin
    here, host, _late = left()
    wrong = []
    first, last = seen[1], seen[-1]
    for what, before in first.items():
        for figure, value in before.items():
            room = 300 if figure == "rss" else 0
            if last[what].get(figure, -1) > value + room:
                wrong.append(f"{figure} of {what}: {value}, then {last[what].get(figure)}")
    if last["helper"]["units"] != 1 or last["ssh"]["processes"] != 1:
        wrong.append("it was not one")
    if rc or here or host:
        wrong.append(f"ended with {rc}; left: {here + host}")
    return {
        "cut": f"nothing, {count} tasks",
        "rc": rc,
        "seconds": round(took, 1),
        "first": first,
        "last": last,
        "wrong": wrong,
        **({"said": run.said()[-1500:]} if rc else {}),
    }


def main() -> int:
    parts = sys.argv[2:] or ["lane", "copy", "direct", "image", "replaced", "thousand"]
    inventory()
    failed = 0
    done: list[t.Callable[[], dict[str, t.Any]]] = [
        lambda row=row: tried(row)  # type: ignore[misc]
        for row in rows()
        if row.part in parts or f"{row.part}:{row.name}" in parts
    ]
    done += [replaced] if "replaced" in parts else []
    done += [thousand] if "thousand" in parts else []
    for each in done:
        found = each()
        failed += bool(found["wrong"])
        print(json.dumps(found), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
