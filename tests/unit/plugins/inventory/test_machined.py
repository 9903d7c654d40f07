# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plugin as Ansible calls it, with hosts that are commands which answer as a host does."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
import yaml

# What a host's Python is called with: -I -S - HELLO OPTIONS.
ANSWERS = """cat > /dev/null
printf 'Welcome to a host\\n%s ' "$4"
cat '{answer}'
"""
HOSTILE = "{{ lookup('pipe', 'touch {mark}') }}"


@dataclasses.dataclass
class Inventory:
    """A folder with an inventory of hosts, and of their machines."""

    folder: Path
    hosts: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    groups: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    said: str = ""

    def host(self, name: str, *machines: dict[str, t.Any] | str, **more: t.Any) -> None:
        """A host that tells of these machines."""
        told = [{"name": one} if isinstance(one, str) else one for one in machines]
        found = [{"state": "running", **one} for one in told]
        answer = self.folder / f"{name}.json"
        answer.write_text(json.dumps({"asked": round(time.time()) - 60, "found": found}))
        self.program(name, ANSWERS.format(answer=answer), **more)

    def program(self, name: str, script: str, **more: t.Any) -> None:
        """A host that answers like this."""
        program = self.folder / f"{name}.sh"
        program.write_text(script)
        python = f"/bin/sh {program}"
        local = {"ansible_connection": "local", "ansible_python_interpreter": python}
        self.hosts[name] = {**local, **more}

    def write(self, **options: t.Any) -> None:
        """The files of the folder."""
        known: dict[str, t.Any] = {"servers": {"hosts": self.hosts}, **self.groups}
        files: dict[str, t.Any] = {"hosts": {"all": {"children": known}}}
        files["z.machined"] = {
            "plugin": "nspawn.machined.machined",
            "hosts": ["servers"],
            **options,
        }
        for name, content in files.items():
            (self.folder / f"{name}.yml").write_text(yaml.safe_dump(content))

    def list(self, *arguments: str, code: int = 0, **options: t.Any) -> dict[str, t.Any]:
        """What ansible-inventory makes of it."""
        self.write(**options)
        words = ["ansible-inventory", "--list", *arguments]
        words += ["-i", "hosts.yml", "-i", "z.machined.yml"]
        settings = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1", "COLUMNS": "10000"}
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            env={**os.environ, **settings},
            cwd=self.folder,
            check=False,
        )
        self.said = done.stderr
        assert done.returncode == code, done.stderr
        return t.cast("dict[str, t.Any]", json.loads(done.stdout)) if not code else {}


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path)


