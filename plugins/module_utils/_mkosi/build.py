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
import pwd
import re
import shlex
import typing as t

from .._core import progress, trees
from .._core import run as core_run
from .._core.plan import Failure
from .._images import locks
from . import host, table

STAGE = ".#nspawn-machined-mkosi"
"""systemd takes no name that begins so for an image, and clears them away at boot."""

WORKSPACES = "/var/tmp"
"""Where mkosi works if it is not told otherwise: large, and open to ordinary users."""

ANY_UNIT = "nspawn-machined-mkosi-*.service"
TAIL = 20
CONVERT_TIMEOUT = 3600
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_IMAGE_ENDINGS = re.compile(r"\.(raw|tar)(\.(gz|xz|zst|bz2|lz4))?\Z")
_ENDINGS = re.compile(r"\.(raw|tar|cpio|efi|qcow2)(\.(gz|xz|zst|bz2|lz4))?\Z")


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


def workspace_of(directory: str, stage: str, number: int) -> str:
    """Where mkosi works. Newer ones refuse a place inside of their directory, and take this one."""
    inside = f"{os.path.realpath(stage)}/".startswith(f"{os.path.realpath(directory)}/")
    if inside and number > table.OLDEST:
        return f"{WORKSPACES}/nspawn-machined-mkosi-{host.identity(directory)}"
    return os.path.join(stage, "workspace")


def unit_of(directory: str) -> str:
    return f"nspawn-machined-mkosi-{host.identity(directory)}.service"


def lock_of(directory: str) -> t.ContextManager[int]:
    return locks.locked(f"mkosi-{host.identity(directory)}")


# --- leftovers ------------------------------------------------------------------------------


def sweep(directory: str, stage: str) -> None:
    """End what a killed run left running, and remove what it was making. Needs the lock."""
    end(unit_of(directory))
    if not os.path.lexists(stage):
        return
    _detach_loops(stage)
    # The stage goes last: it tells that there was something.
    trees.remove(workspace_of(directory, stage, table.NEWEST))
    trees.remove(stage)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(stage))


def end(unit: str) -> None:
    """Stop a build with all its processes; no error when there is none."""
    core_run.run(["systemctl", "kill", "--signal=KILL", "--", unit], check=False)
    core_run.run(["systemctl", "stop", "--", unit], check=False)
    core_run.run(["systemctl", "reset-failed", "--", unit], check=False)


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


def run(build: Build) -> list[str]:
    """Build, convert and put in place; return what came out of it."""
    # Two mkosi must not run at once: one copies the other's package cache while it changes.
    with locks.locked("mkosi", patience=build.timeout):
        end(ANY_UNIT)
        try:
            with progress.Phases("building", build.directory) as phases:
                place = _prepare(build)
                _mkosi(build, place, phases)
                if build.qcow2:
                    phases.enter("Converting to QCOW2")
                    _convert(build, place)
            if build.destination is None:
                return products(build)
            return _promote(place, build.destination, build.output)
        except BaseException:
            sweep(build.directory, build.stage)
            raise


def _prepare(build: Build) -> str:
    """An empty stage; return the place of the output in it."""
    sweep(build.directory, build.stage)
    os.makedirs(os.path.dirname(build.stage), mode=0o711, exist_ok=True)
    os.mkdir(build.stage, 0o700)
    place = os.path.join(build.stage, "output")
    workspace = workspace_of(build.directory, build.stage, build.mkosi.number)
    for path, mode in ((place, 0o755), (workspace, 0o700)):
        os.mkdir(path, mode)
        if build.user:
            owner = _user(build.user)
            os.chown(path, owner.pw_uid, owner.pw_gid)
    if build.user:
        os.chown(build.stage, _user(build.user).pw_uid, -1)
    return place


def uid_of(name: str) -> int:
    return _user(name).pw_uid


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise Failure(f"user: this host has no user {name!r}, who was to build") from None


def _mkosi(build: Build, place: str, phases: progress.Phases) -> None:
    unit = unit_of(build.directory)
    argv = [*_unit_words(build, unit), "--", *(_doubled(word) for word in command(build, place))]

    def read(line: str) -> None:
        phase = phase_of(line)
        if phase:
            phases.enter(_without_secrets(build, phase))

    try:
        core_run.run(argv, timeout=build.timeout, on_line=read)
    except core_run.CommandFailed as failed:
        end(unit)
        raise Failure(_explained(build, failed), **_details(build, failed)) from None


def command(build: Build, place: str) -> list[str]:
    """mkosi's command line. What is given here beats the configuration."""
    workspace = workspace_of(build.directory, build.stage, build.mkosi.number)
    words = ["mkosi", "--directory", build.directory, *["--force"] * (build.levels + 1)]
    if build.mkosi.number > table.OLDEST:
        words += [f"--output-directory={place}", f"--workspace-directory={workspace}"]
    else:
        words += [f"--output={place}/{build.output}{build.ending}", f"--workspace-dir={workspace}"]
        words += host.elsewhere(workspace, build.mkosi.number)
    return [*words, "build"]


