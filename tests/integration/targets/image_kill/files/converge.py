# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module images does, without Ansible around it: a JSON list of images as its argument."""

from __future__ import annotations

import json
import sys

from ansible_collections.nspawn.machined.plugins.module_utils import _images, _plan


def main() -> None:
    images = [_images.wanted(entry) for entry in json.loads(sys.argv[1])]
    try:
        plan = _images.plan(_images.snapshot(images), images)
        failure = _plan.apply(plan, _images.VERBS).failure()
    except _plan.Failure as failed:
        plan, failure = (), failed
    print(json.dumps({"plan": _plan.describe(plan), "failure": failure and failure.message}))
    sys.exit(1 if failure else 0)


if __name__ == "__main__":
    main()