def plain(value: t.Any) -> t.Any:
    """Without the mark that tells texts that are no templates."""
    if isinstance(value, dict):
        unsafe = value.get("__ansible_unsafe")
        return unsafe if unsafe else {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def of(listed: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", plain(listed["_meta"]["hostvars"][name]))


def test_machines_of_many_hosts_are_hosts_in_groups(inventory: Inventory) -> None:
    inventory.host("a", {"name": "web", "os": "debian", "zone": "dmz"}, "db")
    inventory.host("b", {"name": "web", "os": "fedora"}, {"name": "x", "state": "image"})
    listed = inventory.list()
    assert listed["machines"]["hosts"] == ["web.a", "db", "web.b"]
    assert listed["images"]["hosts"] == ["x"]
    assert listed["host_a"]["hosts"] == ["web.a", "db"]
    assert listed["os_fedora"]["hosts"] == ["web.b"]
    assert listed["zone_dmz"]["hosts"] == ["web.a"]
    assert of(listed, "web.b")["ansible_nspawn_machine"] == "web"
    assert of(listed, "web.b")["nspawn_host"] == "b"
    assert inventory.said == ""


def test_the_way_to_a_host_is_that_to_its_machines(inventory: Inventory) -> None:
    # What leads there by ssh, and makes root of somebody, are commands that lead here.
    ssh, sudo = inventory.folder / "ssh", inventory.folder / "sudo"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec /bin/sh -c "$last"\n')
    sudo.write_text('#!/bin/sh\nwhile [ "$1" != /bin/sh ]; do shift; done\nexec "$@"\n')
    for program in (ssh, sudo):
        program.chmod(0o755)
    inventory.host(
        "a",
        "web",
        ansible_become=True,
        ansible_become_exe=str(sudo),
        ansible_become_method="ansible.builtin.sudo",
        ansible_become_password="{{ secret }}",
        ansible_connection="ssh",
        ansible_host="{{ inventory_hostname }}.example",
        ansible_port=2222,
        ansible_ssh_common_args="-J jump",
        ansible_ssh_executable=str(ssh),
        ansible_ssh_private_key_file="/key",
        ansible_user="admin",
        secret="hidden",
    )
    listed = inventory.list()
    assert inventory.said == ""
    web = of(listed, "web")
    assert {key: value for key, value in web.items() if key.startswith("ansible_")} == {
        "ansible_connection": "nspawn.machined.nspawn_ssh",
        "ansible_host": "a.example",
        "ansible_nspawn_host_become": True,
        "ansible_nspawn_host_become_exe": str(sudo),
        "ansible_nspawn_host_become_method": "ansible.builtin.sudo",
        # Not the secret itself: who lists the inventory is not to see it.
        "ansible_nspawn_host_become_pass": "{{ hostvars[nspawn_host]['ansible_become_password'] }}",
        "ansible_nspawn_machine": "web",
        "ansible_port": 2222,
        "ansible_ssh_common_args": "-J jump",
        "ansible_ssh_executable": str(ssh),
        "ansible_ssh_private_key_file": "/key",
        "ansible_ssh_user": "admin",
    }
    (inventory.folder / "play.yml").write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "web",
                    "gather_facts": False,
                    "tasks": [
                        {
                            "ansible.builtin.debug": {
                                "msg": "<{{ ansible_nspawn_host_become_pass }}>"
                            }
                        }
                    ],
                }
            ]
        )
    )
    words = ["ansible-playbook", "-i", "hosts.yml", "-i", "z.machined.yml", "play.yml"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=inventory.folder, check=True)
    assert "<hidden>" in done.stdout


def test_what_a_machine_says_is_never_a_template(inventory: Inventory) -> None:
    mark = inventory.folder / "mark"
    text = HOSTILE.replace("{mark}", str(mark))
    hostile = dict.fromkeys(("os", "os_version", "os_name", "zone", "owner", "image"), text)
    inventory.host(
        "a",
        {"name": "web", **hostile, "vars": {"role": text, "list": [{"a": text}]}},
        {"name": "db", "os": "\x1b[2J\n../;$(id)", "os_name": "a\r\nb"},
        {"name": "{{ 7*7 }}", "state": "image"},
    )
    listed = inventory.list(
        compose={"told": "nspawn_os", "again": "nspawn_os ~ ''", "role_too": "role"},
        groups={"hostile": "'lookup' in nspawn_os"},
        keyed_groups=[{"key": "nspawn_os_name", "prefix": "named"}, {"key": "nspawn_owner"}],
        hostname="{{ nspawn_name }}",
    )
    assert not mark.exists()
    web = of(listed, "web")
    assert {web["told"], web["again"], web["role_too"], web["nspawn_os"], web["role"]} == {text}
    assert web["list"] == [{"a": text}]
    assert listed["hostile"]["hosts"] == ["web"]
    assert {"web", "db", "{{ 7*7 }}"} <= set(listed["_meta"]["hostvars"])
    for group in listed:
        assert group == "_meta" or group.isidentifier()


def test_hostile_texts_stay_texts_in_a_play(inventory: Inventory) -> None:
    mark = inventory.folder / "mark"
    text = HOSTILE.replace("{mark}", str(mark))
    inventory.host("a", {"name": "web", "os": text, "vars": {"role": text}})
    inventory.list()
    words = ["ansible", "web", "-i", "hosts.yml", "-i", "z.machined.yml"]
    words += [
        "-m",
        "ansible.builtin.debug",
        "-a",
        "msg={{ [nspawn_os, role, ansible_connection] }}",
    ]
    done = subprocess.run(words, capture_output=True, text=True, cwd=inventory.folder, check=True)
    assert "lookup(" in done.stdout and "nspawn.machined.nspawn" in done.stdout
    assert not mark.exists()


