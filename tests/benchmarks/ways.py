# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three ways to the same machines: a shell script, a playbook of tasks, the collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from .host import TEMPLATE, Host

Work = Callable[[Host], object]
Way = Callable[[Host, Sequence[str]], object]


def empty(host: Host) -> object:
    return host.playbook("empty")


def script(host: Host, machines: Sequence[str]) -> object:
    """The script that a person would write, with as few calls of machinectl as there can be."""
    text = (Path(__file__).parent / "machines.sh").read_text()
    return host.shell(f"set -- {TEMPLATE} {' '.join(machines)}\n{text}")


def tasks(host: Host, machines: Sequence[str]) -> object:
    return host.playbook("tasks", "-e", _variables(machines))


def collection(host: Host, machines: Sequence[str]) -> object:
    return host.playbook("collection", "-e", _variables(machines))


def half_running(host: Host, machines: Sequence[str]) -> object:
    """All are declared, every second one shall run."""
    wanted = [
        {"name": name, "image": TEMPLATE, "state": "stopped" if number % 2 else "started"}
        for number, name in enumerate(machines)
    ]
    return host.playbook("collection", "-e", json.dumps({"bench_wanted": wanted}))


def collection_weighed(host: Host, machines: Sequence[str]) -> object:
    """The same with an interpreter that writes down how much memory the module took."""
    interpreter = f"ansible_python_interpreter={host.weighing_interpreter()}"
    return host.playbook("collection", "-e", _variables(machines), "-e", interpreter)


def _variables(machines: Sequence[str]) -> str:
    return json.dumps(
        {
            "bench_template": TEMPLATE,
            "bench_machines": list(machines),
            "bench_wanted": [
                {"name": name, "image": TEMPLATE, "enabled": True, "state": "started"}
                for name in machines
            ],
        }
    )


WAYS: dict[str, Way] = {"script": script, "tasks": tasks, "collection": collection}
