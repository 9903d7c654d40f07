# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run two site.yml over one host at the same moment, and look what becomes of it.

Run on the controller: two_sites.py INVENTORY ROUNDS KIND… Each kind of round: C(nothing), where
both make the same from nothing; C(own), with different wishes for different machines; C(shared),
with different wishes for the same machines, image and zone; C(playbook), where both run
playbooks/site.yml itself, in turn the same from nothing and different wishes. Afterwards each thing
follows one of the two wishes wholly, and a third run only does what is different between the two.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE / "site.yml"
PLAYBOOKS = HERE.parents[4] / "playbooks"
GUEST = "it-guest"
WHO = ("both", "anna", "bert")
# What apt has to install, and whom a machine belongs to.
PACKAGE, PERSON = "hello", "two-person"
NOTHING = {"images": [], "images_gone": [], "machines": [], "zones": [], "network": "both"}
Wish = dict[str, t.Any]
Look = dict[str, t.Any]


def machine(name: str, who: str, number: int, image: str, state: str = "stopped") -> Wish:
    environment = {"Environment": {"WHO": who, "ROUND": str(number)}}
    return {
        "name": name,
        "image": image,
        "state": state,
        "settings": {"Exec": environment},
        "unit": {"Service": {"Environment": [f"WHO={who}", f"ROUND={number}"]}},
        "enabled": who == "anna",
        "vars": {"who": who},
    }


def wish(kind: str, who: str, number: int) -> Wish:
    base: Wish = {"name": "two-base", "clone_from": GUEST, "read_only": True}
    if kind == "nothing":
        machines = [
            machine("two-n1", "both", number, "two-base", "started"),
            machine("two-n2", "both", number, "two-base"),
            machine("two-n3", "both", number, GUEST),
        ]
        return {"images": [base], "machines": machines}
    if kind == "playbook":
        who = who if number % 2 else "both"
        first = machine("two-p1", who, number, "two-base", "started")
        first["settings"]["Network"] = {"Zone": "two"}
        names = ["two-p11", "two-p2"]
        others = [machine(name, who, number, "two-base") for name in names]
        return {
            "host_packages_extra": [PACKAGE],
            "network_dns": [f"192.0.2.{WHO.index(who)}"],
            "network_forwarding": True,
            "firewall_zones": [{"name": "two", "ports": [f"{2000 + WHO.index(who)}/tcp"]}],
            "images_wanted": [base],
            "machines_wanted": [{**first, "owner": PERSON, "users": [PERSON]}, *others],
            "machines_force": True,
        }
    if kind == "own":
        image: dict[str, object] = {"name": f"two-{who}", "clone_from": "two-base"}
        names = [f"two-{who}1", f"two-{who}11"]
        return {
            "images": [base, image],
            "machines": [machine(name, who, number, f"two-{who}") for name in names],
        }
    names = ["two-s1", "two-s11", "two-s2"][:: 1 if who == "anna" else -1]
    image = {"name": "two-image", "clone_from": "two-base", "read_only": who == "anna"}
    return {
        "images": [base, image],
        "machines": [machine(name, who, number, "two-base") for name in names],
        "network": who,
        "zones": [{"name": "two", "ports": ["2001/tcp" if who == "anna" else "2002/tcp"]}],
    }


