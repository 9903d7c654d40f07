# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module machines twice at the same moment, with different wishes.

Run on a host beside kill_matrix.py: two_at_once.py ROUNDS. Each of two runs wants machines of its
own, and both want other things of the same ones. Each machine must end as one of them wants it,
wholly; a third run may only do what is different between the two, and a fourth one nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import typing as t

import kill_matrix
from kill_matrix import MACHINES, RECORDS, SETTINGS, UNITS, Answer, entries, said, unit_of

OWN = {"anna": ["it-two-a1", "it-two-a"], "bert": ["it-two-b1", "it-two-b"]}
SHARED = ["it-two-s", "it-two-s1"]
STATES = {"anna": "started", "bert": "stopped"}
LIMITS = {"anna": 301, "bert": 302}
ALL = [*SHARED, *OWN["anna"], *OWN["bert"]]


def wanted(who: str) -> list[dict[str, object]]:
    # In another order by each of them.
    shared = SHARED if who == "anna" else SHARED[::-1]
    return [
        {
            **entry,
            "settings": {"Exec": {"Environment": {"WHO": who}}},
            "unit": {"Service": {"TasksMax": LIMITS[who]}},
            "enabled": who == "anna",
            "state": STATES[who],
            "vars": {"who": who},
        }
        for entry in kill_matrix.wanted([*shared, *OWN[who]])
    ]


def answer_of(module: subprocess.Popen[bytes]) -> Answer:
    out, err = module.communicate(timeout=300)
    try:
        return t.cast("Answer", json.loads(out))
    except ValueError:
        return {"failed": True, "msg": f"{out!r} {err!r}"}


def whose(name: str) -> list[str]:
    """Whose wish each part of a machine follows."""
    settings = (SETTINGS / f"{name}.nspawn").read_text()
    unit = (UNITS / f"{unit_of(name)}.d" / "50-nspawn-machined.conf").read_text()
    record = json.loads((RECORDS / f"{name}.json").read_text())
    active = said("systemctl", "is-active", unit_of(name)) == ["active"]
    enabled = unit_of(name) in entries(UNITS / "machines.target.wants")
    declared = record["declared"]
    return [
        "anna" if "WHO=anna" in settings else "bert" if "WHO=bert" in settings else "nobody",
        "anna" if "TasksMax=301" in unit else "bert" if "TasksMax=302" in unit else "nobody",
        "anna" if active else "bert",
        "anna" if enabled else "bert",
        record["vars"]["who"],
        "anna" if declared["state"] == "started" else "bert",
        "anna" if declared["unit"]["Service"]["TasksMax"] == ["301"] else "bert",
    ]


def one(number: int, wrong: list[str]) -> dict[str, object]:
    where = f"round {number}"
    if number % 2 == 0:
        kill_matrix.remove(ALL)
    started = time.monotonic()
    modules = {
        who: kill_matrix.begin(wanted(who)) for who in ("anna", "bert")[:: 1 - 2 * (number % 2)]
    }
    answers = {who: answer_of(module) for who, module in modules.items()}
    took = time.monotonic() - started
    wrong += [f"{where}: {who}: {a.get('msg')}" for who, a in answers.items() if a.get("failed")]
    ends = {}
    for name in ALL:
        parts = set(whose(name))
        ends[name] = "/".join(sorted(parts))
        if len(parts) != 1 or (name in OWN["anna"] and parts != {"anna"}):
            wrong.append(f"{where}: {name} follows {whose(name)}")
        record = json.loads((RECORDS / f"{name}.json").read_text())
        if not record["made"] or not record["identity"]:
            wrong.append(f"{where}: the record of {name} is {record}")
    if {name for name in entries(MACHINES) if name.startswith((".nspawn", ".#"))}:
        wrong.append(f"{where}: left {entries(MACHINES)}")
    third = kill_matrix.run(wanted("anna"))
    touched = {name for name, machine in third["machines"].items() if machine["changed"]}
    if touched != {name for name in SHARED if ends[name] != "anna"}:
        wrong.append(f"{where}: {ends}, and a third run changed {sorted(touched)}")
    if kill_matrix.run(wanted("anna")).get("changed"):
        wrong.append(f"{where}: a fourth run still did something")
    return {"ends": ends, "took": round(took, 2)}


def main() -> None:
    wrong: list[str] = []
    rows = []
    try:
        rows = [one(number, wrong) for number in range(int(sys.argv[1]))]
    finally:
        kill_matrix.remove(ALL)
    print(json.dumps({"rows": rows, "wrong": wrong}, indent=1))


if __name__ == "__main__":
    main()
