# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Images into files: whole or not at all, and only when the image has changed.

Private to the collection. systemd-export does the packing, the program that importd itself
starts; machinectl would overwrite what is there without a word.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import struct
import typing as t

from .._core import files, locks, memory, progress, run, trees
from .._core.plan import Failure, Plan, Step, Verbs
from .._systemd import machined
from . import formats, sources, transfer
from .identity import identity_of, identity_of_open
from .patience import Deadline

RECORDS = memory.of("exports")
_SPELLED = {"none": "uncompressed", "gz": "gzip", "xz": "xz", "bz2": "bzip2"}

# From linux/btrfs.h: struct btrfs_ioctl_get_subvol_info_args. Its ctransid counts changes of what
# is in the subvolume; its generation would also count the snapshots that exports take.
_BTRFS_IOC_GET_SUBVOL_INFO = 0x81F8943C
_SUBVOL_INFO_SIZE = 504
_SUBVOL_INFO_CTRANSID = struct.Struct("=Q256sQQQQ48sQ")


# --- what is wanted -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One file that an image shall be exported to."""

    name: str
    dest: str
    format: str = "auto"
    compression: str = "auto"
    checksum_file: bool = False
    update: bool = False
    force: bool = False
    timeout: float = 1800

    @property
    def things(self) -> tuple[locks.Thing, locks.Thing]:
        """What nobody else may work on meanwhile: the file; and the image, for others to read."""
        return locks.export(self.dest), locks.image(self.name)


def wanted(arguments: t.Mapping[str, t.Any]) -> Wanted:
    """From the arguments of the module C(image_export)."""
    found = Wanted(**arguments)
    check(found)
    return found


def check(wanted: Wanted) -> None:
    machined.check_image_name(wanted.name)
    if not wanted.dest.startswith("/"):
        raise Failure(f"dest {wanted.dest!r} is not an absolute path")
    if wanted.dest.endswith("/") or os.path.isdir(wanted.dest):
        raise Failure(f"dest {wanted.dest} is a directory; expected the path of a file")
    directory = os.path.dirname(wanted.dest)
    if not os.path.isdir(directory):
        raise Failure(f"dest {wanted.dest}: there is no directory {directory}")


# --- what is seen ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The image, and what lies where it shall be exported to."""

    image: t.Optional[machined.Image]
    state: str
    """What changes when the image's contents do."""
    running: bool
    exists: bool
    sums: t.Optional[str]
    """What the checksum file says; nothing when there is none."""
    record: t.Optional[t.Mapping[str, t.Any]]
    """What we exported there last; nothing when another file is there now."""
    zstd: bool = True
    """The program that compresses with Zstandard is there."""


def snapshot(wanted: Wanted) -> Snapshot:
    image = machined.images().get(wanted.name)
    exists = os.path.lexists(wanted.dest)
    record = _load(wanted.dest) if exists else None
    if record and record.get("identity") != _identity_at(wanted.dest):
        record = None
    return Snapshot(
        image=image,
        state=_state_of(image.path) if image else "",
        running=bool(image) and wanted.name in machined.machines(),
        exists=exists,
        sums=files.read(checksum_path(wanted.dest)),
        record=record,
        zstd=run.find("zstd") is not None,
    )


def checksum_path(dest: str) -> str:
    return f"{dest}.sha256"


def _state_of(path: str) -> str:
    """A subvolume counts its changes; a directory has to be looked through."""
    if os.path.isdir(path):
        return _changes_of(path) or sources.state_of(path)
    status = os.stat(path)
    return f"file:{status.st_size}:{status.st_mtime_ns}"


def _changes_of(path: str) -> t.Optional[str]:
    found = _subvolume(path)
    return f"subvolume:{found.tree}:{found.changes}" if found else None


class _Subvolume(t.NamedTuple):
    tree: int
    changes: int
    uuid: bytes
    parent: bytes
    """The UUID of what it is a snapshot of."""


def _subvolume(path: str) -> t.Optional[_Subvolume]:
    """What btrfs knows of a subvolume; nothing where there is none."""
    if not identity_of(path).startswith("subvolume:"):
        return None
    answer = bytearray(_SUBVOL_INFO_SIZE)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _BTRFS_IOC_GET_SUBVOL_INFO, answer)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    tree, *_rest, uuids, changes = _SUBVOL_INFO_CTRANSID.unpack_from(answer)
    return _Subvolume(tree, changes, uuids[:16], uuids[16:32])


# --- the plan -------------------------------------------------------------------------------