def test_no_machine_takes_the_place_of_a_host_or_group(inventory: Inventory) -> None:
    names = ["b", "all", "localhost", "servers", "machines", "web", "mine", "host-a", "known"]
    inventory.host("a", *names)
    inventory.host("b")
    inventory.groups["machines"] = {"hosts": {"known": {"color": "blue"}}}
    listed = inventory.list(groups={"web": "nspawn_name == 'mine'", "host_a": False})
    assert listed["machines"]["hosts"] == [
        "known",
        *(f"{one}.a" for one in ("b", "all", "localhost", "servers", "machines", "web")),
        "mine",
        "host-a",
    ]
    assert listed["servers"]["hosts"] == ["a", "b"]
    assert listed["web"]["hosts"] == ["mine"]
    assert of(listed, "b")["ansible_connection"] == "local"
    assert of(listed, "known")["color"] == "blue"
    assert of(listed, "known")["nspawn_host"] == "a"


def test_a_declaration_leads_nowhere_unless_it_is_allowed_to(inventory: Inventory) -> None:
    declared = {"ansible_connection": "local", "ansible_user": "app", "color": "red"}
    inventory.host("a", {"name": "web", "vars": declared})
    web = of(inventory.list(), "web")
    assert web["ansible_connection"] == "nspawn.machined.nspawn"
    assert web["ansible_user"] == "app" and web["color"] == "red"
    assert "ansible_connection" in inventory.said
    web = of(inventory.list(connection_vars=[], vars=True), "web")
    assert "ansible_user" not in web
    web = of(inventory.list(vars=False), "web")
    assert "color" not in web


def test_names_are_as_the_user_says(inventory: Inventory) -> None:
    inventory.host("a", "web", {"name": "db", "os": "debian"})
    listed = inventory.list(
        hostname="{{ nspawn_os }}-{{ nspawn_name }}", filters={"exclude": "no*"}
    )
    assert listed["machines"]["hosts"] == ["web", "debian-db"]
    inventory.list(hostname="{{ nspawn_os }}", strict=True, code=1)
    assert "hostname of web" in inventory.said


def test_a_wrong_filter_is_refused(inventory: Inventory) -> None:
    inventory.host("a")
    inventory.list(filters={"names": "web"}, code=1)
    assert "filters: there is no 'names'" in inventory.said


def test_a_host_that_does_not_answer_keeps_nobody(inventory: Inventory) -> None:
    inventory.host("a", "web")
    bad = {
        "b": ("echo no; echo 'why\033' >&2; exit 3", r"exited with 3 and said: why\x1b"),
        "c": ("echo hello", "it said nothing that could be its answer"),
        "d": ("sleep 60", "it did not answer within 10 s"),
        "e": ('printf \'%s {"found"\' "$4"', "its answer is cut off"),
        "f": ("exec yes '{}'", "it does not end what it says"),
    }
    for name, (script, _said) in bad.items():
        inventory.program(name, f"cat > /dev/null; {script}\n")
    for name, variable in (("g", "connection"), ("h", "become_method")):
        inventory.host(name, name, ansible_become=True, **{f"ansible_{variable}": "nothing"})
        bad[name] = ("", f"there is no {variable.partition('_')[0]} plugin nothing")
    inventory.host("i", "i", ansible_host="{{ nowhere }}")
    bad["i"] = ("", "'nowhere' is undefined")
    begin = time.monotonic()
    listed = inventory.list(timeout=10)
    assert time.monotonic() - begin < 40
    assert listed["machines"]["hosts"] == ["web"]
    for name, (_script, said) in bad.items():
        begin_of = f"{name} does not tell its machines, its machines are left out: "
        (line,) = [line for line in inventory.said.split("\n") if begin_of in line]
        assert said in line


def test_what_becomes_of_a_host_that_does_not_answer_is_a_choice(inventory: Inventory) -> None:
    inventory.program("a", "exit 1")
    assert "machines" not in inventory.list(unreachable="skip").get("machines", {})
    assert inventory.said == ""
    inventory.list(unreachable="fail", code=1)
    assert "hosts that do not tell their machines: a: " in inventory.said