class Sites:
    def __init__(self, inventory: str, place: Path) -> None:
        self._ansible = ["--inventory", inventory]
        self._place = place
        self.chance = random.Random(1)
        self.wrong: list[str] = []
        self.rows: list[dict[str, object]] = []

    def begin(self, variables: Wish, who: str, playbook: Path = MODULES) -> subprocess.Popen[str]:
        file = self._place / f"{who}.json"
        file.write_text(json.dumps({**(NOTHING if playbook == MODULES else {}), **variables}))
        argv = ["ansible-playbook", *self._ansible, "--extra-vars", f"@{file}", str(playbook)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, site: subprocess.Popen[str], where: str) -> list[str]:
        """The tasks that changed something."""
        said, _nothing = site.communicate(timeout=900)
        if site.returncode:
            self.wrong.append(f"{where}: {said[-1500:]}")
        changed = re.findall(r"^TASK \[(.*?)\][^\n]*\n(?:(?!TASK ).*\n)*?changed:", said, re.M)
        counted = sum(int(number) for number in re.findall(r"changed=(\d+)", said))
        if counted != len(changed):
            self.wrong.append(f"{where}: changed={counted}, but saw {changed} in {said}")
        return changed

    def run(self, variables: Wish, where: str, playbook: Path = MODULES) -> list[str]:
        return self.end(self.begin(variables, "third", playbook), where)

    def on_host(self, module: str, arguments: str) -> str:
        argv = ["ansible", *self._ansible, "all", "--module-name", f"ansible.builtin.{module}"]
        argv += ["--args", arguments]
        return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout

    def look(self) -> Look:
        said = self.on_host("script", f"{HERE / 'look.py'} executable=python3")
        return t.cast("Look", json.loads(json.loads(said[said.index("{") :])["stdout"]))

    def clear(self) -> None:
        there = self.look()
        names = [*there["machines"]]
        images = [name for name in there["images"] if name not in names]
        gone: Wish = {
            "machines": [{"name": name, "state": "absent"} for name in names],
            "images_gone": [{"name": name, "state": "absent"} for name in images],
        }
        self.run({**gone, "cleared": True}, "removing all")

    def tear_down(self, number: int) -> None:
        """A host as it was before the first site.yml, with all that both runs have to do."""
        self.run(wish("playbook", "both", number), "teardown", PLAYBOOKS / "teardown.yml")
        left = self.look()
        if left["machines"] or left["images"] or left["owners"] or left["ports"]:
            self.wrong.append(f"teardown left {left}")
        self.on_host("apt", f"name={PACKAGE} state=absent")

    def one(self, kind: str, number: int) -> None:
        where = f"{kind} {number}"
        playbook = PLAYBOOKS / "site.yml" if kind == "playbook" else MODULES
        if kind == "nothing":
            self.clear()
        if kind == "playbook" and number % 2 == 0:
            self.on_host("user", f"name={PERSON}")
            self.tear_down(number)
        # Now this one is first, now that one.
        turn = number // 2 if kind == "playbook" else number
        wishes = {who: wish(kind, who, number) for who in ("anna", "bert")[:: 1 - 2 * (turn % 2)]}
        began = time.monotonic()
        sites = {}
        for who, variables in wishes.items():
            sites[who] = self.begin(variables, who, playbook)
            # Now they meet in this task, now in that.
            time.sleep(self.chance.random())
        changed = {who: self.end(site, f"{where}: {who}") for who, site in sites.items()}
        took = time.monotonic() - began
        look = self.look()
        ends = self.check(where, kind, look)
        third = self.run(wishes["anna"], f"{where}: third run", playbook)
        if len(third) != sum(who == "bert" for who in ends.values()):
            self.wrong.append(f"{where}: {ends}, and a third run changed {third}")
        if third and self.run(wishes["anna"], f"{where}: fourth run", playbook):
            self.wrong.append(f"{where}: a fourth run still did something")
        counts = {who: len(tasks) for who, tasks in changed.items()}
        self.rows.append(
            {
                "round": where,
                "took": round(took, 1),
                "changed": counts,
                "ends": ends,
                "third": third,
            }
        )

    def check(self, where: str, kind: str, look: Look) -> dict[str, str]:
        """Whose wish has won, where there are two."""
        wrong = [f"left {look[what]}" for what in ("left", "unread") if look[what]]
        whose = {}
        for name, found in look["machines"].items():
            parts = {found[part] for part in ("settings", "unit", "record", "declared")}
            whose[name] = "/".join(sorted(parts))
            if len(parts) != 1 or not found["enabled"]:
                wrong.append(f"{name} follows {found}")
            if not found["identity"] or found["files"] != look["whole"]:
                wrong.append(f"{name} is {found}, expected {look['whole']} files and an identity")
            if (found["active"] == "active") != (name in ("two-n1", "two-p1")):
                wrong.append(f"{name} is {found['active']}")
        wrong += [
            f"{name} follows {who}"
            for name, who in whose.items()
            if kind == "own" and who not in name
        ]
        same = kind == "nothing" or (kind == "playbook" and int(where.split()[1]) % 2 == 0)
        wishes = {"both"} if same else {"anna", "bert"}
        ended = set(whose.values())
        if kind != "own" and (len(whose) != 3 or len(ended) != 1 or not ended <= wishes):
            wrong.append(f"one wish for three machines: {whose}")
        ends = self._ends(kind, look, whose)
        if not wishes.issuperset(ends.values()):
            wrong.append(f"ended with {ends}")
        if kind == "playbook":
            wrong += [f"no {what}" for what in ("owners", "package") if not look[what]]
        self.wrong += [f"{where}: {what}" for what in wrong]
        return ends

    @staticmethod
    def _ends(kind: str, look: Look, whose: dict[str, str]) -> dict[str, str]:
        if kind not in ("shared", "playbook"):
            return {}
        zones = {f"{2000 + number}/tcp": who for number, who in enumerate(WHO)}
        servers = {str(number): who for number, who in enumerate(WHO)}
        ends = {
            "machines": whose.get(f"two-{kind[0]}1", ""),
            "zone": zones.get(look["ports"], look["ports"]),
            "network": look["network"],
        }
        if kind == "playbook":
            return {**ends, "network": servers.get(look["dns"], look["dns"])}
        return {**ends, "image": "anna" if look["read-only"].endswith("yes") else "bert"}


def main() -> None:
    inventory, rounds, *kinds = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        sites = Sites(inventory, Path(place))
        try:
            for kind in kinds:
                sites.clear()
                for number in range(int(rounds)):
                    sites.one(kind, number)
        finally:
            if "playbook" in kinds:
                sites.tear_down(0)
                sites.on_host("user", f"name={PERSON} state=absent remove=true")
            sites.clear()
    print(json.dumps({"rows": sites.rows, "wrong": sites.wrong}, indent=1))


if __name__ == "__main__":
    main()
