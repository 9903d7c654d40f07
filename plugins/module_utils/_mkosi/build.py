# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs mkosi: out of sight, in a unit of its own, and puts what it made in place at once.

Private to the collection. A build happens in a stage, a directory of ours that holds mkosi's
workspace and its output. Whatever is in a stage that nobody has locked is left over and goes.
mkosi runs as a transient unit: when the module is killed, the next run can find the whole build,
with all processes that it started, and end it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shlex
import typing as t

from .._core import locks, progress
from .._core import run as core_run
from .._core.lines import said_lines
from .._core.plan import Failure
from .._core.printable import printable
from . import clearing, harvest, host, secret, table, view
from .builder import Builder, doubled, end
from .builder import words as unit_words

ANY = locks.build("mkosi")
"""Stands for all builds of the host."""

STAGE = ".#nspawn-machined-mkosi"
"""systemd takes no name that begins so for an image, and clears them away at boot."""

WORKSPACES = "/var/tmp"
"""Where mkosi works if it is not told otherwise: large, and open to ordinary users."""

SWEEP_TIMEOUT = clearing.TIMEOUT

ANY_UNIT = "nspawn-machined-mkosi-*.service"
TAIL = 20
CONVERT_TIMEOUT = 3600
_IMAGE_ENDINGS = re.compile(r"\.(raw|tar)(\.(gz|xz|zst|bz2|lz4))?\Z")


@dataclasses.dataclass(frozen=True)
class Build:
    """One run of mkosi."""

    directory: str
    mkosi: host.Version
    output: str
    """The name that mkosi gives its output, without an ending."""
    stage: str
    destination: t.Optional[str]
    """Where the output goes; nothing when it is only imported."""
    timeout: float
    user: t.Optional[str] = None
    qcow2: bool = False
    compress_qcow2: bool = False
    keep_raw: bool = False
    levels: int = 0
    """How much of what was kept of earlier builds is thrown away: 1 incremental, 2 packages."""
    secrets: tuple[str, ...] = ()
    ending: str = ""
    """What mkosi 14 must be told to put behind the output's name; newer ones do so themselves."""


def stage_of(directory: str, root: str) -> str:
    return os.path.join(root, STAGE, host.identity(directory))


def unit_of(directory: str) -> str:
    return f"nspawn-machined-mkosi-{host.identity(directory)}.service"


def thing(directory: str) -> locks.Thing:
    """What one run at a time may work on."""
    return locks.build(host.identity(directory))


# --- leftovers ------------------------------------------------------------------------------


def sweep(directory: str, stage: str, builder: Builder) -> None:
    """End what a killed run left running, and remove what it was making. Needs the lock."""
    end(unit_of(directory))
    if builder.is_root and os.path.lexists(stage):
        _detach_loops(stage)
    builder.call(clearing.remove_stage, stage, _workspaces(directory), patience=SWEEP_TIMEOUT)


def _workspaces(directory: str) -> str:
    """How the names of workspaces begin that cannot lie in their stage."""
    return f"{WORKSPACES}/nspawn-machined-mkosi-{host.identity(directory)}-"


def _detach_loops(stage: str) -> None:
    """mkosi 14 builds disks on loop devices, which outlive it when it is killed."""
    if core_run.find("losetup") is None:
        return
    said = core_run.run(
        ["losetup", "--list", "--json", "--output=NAME,BACK-FILE"], check=False
    ).stdout
    with contextlib.suppress(ValueError, KeyError):
        for device in json.loads(said or "{}").get("loopdevices", ()):
            if (device["back-file"] or "").startswith(f"{stage}/"):
                core_run.run(["losetup", "--detach", device["name"]], check=False)


# --- build ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Stage:
    """Where one build happens."""

    output: str
    workspace: str


def run(build: Build, builder: Builder) -> list[str]:
    """Build, convert and put in place; return what came out of it."""
    # Two mkosi must not run at once: one copies the other's package cache while it changes.
    with locks.alone([ANY], f"mkosi in {build.directory}", patience=build.timeout):
        end(ANY_UNIT)
        try:
            with progress.Phases("building", build.directory) as phases:
                stage = _prepare(build, builder)
                _mkosi(build, builder, stage, phases)
                if build.qcow2:
                    phases.enter("Converting to QCOW2")
                    _convert(build, builder, stage.output)
            if build.destination is None:
                return products(build, builder)
            moved = builder.call(harvest.promote, stage.output, build.destination)
            return [str(path) for path in moved]
        except BaseException:
            sweep(build.directory, build.stage, builder)
            raise


def _prepare(build: Build, builder: Builder) -> Stage:
    """An empty stage."""
    sweep(build.directory, build.stage, builder)
    found = builder.call(
        harvest.prepare,
        build.stage,
        build.directory,
        _workspaces(build.directory) if build.mkosi.number > table.OLDEST else None,
    )
    return Stage(*found)


