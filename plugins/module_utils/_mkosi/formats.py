# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What form the output of mkosi has: format, name, compression and partitions.

Private to the collection. Pure. mkosi 14 knew a format for each file system and converted disks
itself; newer ones make one kind of disk, from definitions of its partitions.
"""

from __future__ import annotations

import difflib
import os
import re
import typing as t

from .._core.plan import Failure
from . import table, words
from .spelling import Draft, Handler
from .text import Definitions, Settings, Values, is_true

_OUTPUT_SUFFIXES = re.compile(r"(\.(raw|tar|cpio|qcow2|gz|xz|zst|zstd))+\Z")


class Form:
    """What the settings say of the output; each old one with a meaning of its own has a method."""

    def __init__(self, draft: Draft, compression: str, qcow2: bool) -> None:
        self.draft = draft
        self.compression = compression
        self.qcow2 = qcow2
        self.compress_qcow2 = False
        self.read_only = False
        self.filesystem: t.Optional[str] = None
        self.root_size: t.Optional[str] = None
        self.handlers: t.Mapping[str, Handler] = {
            "Format": self._format,
            "Output": self._output,
            "Compress": self._compress,
            "CompressOutput": self._compress_output,
            "XZ": self._xz,
            "QCow2": self._qcow2,
            "ReadOnly": self._read_only,
            "RootSize": self._root_size,
            "UseSubvolumes": self._use_subvolumes,
        }

    def _format(self, section: str, name: str, values: Values) -> None:
        value = values[-1]
        known = words.COMMON_FORMATS | (words.NEW_FORMATS if self.draft.new else words.OLD_FORMATS)
        if value not in words.COMMON_FORMATS | words.NEW_FORMATS | words.OLD_FORMATS:
            near = difflib.get_close_matches(value, sorted(known), n=1, cutoff=0.4)
            raise Failure(
                f"[{section}] Format={value} is no format of mkosi"
                + (f"; the nearest is {near[0]}" if near else "")
                + f". mkosi {self.draft.version} makes {', '.join(sorted(known))}"
            )
        if value in words.OLD_FORMATS:
            self.draft.old_words = True
        if not self.draft.new and value.startswith("raw_"):
            current = f"gpt_{words.OLD_DISKS[value]}"
            self.draft.became(section, f"Format={value}", f"Format={current}")
            self.draft.set("Format", current)
        elif value in known:
            self.draft.place(section, name, (value,))
        elif self.draft.new:
            self._new_format(section, value)
        elif value == "disk":
            self.draft.became(section, "Format=disk", "Format=gpt_ext4")
            self.draft.set("Format", "gpt_ext4")
        else:
            raise Failure(
                f"[{section}] Format={value} needs a newer mkosi than {self.draft.version},"
                " which makes " + ", ".join(sorted(known))
            )

    def _new_format(self, section: str, value: str) -> None:
        if value == "subvolume":
            self.draft.became(
                section, "Format=subvolume", "Format=directory with [Build] UseSubvolumes=yes"
            )
            self.draft.set("Format", "directory")
            self.draft.set("UseSubvolumes", "yes")
            return
        if value == "plain_squashfs":
            raise Failure(
                f"[{section}] Format=plain_squashfs is gone since mkosi 15; this host has"
                f" {self.draft.version}: use Format=disk with a repart definition of"
                " Format=squashfs"
            )
        self.filesystem = words.OLD_DISKS[value]
        self.draft.became(
            section, f"Format={value}", f"Format=disk with a root partition of {self.filesystem}"
        )
        self.draft.set("Format", "disk")

    def _output(self, section: str, name: str, values: Values) -> None:
        value = values[-1]
        directory, file_name = os.path.split(value)
        bare = without_endings(file_name)
        if not self.draft.new or (not directory and bare == file_name):
            self.draft.place(section, name, (value,))
            return
        if directory:
            self.draft.became(
                section, f"Output={value}", f"OutputDirectory={directory} and Output={bare}"
            )
            self.draft.set("OutputDirectory", directory)
        else:
            self.draft.became(
                section, f"Output={value}", f"Output={bare}, to which mkosi adds the ending"
            )
        self.draft.set("Output", bare)

    def _compress(self, section: str, name: str, values: Values) -> None:
        if not self.draft.new:
            self.draft.place(section, name, values)
            return
        word = values[-1]
        if word in ("zlib", "lzo"):
            word = "gz"
        self.draft.renamed(section, name, "Output", "CompressOutput")
        self.draft.set("CompressOutput", self._algorithm(word))

    def _compress_output(self, section: str, name: str, values: Values) -> None:
        word = values[-1]
        if self.draft.new:
            self.draft.place(section, name, (self._algorithm(word),))
        elif word in ("gz", "bz2", "lzma"):
            self.draft.became(
                section, f"CompressOutput={word}", "CompressOutput=xz (it has no other)"
            )
            self.draft.set("CompressOutput", "xz")
        else:
            self.draft.place(section, name, ({"zst": "zstd", "none": "no"}.get(word, word),))

    def _algorithm(self, word: str) -> str:
        if word.lower() in ("1", "yes", "true", "on", "y", "t"):
            return self.compression
        if word.lower() in ("0", "no", "false", "off", "n", "f"):
            return "none"
        return {"zst": "zstd"}.get(word, word)

    def _xz(self, section: str, name: str, values: Values) -> None:
        if is_true(values[-1]):
            self.draft.renamed(section, name, "Output", "CompressOutput")
            self.draft.set("CompressOutput", "xz")

    def _qcow2(self, section: str, name: str, values: Values) -> None:
        self.qcow2 = self.qcow2 or is_true(values[-1])
        if self.draft.new:
            self.draft.became(
                section, name, "left to the module's qcow2 option, which runs qemu-img,"
            )

    def _read_only(self, section: str, name: str, values: Values) -> None:
        self.read_only = is_true(values[-1])
        if not self.draft.new:
            self.draft.place(section, name, values)
        elif self.read_only:
            self.draft.became(
                section, name, "a read-only root partition of a disk, and read_only of an image,"
            )

    def _root_size(self, section: str, name: str, values: Values) -> None:
        if not self.draft.new:
            self.draft.place(section, name, values)
            return
        self.root_size = values[-1]
        self.draft.became(section, name, "the size of the root partition in a repart definition")

    def _use_subvolumes(self, section: str, name: str, values: Values) -> None:
        if self.draft.new:
            self.draft.place(section, name, values)
        elif is_true(values[-1]):
            self.draft.became(section, name, "Format=subvolume")
            self.draft.set("Format", "subvolume")

    # --- what several settings mean together ---

    def finish(self) -> None:
        if self.qcow2:
            self._compress_inside()
        # UseSubvolumes= may have come before Format=directory in the old words.
        both = ("directory,subvolume", "subvolume,directory")
        if not self.draft.new and self.draft.value("Format") in both:
            self.draft.set("Format", "subvolume")

    def _compress_inside(self) -> None:
        """A qcow2 file is compressed by itself; a compressed disk could not be converted."""
        for keys in self.draft.settings.values():
            for name in ("Compress", "CompressOutput"):
                word = keys.pop(name, ("no",))[-1]
                self.compress_qcow2 |= word.lower() not in ("0", "no", "false", "off", "none")

    def definitions(self) -> dict[str, Settings]:
        """The partitions of a disk, where the settings say of them what mkosi now wants here."""
        read_only_disk = self.read_only and self.draft.value("Format") in (None, "disk")
        if not (self.filesystem or self.root_size or read_only_disk):
            return {}
        root: dict[str, Values] = {"Type": ("root",), "Format": (self.filesystem or "ext4",)}
        root["CopyFiles"] = ("/",)
        if self.filesystem == "squashfs":
            root["Minimize"] = ("best",)
        else:
            # As large as mkosi 14 made it; the smallest possible has no room to run in.
            root["SizeMinBytes"] = root["SizeMaxBytes"] = (self.root_size or "3G",)
        if self.read_only:
            root["ReadOnly"] = ("yes",)
        if is_true(self.draft.value("Bootable") or "no"):
            esp = {"Type": ("esp",), "Format": ("vfat",), "CopyFiles": ("/boot:/", "/efi:/")}
            esp["SizeMinBytes"] = esp["SizeMaxBytes"] = ("512M",)
            return {"00-esp.conf": {"Partition": esp}, "10-root.conf": {"Partition": root}}
        return {"10-root.conf": {"Partition": root}}


def without_el_torito(settings: Settings, version: int, repart: Definitions) -> Settings:
    """Have no boot catalog in a disk without an ESP, for which mkosi 27 fails otherwise.

    O(repart) are the caller's own definitions. Without them there is an ESP in what boots.
    """
    given = {name: values for keys in settings.values() for name, values in keys.items()}
    form = given.get("Format", ("disk",))[-1]
    if "ElTorito" in given or not table.sections("ElTorito", version):
        return settings
    if form != "disk" and form not in words.OLD_DISKS:
        return settings
    types = [keys.get("Type", ("",))[-1] for one in repart.values() for keys in one.values()]
    if "esp" in types or (not repart and is_true(given.get("Bootable", ("no",))[-1])):
        return settings
    return {**settings, "Output": {**settings.get("Output", {}), "ElTorito": ("no",)}}


def without_endings(name: str) -> str:
    """The name of an output without what mkosi 14 and older had in it."""
    return _OUTPUT_SUFFIXES.sub("", name) or name
