# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""verdict.py DIRECTORY PREFIX: which words were found where, and which of them nothing excuses.

The directory has words.json, Ansible's output, and what was found on the host, a line for each:
where, and the word.
"""

from __future__ import annotations

import collections
import json
import re
import sys
from pathlib import Path

CONTROL = "9999"
SURFACES = ("ps", "show", "journal", "journal of a machine", "files")


def main() -> None:
    directory, prefix = Path(sys.argv[1]), sys.argv[2]
    words = {one["word"]: one for one in json.loads((directory / "words.json").read_text())}
    output = (directory / "output").read_text()
    found = {("output", word) for word in re.findall(rf"{prefix}[0-9]{{4}}", output)}
    for line in (directory / "found").read_text().splitlines():
        where, _blank, word = line.rpartition(" ")
        found.add((where, word))
    blind = [where for where in SURFACES if (where, f"{prefix}{CONTROL}") not in found]
    excused: collections.Counter[str] = collections.Counter()
    finds = []
    for where, word in sorted(found):
        if word.endswith(CONTROL):
            continue
        one = words[word]
        reason = one["public"] or one["exceptions"].get(where)
        if reason:
            excused[reason] += 1
        else:
            finds.append(f"{where}: {one['module']}.{one['argument']}")
    tried = len(re.findall(r"^TASK \[Case ", output, re.MULTILINE))
    print(
        json.dumps(
            {
                "planned": len(json.loads((directory / "cases.json").read_text())),
                "cases": tried,
                "arguments": len(words),
                "secret": sum(not one["public"] for one in words.values()),
                "finds": finds,
                "excused": dict(excused),
                "blind": blind,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
