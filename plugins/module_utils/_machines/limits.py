# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Whether the host can bear what is planned, before fifty machines fail one by one.

Private to the collection.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import socket
import struct
import sys
import typing as t

from .._core.plan import Failure, Plan
from .._systemd import machined
from .files import Files, zone_in
from .seen import Snapshot
from .wanted import Wanted

INOTIFY = "/proc/sys/fs/inotify/max_user_instances"
# Measured for a machine with little but systemd, D-Bus and a name resolver in it.
INOTIFY_OF_A_MACHINE = 8
# A host itself, with some room.
INOTIFY_OF_A_HOST = 64
# machined's own list: a file for each machine, and links from the units to them.
REGISTERED = "/run/systemd/machines"
COPIED_SPARE = 64 * 1024 * 1024
# What systemd's own network file gives the bridge of a zone.
ZONE_PREFIX = 24
LINKS = "/sys/class/net"
# From linux/sockios.h.
_SIOCGIFNETMASK = 0x891B


def check(snapshot: Snapshot, wanted: t.Iterable[Wanted], plan: Plan) -> None:
    """Refuse a plan that would stop half way for want of something on the host."""
    check_zones(collections.Counter(zones(snapshot, wanted, plan)))
    check_inotify(sum(step.verb == "start" for step in plan))
    check_disk([step.arguments["source"] for step in plan if step.verb == "clone"])


# --- inotify --------------------------------------------------------------------------------


def check_inotify(starts: int) -> None:
    """All machines together count as their host's root, whatever their own users are."""
    limit = _number(INOTIFY)
    needed = starts * INOTIFY_OF_A_MACHINE
    if limit is None or not starts or _is_roomy(limit, starts):
        return
    used = inotify_instances()
    if used + needed > limit:
        raise Failure(
            f"{starts} machines shall start, which takes about {needed} inotify instances; "
            f"{used} of fs.inotify.max_user_instances={limit} are in use. The machines beyond that "
            "would die in their boot with 'Too many open files'. Raise the sysctl, as the role "
            f"host does: sysctl -w fs.inotify.max_user_instances={max(8192, 2 * (used + needed))}"
        )


def _is_roomy(limit: int, starts: int) -> bool:
    """Whether all would fit twice, so that nothing need be counted, which takes long."""
    machines = starts + sum(not name.startswith("unit:") for name in _names_in(REGISTERED))
    return 2 * (machines * INOTIFY_OF_A_MACHINE + INOTIFY_OF_A_HOST) <= limit


def _names_in(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def inotify_instances() -> int:
    """How many are open on this host, machines included."""
    return sum(_inotify_of(process) for process in os.listdir("/proc") if process.isdigit())


def _inotify_of(process: str) -> int:
    directory = f"/proc/{process}/fd"
    try:
        files = os.listdir(directory)
    except OSError:
        return 0
    return sum(_is_inotify(f"{directory}/{file}") for file in files)


def _is_inotify(path: str) -> bool:
    try:
        return os.readlink(path) == "anon_inode:inotify"
    except OSError:
        return False


def _number(path: str) -> t.Optional[int]:
    try:
        with open(path, encoding="ascii") as stream:
            return int(stream.read())
    except (OSError, ValueError):
        return None


# --- disk -----------------------------------------------------------------------------------


def check_disk(sources: t.Sequence[str]) -> None:
    """Clones that are copies need their size each; those that are snapshots next to nothing."""
    if not sources:
        return
    images = machined.images()
    copied = [images[source] for source in sources if source in images]
    copied = [image for image in copied if not _is_shared(image)]
    if not copied:
        return
    sizes = {image.name: _size_of(image) for image in {one.name: one for one in copied}.values()}
    needed = sum(sizes[image.name] for image in copied) + COPIED_SPARE
    there = os.statvfs(machined.MACHINES_DIRECTORY)
    free = there.f_bavail * there.f_frsize
    if needed > free:
        raise Failure(
            f"{len(copied)} clones take about {_mebibytes(needed)} in "
            f"{machined.MACHINES_DIRECTORY}, where {_mebibytes(free)} are free. Make room there, "
            "or put it on btrfs, where clones share what they have in common"
        )


def _is_shared(image: machined.Image) -> bool:
    """Cloned by snapshot, or by references to the same blocks."""
    return image.type == "subvolume" or _file_system_of(image.path) in ("btrfs", "xfs")


def _file_system_of(path: str) -> str:
    """The type of the file system, by the last mount point above the path."""
    real = os.path.realpath(path) + "/"
    found = ""
    length = 0
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                fields = line.split()
                point = fields[4].rstrip("/") + "/"
                if real.startswith(point) and len(point) >= length:
                    length, found = len(point), fields[fields.index("-") + 1]
    except OSError:
        return ""
    return found


def _size_of(image: machined.Image) -> int:
    if image.usage is not None:
        return image.usage
    if not os.path.isdir(image.path):
        return os.stat(image.path).st_blocks * 512
    return _size_of_tree(image.path)


def _size_of_tree(path: str) -> int:
    """What a tree takes, as far as it can be read: machines that run in it change it meanwhile."""
    from .._core import walk

    # It is only counted, and nothing of it is kept.
    any_size = walk.Limits(sys.maxsize, sys.maxsize)
    size = 0
    top = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError, Failure):
            for entry in walk.Walk(top, path, limits=any_size):
                if entry.kind is not walk.Kind.END:
                    size += os.fstat(entry.descriptor).st_blocks * 512
    finally:
        os.close(top)
    return size


def _mebibytes(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"


# --- addresses ------------------------------------------------------------------------------


def zones(snapshot: Snapshot, wanted: t.Iterable[Wanted], plan: Plan) -> list[str]:
    """The network zones that machines will come into, one for each that does."""
    starting = {step.subject for step in plan if step.verb == "start"}
    again = {step.subject for step in plan if step.verb == "restart"}
    found = []
    for one in wanted:
        zone = Files(snapshot, one).zone() if one.name in starting | again else None
        if zone and (one.name in starting or zone != zone_in(snapshot.of(one.name).settings)):
            found.append(zone)
    return found


def check_zones(starts: t.Mapping[str, int]) -> None:
    """The machines of a zone share the addresses of its bridge."""
    for zone, count in sorted(starts.items()):
        bridge = f"vz-{zone}"
        room = _addresses(_prefix_of(bridge))
        used = _connected(bridge)
        if used + count > room:
            raise Failure(
                f"{count} machines shall start in Zone={zone}, where {used} run already, and its "
                f"bridge {bridge} has {room} addresses to lease. Spread them over several zones, "
                "or give the bridge a larger network in systemd-networkd's configuration"
            )


def _addresses(prefix: int) -> int:
    """Without the first, the last and the host's own."""
    return max(0, (1 << (32 - prefix)) - 3)


def _prefix_of(bridge: str) -> int:
    request = struct.pack("16s16x", bridge.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFNETMASK, request)
        except OSError:
            # Not there yet: the first machine of the zone makes it.
            return ZONE_PREFIX
    return bin(int.from_bytes(answer[20:24], "big")).count("1")


def _connected(bridge: str) -> int:
    return len(_names_in(f"{LINKS}/{bridge}/brif"))