def settled(wanted: Wanted, image: machined.Image) -> tuple[str, str]:
    """Format and compression, where they were left to the image and the file's name."""
    natural = "raw" if image.type in ("raw", "block") else "tar"
    file_format = natural if wanted.format == "auto" else wanted.format
    if file_format != natural:
        raise Failure(
            f"image {image.name} is a {image.type}, which can be exported as {natural} only, not "
            f"as {file_format}"
        )
    named = formats.by_name(wanted.dest)[1]
    return file_format, named if wanted.compression == "auto" else wanted.compression


def plan(seen: Snapshot, wanted: Wanted) -> Plan:
    """Nothing to do when the file is of the image as it is, or nobody wants it anew."""
    if seen.image is None:
        raise Failure(f"there is no image {wanted.name} on this host to export")
    file_format, compression = settled(wanted, seen.image)
    if compression == "zst" and not seen.zstd:
        raise Failure("the program zstd is not installed on this host; install it or use xz")
    if seen.record is not None:
        if drift(seen, wanted) is None or not (wanted.update or wanted.force):
            return _checksum_file(seen, wanted)
    elif seen.exists and not wanted.force:
        raise Failure(
            f"dest {wanted.dest} exists and was not exported here. force: true overwrites it"
        )
    record = {
        "image": wanted.name,
        "state": seen.state,
        "format": file_format,
        "compression": compression,
    }
    return (
        Step(
            "export image",
            wanted.name,
            {
                "wanted": wanted,
                "record": record,
                "stale_sums": _are_ours(seen, wanted),
                "ours": seen.record is not None,
            },
            before={"exported": seen.exists},
            after={"exported": True, "dest": wanted.dest, **record},
        ),
    )


def drift(seen: Snapshot, wanted: Wanted) -> t.Optional[str]:
    """Why the file is not what an export would give now; nothing when it is, or there is none."""
    if seen.record is None or seen.image is None:
        return None
    file_format, compression = settled(wanted, seen.image)
    for what, now in (
        ("image", wanted.name),
        ("format", file_format),
        ("compression", compression),
    ):
        if seen.record.get(what) != now:
            return f"it was exported with {what} {seen.record.get(what)}"
    return None if seen.record.get("state") == seen.state else "the image was changed since"


def _checksum_file(seen: Snapshot, wanted: Wanted) -> Plan:
    """Write it where it is missing, or of an older file because a run was killed before this."""
    if not wanted.checksum_file or seen.record is None:
        return ()
    path = checksum_path(wanted.dest)
    text = _checksum_line(str(seen.record["checksum"]), wanted.dest)
    if seen.sums == text:
        return ()
    return (Step("write", path, {"text": text}, before=seen.sums, after=text),)


def _are_ours(seen: Snapshot, wanted: Wanted) -> bool:
    if seen.record is None:
        return False
    return seen.sums == _checksum_line(str(seen.record["checksum"]), wanted.dest)


def _checksum_line(checksum: str, dest: str) -> str:
    """In the form of sha256sum."""
    return f"{checksum.partition(':')[2]}  {os.path.basename(dest)}\n"


# --- acting ---------------------------------------------------------------------------------


def _export(step: Step) -> None:
    wanted: Wanted = step.arguments["wanted"]
    record = dict(step.arguments["record"])
    deadline = Deadline(wanted.timeout, f"exporting image {wanted.name}")
    try:
        with _new(wanted.dest, ours=step.arguments["ours"]) as file:
            with progress.Meter("exporting", wanted.name) as meter:
                checksum = _pack(wanted, record, file, deadline, meter)
            record.update(identity=_identity_of(file), checksum=checksum)
            # Before the file has its name: whoever is killed in between has still said what it is.
            _save(wanted.dest, record)
    except OSError as error:
        raise Failure(f"dest {wanted.dest} could not be written: {error.strerror}") from None
    if wanted.checksum_file:
        files.write(checksum_path(wanted.dest), _checksum_line(checksum, wanted.dest))
    elif step.arguments["stale_sums"]:
        files.remove(checksum_path(wanted.dest))


@contextlib.contextmanager
def _new(dest: str, *, ours: bool) -> t.Iterator[int]:
    """A file that becomes the export when all has gone well.

    An image holds secrets. Our own file stays open to whom somebody has opened it.
    """
    parent, name = os.path.split(dest)
    directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mode = None if ours else 0o600
        with files.replacing_at(directory, name, mode=mode, inherit=ours) as descriptor:
            yield descriptor
    finally:
        os.close(directory)