def _mkosi(build: Build, builder: Builder, stage: Stage, phases: progress.Phases) -> None:
    unit = unit_of(build.directory)

    def read(line: str) -> None:
        phase = phase_of(line)
        if phase:
            phases.enter(secret.without(build.secrets, phase))

    with unit_words(
        builder,
        unit,
        cwd=build.directory,
        timeout=build.timeout,
        description=f"mkosi in {build.directory}",
    ) as before:
        argv = [*before, "--", *doubled(command(build, stage))]
        try:
            # What it says, and all that it runs, is only looked at when it fails.
            core_run.run(argv, timeout=build.timeout, on_line=read, cut=True)
        except core_run.CommandFailed as failed:
            end(unit)
            raise Failure(_explained(build, failed), **_details(build, failed)) from None


def command(build: Build, stage: Stage) -> list[str]:
    """mkosi's command line. What is given here beats the configuration."""
    words = ["mkosi", "--directory", build.directory, *["--force"] * (build.levels + 1)]
    if build.mkosi.number > table.OLDEST:
        words += [f"--output-directory={stage.output}"]
        words += [f"--workspace-directory={stage.workspace}"]
    else:
        words += [f"--output={stage.output}/{build.output}{build.ending}"]
        words += [f"--workspace-dir={stage.workspace}"]
        words += host.elsewhere(stage.workspace, build.mkosi.number)
    return [*words, "build"]


def _explained(build: Build, failed: core_run.CommandFailed) -> str:
    said = _told(build, failed)
    ended = (
        f"did not end within {build.timeout:g} s; give it more with timeout"
        if failed.result.rc == -1
        else f"failed ({failed.result.rc})"
    )
    return (
        f"mkosi {build.mkosi.text} in {build.directory} {ended}. Nothing of the build is left,"
        f" what was there before is untouched. Its last words: {said}"
    )


def _told(build: Build, failed: core_run.CommandFailed) -> str:
    return secret.without(build.secrets, last_words(failed.result.stderr))


def phase_of(line: str) -> t.Optional[str]:
    """What mkosi says it begins with; nothing when the line is of something that it runs."""
    found = re.match(r"‣\s*(?:\[[^\]]*\]\s*)?(.+?)…?\s*\Z", line)
    return found.group(1) if found else None


def last_words(text: str) -> str:
    """The end of what was said, without Python's account of where in mkosi it was said."""
    lines: list[str] = []
    tracing = False
    for line in said_lines(text):
        # Indented lines follow the head of a traceback; what comes behind them names the error.
        tracing = line.startswith("Traceback (") or (tracing and line[:1] in ("", " "))
        if not tracing:
            lines.append(line)
    return "\n".join(lines[-TAIL:]) or "none"


def _details(build: Build, failed: core_run.CommandFailed) -> dict[str, t.Any]:
    return {"cmd": shlex.join(failed.result.argv), "rc": failed.result.rc}


# --- what came out --------------------------------------------------------------------------


def products(build: Build, builder: Builder) -> list[str]:
    """What lies in the stage."""
    return [str(path) for path in builder.call(harvest.products, f"{build.stage}/output")]


def image_in(products: t.Sequence[str], output: str) -> str:
    """The image among the products: a directory or the archive or disk of the output's name."""
    for path in products:
        name = os.path.basename(path)
        if name == output or (name.startswith(f"{output}.") and _IMAGE_ENDINGS.search(name)):
            return path
    raise Failure(
        f"mkosi made {_named(products)}; expected {output}, or with .tar or .raw behind it"
    )


def _named(products: t.Sequence[str]) -> str:
    return ", ".join(printable(os.path.basename(path)) for path in products) or "nothing"


def _convert(build: Build, builder: Builder, place: str) -> None:
    made = [str(path) for path in builder.call(harvest.products, place)]
    disks = [path for path in made if path.endswith(".raw")]
    if not disks:
        raise Failure(
            f"qcow2: mkosi made {_named(made)}; expected a disk that is not compressed (.raw)"
        )
    for path in disks:
        target = path[: -len(".raw")] + ".qcow2"
        compress = ["-c"] if build.compress_qcow2 else []
        argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *compress, path, target]
        unit = f"nspawn-machined-convert-{host.identity(build.directory)}"
        builder.run(argv, unit, cwd=place, timeout=CONVERT_TIMEOUT, cut=True)
        if not build.keep_raw:
            builder.call(clearing.remove_output, path, patience=SWEEP_TIMEOUT)


def clean(build: Build, levels: int, builder: Builder) -> None:
    """mkosi's own clean: outputs, then incremental caches, then packages."""
    argv = ["mkosi", "--directory", build.directory, *["--force"] * levels]
    if build.destination and build.mkosi.number > table.OLDEST:
        argv.append(f"--output-directory={build.destination}")
    elif build.destination:
        argv.append(f"--output={build.destination}/{build.output}{build.ending}")
    identity = host.identity(build.directory)
    with contextlib.ExitStack() as stack:
        if build.mkosi.number <= table.OLDEST:
            argv += host.elsewhere(stack.enter_context(view.room(identity)), build.mkosi.number)
        try:
            builder.run(
                [*argv, "clean"],
                f"nspawn-machined-clean-{identity}",
                cwd=build.directory,
                timeout=build.timeout,
                cut=True,
            )
        except core_run.CommandFailed as failed:
            raise Failure(
                f"mkosi {build.mkosi.text} in {build.directory} could not clean"
                f" ({failed.result.rc}). Its last words: {_told(build, failed)}",
                **_details(build, failed),
            ) from None