def _unit_words(build: Build, unit: str) -> list[str]:
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}"]
    words += [f"--description=mkosi in {build.directory}", "--service-type=exec"]
    words += [f"--property=RuntimeMaxSec={build.timeout:g}", "--property=TimeoutStopSec=10"]
    words += ["--property=LimitNOFILE=524288", f"--working-directory={build.directory}"]
    if build.user:
        home = _user(build.user).pw_dir
        words += [f"--uid={build.user}", f"--setenv=HOME={home}"]
    else:
        words.append("--setenv=HOME=/root")
    words += [
        f"--setenv=PATH={core_run.SEARCH_PATH}",
        "--setenv=LC_ALL=C.UTF-8",
        "--setenv=TERM=dumb",
    ]
    for name in _PROXIES:
        for spelling in (name, name.upper()):
            if spelling in os.environ:
                words.append(f"--setenv={spelling}")
    return words


def _doubled(word: str) -> str:
    """systemd-run would put in variables."""
    return word.replace("$", "$$")


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
    return _without_secrets(build, last_words(failed.result.stderr))


def _without_secrets(build: Build, text: str) -> str:
    for secret in build.secrets:
        text = text.replace(secret, "********")
    return text


def phase_of(line: str) -> t.Optional[str]:
    """What mkosi says it begins with; nothing when the line is of something that it runs."""
    found = re.match(r"‣\s*(?:\[[^\]]*\]\s*)?(.+?)…?\s*\Z", line)
    return found.group(1) if found else None


def last_words(text: str) -> str:
    """The end of what was said, without Python's account of where in mkosi it was said."""
    lines: list[str] = []
    tracing = False
    for line in text.splitlines():
        # Indented lines follow the head of a traceback; what comes behind them names the error.
        tracing = line.startswith("Traceback (") or (tracing and line[:1] in ("", " "))
        if line.strip() and not tracing:
            lines.append(line)
    return "\n".join(lines[-TAIL:]) or "none"


def _details(build: Build, failed: core_run.CommandFailed) -> dict[str, t.Any]:
    return {"cmd": shlex.join(failed.result.argv), "rc": failed.result.rc}


# --- what came out --------------------------------------------------------------------------


def products(build: Build) -> list[str]:
    """What lies in the stage."""
    return _products(os.path.join(build.stage, "output"))


def _products(place: str) -> list[str]:
    """The output, without the links that mkosi puts beside it."""
    names = sorted(name for name in os.listdir(place) if not name.startswith("."))
    found = [os.path.join(place, name) for name in names]
    return [path for path in found if not os.path.islink(path)]


def image_in(products: t.Sequence[str], output: str) -> str:
    """The image among the products: a directory or the archive or disk of the output's name."""
    for path in products:
        name = os.path.basename(path)
        if name == output or (name.startswith(f"{output}.") and _IMAGE_ENDINGS.search(name)):
            return path
    there = ", ".join(os.path.basename(path) for path in products) or "nothing"
    raise Failure(f"mkosi made {there}; expected {output}, or with .tar or .raw behind it")


def _convert(build: Build, place: str) -> None:
    made = _products(place)
    disks = [path for path in made if path.endswith(".raw")]
    if not disks:
        there = ", ".join(map(os.path.basename, made)) or "nothing"
        raise Failure(f"qcow2: mkosi made {there}; expected a disk that is not compressed (.raw)")
    for path in disks:
        target = path[: -len(".raw")] + ".qcow2"
        compress = ["-c"] if build.compress_qcow2 else []
        argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *compress, path, target]
        core_run.run(argv, timeout=CONVERT_TIMEOUT)
        if not build.keep_raw:
            remove(path)


def _promote(place: str, destination: str, output: str) -> list[str]:
    """Move the output where it belongs. Each file is replaced at once."""
    os.makedirs(destination, exist_ok=True)
    names = sorted(name for name in os.listdir(place) if not name.startswith("."))
    for name in names:
        source, target = os.path.join(place, name), os.path.join(destination, name)
        if os.path.isdir(target) and not os.path.islink(target):
            old = os.path.join(place, f".old-{name}")
            os.rename(target, old)
        os.rename(source, target)
    found = [os.path.join(destination, name) for name in names]
    return [path for path in found if not os.path.islink(path)]


def remove(path: str) -> None:
    """Remove an output and the link that mkosi made to it."""
    trees.remove(path)
    link = _ENDINGS.sub("", path)
    if os.path.islink(link) and not os.path.exists(link):
        os.unlink(link)


def clean(build: Build, levels: int) -> None:
    """mkosi's own clean: outputs, then incremental caches, then packages."""
    argv = ["mkosi", "--directory", build.directory, *["--force"] * levels]
    if build.destination and build.mkosi.number > table.OLDEST:
        argv.append(f"--output-directory={build.destination}")
    elif build.destination:
        argv.append(f"--output={build.destination}/{build.output}{build.ending}")
    with host.room(build.directory) as room:
        argv += host.elsewhere(room, build.mkosi.number)
        core_run.run([*argv, "clean"], cwd=build.directory, timeout=build.timeout)
