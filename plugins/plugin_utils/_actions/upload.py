# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Images that lie on the controller: looked at here, uploaded only if the host needs them.

Private to the collection.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tarfile
import tempfile
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils._images import addresses
from ...module_utils._systemd import image_classes
from . import progress

HEAD_SIZE = 64 * 1024
CHUNK = 1 << 20

Entry = dict[str, t.Any]


class _Sink:
    """A file that keeps nothing but what is asked of it later."""

    def __init__(self, into: t.Optional[t.BinaryIO] = None) -> None:
        self._into = into
        self._digest = hashlib.sha256()
        self.head = b""
        self.size = 0

    def write(self, data: bytes) -> int:
        if len(self.head) < HEAD_SIZE:
            self.head += data[: HEAD_SIZE - len(self.head)]
        self._digest.update(data)
        self.size += len(data)
        if self._into:
            self._into.write(data)
        return len(data)

    @property
    def checksum(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"


def look(path: str) -> Entry:
    """What the module needs to know of a file or directory to say whether it needs it."""
    sink = _Sink()
    if os.path.isdir(path):
        pack(path, sink)
        name = f"{os.path.basename(path.rstrip('/'))}.tar"
    else:
        with open(path, "rb") as stream:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                sink.write(chunk)
        name = os.path.basename(path)
    return {
        "name": name,
        "size": sink.size,
        "checksum": sink.checksum,
        "head": base64.b64encode(sink.head[:HEAD_SIZE]).decode(),
    }


def pack(directory: str, into: t.Any) -> None:
    """A directory as a tar, the same bytes for the same contents."""

    def by_number(member: tarfile.TarInfo) -> t.Optional[tarfile.TarInfo]:
        member.uname = member.gname = ""
        return member

    with tarfile.open(fileobj=into, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for where, directories, files in os.walk(directory):
            directories.sort()
            inside = os.path.relpath(where, directory)
            archive.add(where, arcname=inside, recursive=False, filter=by_number)
            links = [name for name in directories if os.path.islink(os.path.join(where, name))]
            for name in sorted(files + links):
                path = os.path.join(where, name)
                archive.add(path, os.path.join(inside, name), recursive=False, filter=by_number)


def _key(entry: Entry) -> str:
    kind = str(entry.get("class") or image_classes.MACHINE.name)
    return image_classes.key_of(kind, str(entry["name"]))


def _hide(entry: Entry) -> None:
    """Keep what is secret of a URL out of whatever the host logs of a module's arguments."""
    url = entry.get("url")
    if isinstance(url, str) and addresses.shown(url) != url:
        entry["_address"], entry["url"] = url, addresses.shown(url)


class UploadAction(progress.ProgressAction):
    """Runs a module of images, and uploads what it says that it needs."""

    def run_module(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        local = {}
        for entry in self.entries(arguments):
            for ours in {"_upload", "_address"} & set(entry):
                raise AnsibleActionFail(f"{ours} is not an argument of this module")
            _hide(entry)
            path = self._local_path(entry)
            if path is not None:
                entry["path"] = path
                entry["_upload"] = look(path)
                local[_key(entry)] = entry
        result = super().run_module(arguments, task_vars)
        needed = result.pop("_to_upload", None)
        if not needed:
            return result
        try:
            for number, key in enumerate(needed):
                local[key]["_upload"]["file"] = self._upload(local[key], f"image-{number}", key)
            return super().run_module(arguments, task_vars)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def entries(self, arguments: dict[str, t.Any]) -> list[Entry]:
        """The arguments of each image, in place."""
        raise NotImplementedError

    def _local_path(self, entry: Entry) -> t.Optional[str]:
        path = entry.get("path")
        remote = boolean(entry.get("remote_src") or False, strict=False)
        if not path or remote or entry.get("state") == "absent" or not entry.get("name"):
            return None
        found: str = os.path.abspath(self._find_needle("files", os.path.expanduser(str(path))))
        if not os.access(found, os.R_OK):
            raise AnsibleActionFail(f"path {found} on the controller cannot be read")
        return found

    def _upload(self, entry: Entry, name: str, subject: str) -> str:
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        shell = self._connection._shell
        remote = t.cast("str", shell.join_path(shell.tmpdir, name))
        total = entry["_upload"]["size"]
        since = progress.elapsed()

        def probe(connection: t.Any) -> list[dict[str, t.Any]]:
            _rc, stdout, _stderr = connection.exec_command(
                f"stat -c %s {shell.quote(remote)}", sudoable=False
            )
            done = int(stdout) if stdout.strip().isdigit() else 0
            fields = {"doing": "uploading", "subject": subject, "done": done, "total": total}
            return [{**fields, "seconds": since()}]

        with self._packed(entry["path"]) as file, self.watching(probe):
            self._transfer_file(file, remote)
        self._fixup_perms2((shell.tmpdir, remote))
        return remote

    @staticmethod
    @contextlib.contextmanager
    def _packed(path: str) -> t.Iterator[str]:
        if not os.path.isdir(path):
            yield path
            return
        with tempfile.NamedTemporaryFile(prefix="nspawn-machined-") as packed:
            pack(path, packed)
            packed.flush()
            yield packed.name
