# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test host on which everything is measured, reached over ssh like a user's server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "bench-template"
# Stopped in order: what is killed leaves mounts behind that keep it from starting again. btrfs
# frees what was removed in the background, for as long as a minute: the next measurement must not
# pay for it.
CLEAR = """
set -eu
systemctl stop 'systemd-nspawn@*'
systemctl reset-failed 'systemd-nspawn@*' 2>/dev/null || true
rm -f /etc/systemd/nspawn/m[0-9]*.nspawn
rm -f /etc/systemd/system/machines.target.wants/systemd-nspawn@m[0-9]*
rm -rf /var/lib/nspawn.machined /run/nspawn.machined
systemctl daemon-reload
for image in /var/lib/machines/m[0-9]*; do
    [ -e "$image" ] || continue
    btrfs subvolume delete -R "$image" >/dev/null 2>&1 || btrfs subvolume delete "$image" >/dev/null
done
btrfs subvolume sync /var/lib/machines >/dev/null
sync
"""
WEIGH = """#!/usr/bin/python3
import resource, subprocess, sys
rc = subprocess.call(["/usr/bin/python3", *sys.argv[1:]])
with open("/run/bench-memory", "a") as file:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=file)
sys.exit(rc)
"""


class Host:
    """A test host of the benchmark's own."""

    def __init__(self, name: str, distribution: str, *, quotas: bool) -> None:
        self.name = name
        self.distribution = distribution
        self.quotas = quotas
        self.directory = ROOT / "build" / "hosts" / name

    def up(self) -> None:
        self._testhost("up", self.name, "--distribution", self.distribution)
        self.playbook("template", "-e", json.dumps({"bench_template": TEMPLATE}))
        self.shell(f"btrfs quota {'enable' if self.quotas else 'disable'} /var/lib/machines")

    def down(self) -> None:
        self._testhost("down", self.name)

    def _testhost(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, str(ROOT / "tests/testhost"), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def shell(self, script: str) -> str:
        """Run a shell script on the host, through the same kind of ssh that Ansible uses."""
        options = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s"]
        control = ["-o", f"ControlPath=/run/nspawn-machined-test/ssh/{self.name}-bench"]
        config = str(self.directory / "ssh_config")
        argv = ["ssh", "-F", config, *options, *control, self.name, "sh", "-s"]
        return subprocess.run(argv, input=script, check=True, capture_output=True, text=True).stdout

    def playbook(self, name: str, *extra: str) -> str:
        path = Path(__file__).parent / "playbooks" / f"{name}.yml"
        argv = ["ansible-playbook", "-i", str(self.directory / "inventory.yml"), str(path), *extra]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def weighing_interpreter(self) -> str:
        """A Python that leaves its peak memory in /run/bench-memory."""
        path = "/run/bench-python"
        self.shell(f"cat > {path} <<'END'\n{WEIGH}END\nchmod 755 {path}")
        return path

    def clear(self) -> None:
        self.shell(CLEAR)

    def change(self, machine: str) -> None:
        """Somebody stopped a machine by hand: the run has something to do for one of all."""
        self.shell(f"systemctl stop systemd-nspawn@{machine}.service")

    def check_booted(self, machines: Sequence[str]) -> None:
        running = self.shell("systemctl list-units --plain --no-legend 'systemd-nspawn@*'")
        missing = [name for name in machines if f"systemd-nspawn@{name}.service" not in running]
        if missing:
            raise SystemExit(f"not running afterwards: {', '.join(missing)}")
