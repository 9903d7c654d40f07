# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running ansible-playbook from a test, and what each task came to on each host."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

CALLBACK = Path(__file__).parent / "callback"


@dataclass(frozen=True)
class Task:
    """The outcome of one task on one host."""

    host: str
    name: str
    outcome: (
        str  # ok, changed, skipped, failed, ignored (failed, and that was foreseen), unreachable
    )
    seconds: float
    result: t.Mapping[str, t.Any]

    @property
    def message(self) -> str:
        return str(self.result.get("msg", ""))


@dataclass(frozen=True)
class Run:
    """A run of ansible-playbook."""

    tasks: tuple[Task, ...]
    rc: int
    output: str

    def of(self, host: str, *outcomes: str) -> list[Task]:
        """A host's tasks with one of these outcomes; all of them if none is named."""
        return [
            task
            for task in self.tasks
            if task.host == host and (not outcomes or task.outcome in outcomes)
        ]

    def changed(self, host: str) -> list[str]:
        return [task.name for task in self.of(host, "changed")]

    def error(self, host: str) -> str:
        """The message of the task that failed on a host; empty if none did."""
        failed = self.of(host, "failed", "unreachable")
        return failed[0].message if failed else ""


def play(playbook: Path, inventories: t.Sequence[str], *arguments: str) -> Run:
    """Run a playbook to its end, whether it succeeds or not."""
    with tempfile.TemporaryDirectory() as directory:
        record = Path(directory) / "record"
        record.touch()
        done = subprocess.run(
            [
                "ansible-playbook",
                *(f"--inventory={inventory}" for inventory in inventories),
                *arguments,
                str(playbook),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={
                **os.environ,
                "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACK),
                "ANSIBLE_CALLBACKS_ENABLED": "record",
                "ANSIBLE_NOCOLOR": "1",
                "NSPAWN_MACHINED_RECORD": str(record),
            },
        )
        lines = [json.loads(line) for line in record.read_text().splitlines()]
    return Run(tuple(Task(**line) for line in lines), done.returncode, done.stdout)
