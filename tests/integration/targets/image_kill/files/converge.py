# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module images does, without Ansible around it: a JSON list of images as its argument."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils._core import plan as core_plan
from ansible_collections.nspawn.machined.plugins.module_utils._images import (
    act,
    seen,
    wanted,
)
from ansible_collections.nspawn.machined.plugins.module_utils._images import plan as images_plan

CALLS = ("open", "os.", "shutil.", "fcntl.", "subprocess.Popen", "ctypes.dlsym")


class Calls:
    """Counts the calls to the system that Python tells of, and dies before one of them."""

    def __init__(self, death: int) -> None:
        self.death = death
        self.numbers = itertools.count(1)
        self.last = 0
        sys.addaudithook(self.count)

    def count(self, event: str, _arguments: object) -> None:
        if event.startswith(CALLS):
            self.last = next(self.numbers)
            if self.last == self.death:
                os.kill(os.getpid(), signal.SIGKILL)


def converge(
    entries: t.Sequence[t.Mapping[str, t.Any]], ready: t.Callable[[], object] = lambda: None
) -> dict[str, t.Any]:
    """Bring images into their wanted state; O(ready) is called before anything changes."""
    images = [wanted.wanted(entry) for entry in entries]
    try:
        plan = images_plan.plan(seen.snapshot(images), images)
        ready()
        failure = core_plan.apply(plan, act.VERBS).failure()
    except core_plan.Failure as failed:
        plan, failure = (), failed
    return {"plan": core_plan.describe(plan), "failure": failure and failure.message}


def main() -> None:
    said = converge(json.loads(sys.argv[1]))
    print(json.dumps(said))
    sys.exit(1 if said["failure"] else 0)


if __name__ == "__main__":
    main()