def test_a_host_without_an_answer_has_the_machines_that_it_had(inventory: Inventory) -> None:
    options: dict[str, t.Any] = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(inventory.folder / "cache"),
    }
    text = "{{ 7 * 7 }}"
    inventory.host("a", {"name": "web", "os": text})
    inventory.host("b", "db")
    inventory.list(**options)
    # Young enough: nobody is asked.
    inventory.program("a", "exit 1")
    listed = inventory.list(**options)
    assert listed["machines"]["hosts"] == ["web", "db"] and inventory.said == ""
    assert of(listed, "web")["nspawn_os"] == text
    # Asked again, or too old.
    inventory.host("b", "new")
    listed = inventory.list("--flush-cache", **options)
    assert listed["machines"]["hosts"] == ["web", "new"]
    assert "a does not tell its machines, its machines are those of " in inventory.said
    for one in (inventory.folder / "cache").iterdir():
        os.utime(one, (0, 0))
    assert inventory.list(**options)["machines"]["hosts"] == ["web", "new"]
    # What is asked for is something else.
    assert inventory.list(images=True, **options)["machines"]["hosts"] == ["new"]


def test_nothing_becomes_a_template_on_its_way_through_the_cache(inventory: Inventory) -> None:
    mark = inventory.folder / "mark"
    text = HOSTILE.replace("{mark}", str(mark))
    trusted = {
        "__ansible_type": "_AnsibleTaggedStr",
        "value": text,
        "tags": [{"__ansible_type": "TrustedAsTemplate"}],
    }
    inventory.host("a", {"name": "web", "os": trusted, "vars": {"role": trusted, "fine": text}})
    for _time in range(2):
        listed = inventory.list(
            cache=True,
            cache_plugin="ansible.builtin.jsonfile",
            cache_connection=str(inventory.folder / "cache"),
            compose={"again": "role | default(fine)"},
        )
        web = listed["_meta"]["hostvars"]["web"]
        assert web["again"] == web["fine"] == {"__ansible_unsafe": text}
        assert "role" not in web and "nspawn_os" not in web
    assert not mark.exists()


def is_gone(process: int) -> bool:
    """Whether it has ended, and whoever inherits it has seen that."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_nothing_is_left_when_it_is_interrupted(inventory: Inventory) -> None:
    mark = inventory.folder / "mark"
    inventory.program("a", f"cat > /dev/null; echo $$ > {mark}; sleep 60; :")
    inventory.write()
    words = ["ansible-inventory", "--list", "-i", "hosts.yml", "-i", "z.machined.yml"]
    process = subprocess.Popen(
        words, cwd=inventory.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with process:
        end = time.monotonic() + 60
        while not (mark.exists() and mark.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) != 0
    assert is_gone(int(mark.read_text()))


def test_machines_are_not_asked_for_machines(inventory: Inventory) -> None:
    inventory.host("a", "web")
    inventory.host("m", "inner", ansible_connection="nspawn.machined.nspawn")
    assert inventory.list(hosts=["all"])["machines"]["hosts"] == ["web"]


def test_without_a_host_it_says_so(inventory: Inventory) -> None:
    inventory.list(hosts=["nobody"])
    assert "no host matches nobody" in inventory.said


def test_group_vars_and_those_of_the_command_line_lead_to_hosts(inventory: Inventory) -> None:
    inventory.host("a", "web")
    inventory.host("b", "db")
    python = inventory.hosts["a"].pop("ansible_python_interpreter")
    folder = inventory.folder / "host_vars"
    folder.mkdir()
    (folder / "a.yml").write_text(yaml.safe_dump({"ansible_python_interpreter": python}))
    assert inventory.list()["machines"]["hosts"] == ["web", "db"]
    other = inventory.hosts["b"]["ansible_python_interpreter"]
    given = json.dumps({"ansible_python_interpreter": other})
    assert inventory.list("-e", given)["machines"]["hosts"] == ["db.a", "db.b"]
