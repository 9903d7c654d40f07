# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say whose wish each thing on the host follows, and what is left lying about. Run on the host."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

MACHINES = Path("/var/lib/machines")
SETTINGS = Path("/etc/systemd/nspawn")
UNITS = Path("/etc/systemd/system")
NETWORK = Path("/etc/systemd/network/80-container-ve.network.d/two-sites.conf")
RULES = Path("/etc/polkit-1/rules.d/60-nspawn-machined.rules")
MEMORY = Path("/var/lib/nspawn.machined")
TEMPORARY = (".nspawn-machined", ".#nspawn-machined", ".#.nspawn-machined")


def said(*argv: str) -> str:
    nothing, pipe = subprocess.DEVNULL, subprocess.PIPE
    done = subprocess.run(argv, text=True, check=False, stdout=pipe, stderr=nothing)
    return done.stdout.strip()


def entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def who_in(text: str, pattern: str) -> str:
    found = re.findall(pattern, text, re.MULTILINE)
    return found[0] if len(found) == 1 else f"{found} in {text!r}"


def files_in(root: Path) -> int:
    return sum(len(files) for _folder, _folders, files in os.walk(root / "usr"))


def machine(name: str) -> dict[str, object]:
    """The wish that each part of a machine follows."""
    unit = f"systemd-nspawn@{name}.service"
    record = json.loads((MEMORY / "machines" / f"{name}.json").read_text())
    enabled = (UNITS / "machines.target.wants" / unit).is_symlink()
    return {
        "settings": who_in((SETTINGS / f"{name}.nspawn").read_text(), r"^Environment=\"?WHO=(\w+)"),
        "unit": who_in(
            (UNITS / f"{unit}.d/50-nspawn-machined.conf").read_text(), r"^Environment=\"?WHO=(\w+)"
        ),
        "record": record["vars"]["who"],
        "declared": record["declared"]["unit"]["Service"]["Environment"][0][4:],
        "enabled": record["declared"]["enabled"] == enabled,
        "identity": record["made"] and record["identity"],
        "files": files_in(MACHINES / name),
        "active": said("systemctl", "is-active", unit),
    }


def main() -> None:
    there = [name for name in entries(MACHINES) if name.startswith("two-")]
    known = [name[:-5] for name in entries(MEMORY / "machines") if name.startswith("two-")]
    folders = (
        *(MACHINES, SETTINGS, UNITS, MEMORY, MEMORY / "machines", MEMORY / "images"),
        *(NETWORK.parent, NETWORK.parents[1], RULES.parent, Path("/etc/sysctl.d")),
    )
    left = [
        f"{folder}/{name}"
        for folder in folders
        for name in entries(folder)
        if name.startswith(TEMPORARY) or name.endswith((".next", "-machined-new"))
    ]
    print(
        json.dumps(
            {
                "images": there,
                "machines": {name: machine(name) for name in known},
                "left": left,
                "unread": entries(Path("/run/nspawn.machined/unread")),
                "read-only": said("machinectl", "show-image", "two-image", "-p", "ReadOnly"),
                "ports": said("firewall-cmd", "--permanent", "--zone=two", "--list-ports"),
                "owners": RULES.exists() and "two-p1" in RULES.read_text(),
                "package": Path("/usr/bin/hello").exists(),
                "dns": who_in(
                    "".join(file.read_text() for file in NETWORK.parent.glob("*.conf")),
                    r"^DNS=192\.0\.2\.(\d+)$",
                ),
                "network": who_in(
                    NETWORK.read_text() if NETWORK.exists() else "", r"^Description=(\w+)"
                ),
                "whole": files_in(MACHINES / "it-guest"),
            }
        )
    )


if __name__ == "__main__":
    main()
