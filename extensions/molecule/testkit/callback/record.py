# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes down what each task came to, a line of JSON each, for the test that runs the playbook."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.executor.task_result import CallbackTaskResult
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: record
type: notification
short_description: Writes down what each task came to
description:
  - For each task and host a line of JSON, in the file that E(NSPAWN_MACHINED_RECORD) names.
"""


class CallbackModule(CallbackBase):
    """One line a task and host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._began: dict[tuple[str, str], float] = {}

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._began[task._uuid, host.get_name()] = time.monotonic()

    def _record(self, result: CallbackTaskResult, outcome: str) -> None:
        host: t.Any = result.host
        task: t.Any = result.task
        line = {
            "host": host.get_name(),
            "name": task.get_name(include_role_fqcn=False),
            "outcome": outcome,
            "seconds": round(time.monotonic() - self._began[task._uuid, host.get_name()], 2),
            # What is meant for a screen has no diff in it.
            "result": {
                **json.loads(self._dump_results(result.result)),
                "diff": result.result.get("diff", []),
            },
        }
        with open(os.environ["NSPAWN_MACHINED_RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        self._record(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        self._record(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result: CallbackTaskResult) -> None:
        self._record(result, "skipped")

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self._record(result, "unreachable")