def _identity_at(path: str) -> t.Optional[str]:
    """What lies there now; nothing when that is no file, or one that cannot be opened."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    try:
        return _identity_of(descriptor)
    finally:
        os.close(descriptor)


def _identity_of(file: int) -> str:
    """A file that was written to is another one, also under the same number."""
    status = os.fstat(file)
    return f"{identity_of_open(file)}:{status.st_size}:{status.st_mtime_ns}"


def _pack(
    wanted: Wanted,
    record: t.Mapping[str, t.Any],
    file: int,
    deadline: Deadline,
    meter: progress.Meter,
) -> str:
    squeeze = ["zstd", "-qcT0"] if record["compression"] == "zst" else None
    spelled = _SPELLED["none" if squeeze else record["compression"]]
    argv = [transfer.program("systemd-export"), f"--format={spelled}", "--"]
    argv += [record["format"], wanted.name, "-"]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        read, write = os.pipe()
        producers = [pool.submit(run.run, argv, stdout=write, timeout=deadline.left())]
        if squeeze:
            packed, into = os.pipe()
            producers.append(
                pool.submit(run.run, squeeze, stdin=read, stdout=into, timeout=deadline.left())
            )
            read = packed
        try:
            with open(read, "rb") as stream, open(file, "wb", closefd=False) as whole:
                checksum = _copy(stream, whole, deadline, meter)
        finally:
            concurrent.futures.wait(producers)
            _sweep(wanted.name)
        for producer in producers:
            producer.result()
    return checksum


def _sweep(name: str) -> None:
    """Remove snapshots of an image that exports have left.

    systemd-export does when it is killed, or when subvolumes in the image are read-only.
    """
    directory = machined.MACHINES_DIRECTORY
    image = _subvolume(os.path.join(directory, name))
    if image is None:
        return
    temporary = re.compile(rf"\.#{re.escape(name)}[0-9a-f]{{16}}")
    paths = [
        os.path.join(directory, one) for one in os.listdir(directory) if temporary.fullmatch(one)
    ]
    found = {path: _subvolume(path) for path in paths}
    if _is_exporting():
        return  # what is needed still; who comes last removes all
    for path, subvolume in found.items():
        if subvolume and subvolume.parent == image.uuid:
            trees.remove(path)


def _is_exporting() -> bool:
    """Whether anybody exports an image at this moment, by hand for example."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{process}/comm", encoding="utf-8") as comm:
            if comm.read() == "systemd-export\n":
                return True
    return False


def _copy(stream: t.BinaryIO, file: t.BinaryIO, deadline: Deadline, meter: progress.Meter) -> str:
    """Copy to the end, holes where there is nothing, and return the checksum."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(transfer.CHUNK), b""):
        deadline.left()
        digest.update(chunk)
        if chunk.count(0) == len(chunk):
            file.seek(len(chunk), os.SEEK_CUR)
        else:
            file.write(chunk)
        meter.advance(len(chunk))
    file.truncate(file.tell())
    return f"sha256:{digest.hexdigest()}"


VERBS: Verbs = {
    "export image": _export,
    "write": lambda step: files.write(step.subject, step.arguments["text"]),
}


# --- telling --------------------------------------------------------------------------------


def warnings(seen: Snapshot, wanted: Wanted, steps: Plan) -> list[str]:
    """What the user should know beside what changed."""
    if not (steps and seen.running and seen.image and seen.image.type == "directory"):
        return []
    said = (
        f"image {wanted.name} is a directory that a machine is running from; the file may "
        "hold some of its files as they were before others"
    )
    return [said]


def tell(dest: str) -> dict[str, t.Any]:
    """What is known of an export, as modules return it."""
    record = (_load(dest) if os.path.lexists(dest) else None) or {}
    return {key: record.get(key) for key in ("format", "compression", "checksum")}


# --- what was exported before ---------------------------------------------------------------


def _record_path(dest: str) -> str:
    name = hashlib.sha256(os.fsencode(os.path.realpath(dest))).hexdigest()[:32]
    return os.path.join(RECORDS, f"{name}.json")


def _load(dest: str) -> t.Optional[dict[str, t.Any]]:
    text = files.read(_record_path(dest))
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _save(dest: str, record: t.Mapping[str, t.Any]) -> None:
    text = json.dumps({"dest": dest, **record}, indent=1, sort_keys=True)
    memory.write(_record_path(dest), text + "\n")
