# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare what we read, accept and write with what systemd on this host does.

Usage: on_host.py DIRECTORY, which holds cases.json, values.json and ansible_collections/.
Prints a JSON object with what was found; an empty list of faults is what it should be.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import traceback
import typing as t
import unicodedata

HERE = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(HERE))

from ansible_collections.nspawn.machined.plugins.module_utils._core import files as core_files
from ansible_collections.nspawn.machined.plugins.module_utils._core import ini
from ansible_collections.nspawn.machined.plugins.module_utils._core import plan as core_plan
from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._settings import (
    files as settings_files,
)
from ansible_collections.nspawn.machined.plugins.module_utils._settings import nspawn_file, table
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import (
    bus,
    machined,
    unit_drop_ins,
    unit_files,
    unit_text,
)

VERSION = machined.systemd_version()
UNITS = pathlib.Path("/run/systemd/system")
WATCHED = ("/etc/systemd", "/root", "/home", "/srv", "/opt", "/var/lib/machines")


def texts(cases: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Let systemd read each text as a drop-in, and ask it for the description."""
    template = UNITS / "fuzz@.service"
    template.write_text("[Unit]\nDescription=none\n[Service]\nExecStart=/bin/true\n")
    units = [f"fuzz@{number}.service" for number in range(len(cases))]
    for unit, case in zip(units, cases):  # noqa: B905 - Python 3.9
        directory = UNITS / f"{unit}.d"
        directory.mkdir()
        (directory / "x.conf").write_bytes(case["text"].encode())
    unit_files.daemon_reload()
    rows = []
    for first in range(0, len(units), 200):
        some = units[first : first + 200]
        rows += bus.call(bus.SYSTEMD, "ListUnitsByNames", "as", str(len(some)), *some)[0]
    reading = "newest" if VERSION >= table.NEWEST else "older"
    faults = []
    for row, case in zip(rows, cases):  # noqa: B905 - Python 3.9
        name, theirs = row[:2]
        # An empty assignment takes away what the template says; the unit's name is shown then.
        ours = {None: "none", "": name}.get(case[reading], case[reading])
        if ours != theirs:
            faults.append({"text": case["text"], "ours": ours, "theirs": theirs})
    for unit in units:
        shutil.rmtree(UNITS / f"{unit}.d")
    template.unlink()
    unit_files.daemon_reload()
    return {
        "number": len(cases),
        "said": sum(bool(one[reading]) for one in cases),
        "faults": faults,
    }


def keys() -> dict[str, t.Any]:
    """Compare our table with the names that systemd-nspawn itself has in it."""
    program = pathlib.Path(shutil.which("systemd-nspawn") or "").read_bytes()
    named = rb"(?<=\0)(?:Exec|Files|Network)\.[A-Za-z]+(?=\0)"
    theirs = {found.decode() for found in re.findall(named, program)}
    ours = {
        f"{section}.{name}"
        for section, known in table.TABLE.items()
        for name, key in known.items()
        if key.since <= VERSION
    }
    return {"number": len(theirs), "faults": sorted(theirs ^ ours)}


def values(cases: dict[str, list[list[t.Any]]]) -> dict[str, t.Any]:
    """Let systemd-nspawn read each value, and compare its complaints with ours."""
    tree = HERE / "empty"
    tree.mkdir()
    file = pathlib.Path(nspawn_file.path_of("fuzz-values"))
    file.parent.mkdir(exist_ok=True)
    faults = []
    for name, stricter in (("understood", False), ("ignored", False), ("stricter", True)):
        for section, key, value, *since in cases[name]:
            if since and since[0] > VERSION:
                continue  # not looked at by this systemd until the machine starts
            file.write_text(f"[{section}]\n{key}={value}\n")
            argv = ["systemd-nspawn", "--settings=override", "--register=no"]
            argv += ["--machine=fuzz-values", f"--directory={tree}", "/bin/true"]
            said = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            ).stderr
            # It refuses the empty tree in any case, but reads the file before.
            theirs = f"{file.name}:" in said or "not valid" in said
            ours = refuses({section: {key: value}})
            if (theirs or stricter) != ours:
                faults.append({"value": [section, key, value], "ours": ours, "theirs": said})
    file.unlink()
    core_files.remove_empty_directory(str(file.parent))
    tree.rmdir()
    return {"number": sum(map(len, cases.values())), "faults": faults}


def refuses(raw: dict[str, t.Any]) -> bool:
    try:
        nspawn_file.check(nspawn_file.normalise(raw), VERSION)
    except Failure:
        return True
    return False


def arguments(cases: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Run what the modules run; each case ends in a refusal or in files that say what was asked."""
    faults: list[t.Any] = []
    counts: collections.Counter[str] = collections.Counter()
    before = listing()
    for case in cases:
        for run in (settings, units):
            try:
                counts[run(case)] += 1
            except Exception:
                faults.append({"case": case, "traceback": traceback.format_exc()})
            strange = sorted(listing() ^ before) if len(faults) < 20 else []
            faults += [{"case": case, "left": path} for path in strange]
    unit_files.daemon_reload()
    return {"number": 2 * len(cases), "counts": counts, "faults": faults}


def settings(case: dict[str, t.Any]) -> str:
    params = {"name": case["name"], "settings": case["settings"], "state": "present"}
    try:
        wanted = settings_files.wanted_of(
            {**params, "exclusive": False, "defaults": False}, VERSION
        )
    except Failure as failure:
        return refused(failure)
    seen = settings_files.snapshot(wanted)
    carry_out(settings_files.plan(seen, wanted), settings_files.verbs(False, {}))
    for name in wanted.names:
        path = nspawn_file.path_of(name)
        if wanted.settings is not None and os.path.exists(path):
            same(nspawn_file.parse(pathlib.Path(path).read_text()), wanted.settings)
    if settings_files.plan(settings_files.snapshot(wanted), wanted):
        raise AssertionError("the second run would change something")
    away = settings_files.Wanted(wanted.names, None)
    seen = settings_files.snapshot(away)
    carry_out(settings_files.plan(seen, away), settings_files.verbs(False, {}))
    return "settings written"


def units(case: dict[str, t.Any]) -> str:
    params = {"name": case["name"], "unit": None, "drop_in": case["drop_in"], "state": "present"}
    try:
        wanted = unit_drop_ins.wanted_of({**params, "settings": case["settings"]}, VERSION)
    except Failure as failure:
        return refused(failure)
    verbs = {**unit_drop_ins.VERBS, "reload": lambda _step: None}
    seen = unit_drop_ins.snapshot(wanted)
    carry_out(unit_drop_ins.plan(seen, wanted), verbs)
    for one in seen.units:
        same(ini.parse(pathlib.Path(one.path).read_text()), unit_text.normalise(case["settings"]))
    away = unit_drop_ins.Wanted(wanted.units, wanted.drop_in, None)
    carry_out(unit_drop_ins.plan(unit_drop_ins.snapshot(away), away), verbs)
    return "drop-in written"


def carry_out(plan: core_plan.Plan, verbs: core_plan.Verbs) -> None:
    failure = core_plan.apply(plan, verbs).failure()
    if failure:
        raise failure


def refused(failure: Failure) -> str:
    if not failure.message or any(unicodedata.category(one) == "Cc" for one in failure.message):
        raise AssertionError(f"not fit to be read: {failure.message!r}")
    return "refused"


def same(found: ini.Settings, wanted: ini.Settings) -> None:
    for place, expected in wanted.places():
        if found.values_of(*place) != expected:
            raise AssertionError(f"{place}: {found.values_of(*place)} instead of {expected}")


def listing() -> frozenset[str]:
    """All files in places where nothing may be left."""
    found: set[str] = set()
    for top in WATCHED:
        for directory, names, files in os.walk(top):
            names[:] = [name for name in names if directory != "/var/lib/machines"]
            found.update(f"{directory}/{name}" for name in [*names, *files])
    return frozenset(found)


def main() -> None:
    # An empty one goes with the last file in it.
    core_files.remove_empty_directory(nspawn_file.DIRECTORY)
    cases = json.loads((HERE / "cases.json").read_text())
    result = {
        "version": VERSION,
        "texts": texts(cases["texts"]),
        "keys": keys(),
        "values": values(json.loads((HERE / "values.json").read_text())),
        "arguments": arguments(cases["arguments"]),
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
