# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A configuration in the words of any mkosi, put into the words of the one that is installed.

Private to the collection. Pure: settings in, settings out. mkosi renamed, moved and dropped
settings in nearly every release, and ignores a section that it does not know without a word: so
every setting is looked up here, and one that would be lost is an error before anything is built.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import typing as t

from .._core.plan import Failure
from . import table, text, words
from .text import Definitions, Settings, Values

_OUTPUT_SUFFIXES = re.compile(r"(\.(raw|tar|cpio|qcow2|gz|xz|zst|zstd))+\Z")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Beside the settings: what mkosi has, or had, no place for in its own file."""

    root_password: t.Optional[str] = None
    root_password_hashed: bool = False
    qcow2: bool = False
    compress_qcow2: bool = False
    read_only: bool = False


@dataclasses.dataclass(frozen=True)
class Translated:
    """A configuration that the installed mkosi understands."""

    settings: Settings
    warnings: tuple[str, ...] = ()
    repart: Definitions = dataclasses.field(default_factory=dict)
    beside: Wanted = Wanted()

    def value(self, name: str) -> t.Optional[str]:
        """The value of a setting of one value, in whatever section it is."""
        for keys in self.settings.values():
            if keys.get(name):
                return keys[name][-1]
        return None


# --- translate ------------------------------------------------------------------------------


def translate(
    config: t.Mapping[str, t.Mapping[str, Values]],
    version: int,
    *,
    machine: str = "x86_64",
    compression: str = "zstd",
    own_repart: bool = False,
    qcow2: bool = False,
) -> Translated:
    """Put a configuration into the words of this version of mkosi.

    O(compression) is the algorithm that an old C(Compress=yes) means on this host. With
    O(own_repart) the caller has repart definitions, and none are made for old formats.
    """
    _check_safe(config)
    work = _Translation(version, compression)
    work.qcow2 = qcow2
    for section, keys in config.items():
        for name, values in keys.items():
            work.take(section, name, values)
    work.finish(machine, own_repart)
    return work.result()


def _check_safe(config: Settings) -> None:
    for section, keys in config.items():
        for name, values in keys.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name):
                raise Failure(
                    f"[{section}] {name!r} cannot be a setting; expected letters and digits,"
                    " as mkosi spells it"
                )
            for value in values:
                if "#" in value and name not in ("Password", "RootPassword"):
                    raise Failure(
                        f"[{section}] {name}= contains '#', with which mkosi begins a comment"
                        " wherever it stands; put such a value into a script or a file"
                    )
                text.checked(value, f"[{section}] {name}=")


class _Translation:
    """The work in progress; each old setting with a meaning of its own has a method."""

    def __init__(self, version: int, compression: str) -> None:
        self.version = version
        self.compression = compression
        self.new = version > table.OLDEST
        self.settings: dict[str, dict[str, Values]] = {}
        self.warnings: list[str] = []
        self.repart: dict[str, Settings] = {}
        self.password: t.Optional[str] = None
        self.hashed = False
        self.qcow2 = False
        self.compress_qcow2 = False
        self.read_only = False
        self.filesystem: t.Optional[str] = None
        self.root_size: t.Optional[str] = None
        self.base_packages: t.Optional[bool] = None
        self.old_words = False
        self.special: t.Mapping[str, t.Callable[[str, str, Values], None]] = {
            "Format": self._format,
            "Output": self._output,
            "Password": self._password,
            "RootPassword": self._password,
            "PasswordIsHashed": self._password_is_hashed,
            "Compress": self._compress,
            "CompressOutput": self._compress_output,
            "XZ": self._xz,
            "QCow2": self._qcow2,
            "ReadOnly": self._read_only,
            "RootSize": self._root_size,
            "BasePackages": self._base_packages,
            "UseSubvolumes": self._use_subvolumes,
            "Incremental": self._incremental,
        }

    def take(self, section: str, name: str, values: Values) -> None:
        if section in table.CONDITIONAL_SECTIONS and self.new:
            self.settings.setdefault(section, {})[name] = values
            return
        self._check_section(section, name)
        if section == "Packages":
            self.old_words = True
        if name in words.PACKAGE_LISTS:
            values = _packages(values)
        elif name in words.OLD_WORD_LISTS and section == "Packages":
            values = tuple(word for value in values for word in re.split(r"[\s,]+", value) if word)
        if name in self.special:
            self.special[name](section, name, values)
        else:
            self._place(section, name, values)

    def result(self) -> Translated:
        order = {name: index for index, name in enumerate(words.SECTION_ORDER)}
        sections = sorted(self.settings, key=lambda section: order.get(section, len(order)))
        return Translated(
            {section: self.settings[section] for section in sections},
            tuple(dict.fromkeys(self.warnings)),
            self.repart,
            Wanted(self.password, self.hashed, self.qcow2, self.compress_qcow2, self.read_only),
        )

    # --- one setting ---

    def _place(self, section: str, name: str, values: Values) -> None:
        """Put a setting where this version reads it, under the name that this version knows."""
        found, places = self._known(name)
        if not places:
            self._lost(section, name, values)
            return
        target = section if section in places else places[0]
        if (target, found) != (section, name):
            self._renamed(section, name, target, found)
        self._put(target, found, values)

    def _known(self, name: str) -> tuple[str, tuple[str, ...]]:
        for candidate in (name, *reversed(words.OTHER_NAMES.get(name, ()))):
            places = table.sections(candidate, self.version)
            if places:
                return candidate, places
        return name, ()

    def _put(self, section: str, name: str, values: Values) -> None:
        keys = self.settings.setdefault(section, {})
        keys[name] = keys.get(name, ()) + values

    def _set(self, name: str, *values: str) -> None:
        """A setting that the translation itself wants, in this version's section."""
        self.settings.setdefault(table.sections(name, self.version)[0], {})[name] = values

    def _renamed(self, section: str, name: str, target: str, found: str) -> None:
        self.warnings.append(
            f"[{section}] {name}= is [{target}] {found}= in mkosi {self.version}; written as that"
        )

    def _became(self, section: str, name: str, what: str) -> None:
        setting = name if "=" in name else f"{name}="
        self.warnings.append(f"[{section}] {setting} is {what} in mkosi {self.version}")

    def _lost(self, section: str, name: str, values: Values) -> None:
        where = f"[{section}] {name}="
        if name in words.DROPPED:
            self.warnings.append(
                f"{where} does not exist in mkosi {self.version} and was left out:"
                f" {words.DROPPED[name]}"
            )
            return
        known = [
            place
            for one in words.OTHER_NAMES.get(name, (name,))
            for place in table.SETTINGS.get(one, ())
        ]
        if not known:
            if self.version > table.NEWEST and section in table.known_sections(self.version):
                self.warnings.append(f"{where} is not known to this collection; passed on as it is")
                self._put(section, name, values)
                return
            raise Failure(f"mkosi has no setting {where} {self._nearest(name)}")
        advice = f": {words.INSTEAD[name]}" if name in words.INSTEAD else ""
        first = min(first for _section, first, _last in known)
        if first > self.version:
            raise Failure(
                f"{where} needs mkosi {first} or later, and this host has {self.version}{advice}"
            )
        last = max(last or table.NEWEST for _section, _first, last in known)
        raise Failure(
            f"{where} is gone since mkosi {last + 1}; this host has {self.version}{advice}"
        )

    def _nearest(self, name: str) -> str:
        candidates = sorted(table.known_settings(self.version))
        folded = {one.lower(): one for one in reversed(candidates)}
        near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
        if not near:
            return f"or anything like it; see mkosi(1) of version {self.version}"
        found = folded[near[0]]
        return f"The nearest is [{table.sections(found, self.version)[0]}] {found}="

    def _check_section(self, section: str, name: str) -> None:
        known = {place[0] for places in table.SETTINGS.values() for place in places} | {"Packages"}
        if section in known:
            return
        current = table.known_sections(self.version)
        near = difflib.get_close_matches(section, sorted(current), n=1, cutoff=0.5)
        _found, places = self._known(name)
        raise Failure(
            f"mkosi has no section [{section}] and would ignore {name}= in it without a word."
            + (f" The nearest section is [{near[0]}]." if near else "")
            + (f" mkosi {self.version} reads {name}= in [{places[0]}]." if places else "")
        )

    # --- settings with a meaning of their own ---

    def _format(self, section: str, name: str, values: Values) -> None:
        value = values[-1]
        known = words.COMMON_FORMATS | (words.NEW_FORMATS if self.new else words.OLD_FORMATS)
        if value not in words.COMMON_FORMATS | words.NEW_FORMATS | words.OLD_FORMATS:
            near = difflib.get_close_matches(value, sorted(known), n=1, cutoff=0.4)
            raise Failure(
                f"[{section}] Format={value} is no format of mkosi"
                + (f"; the nearest is {near[0]}" if near else "")
                + f". mkosi {self.version} makes {', '.join(sorted(known))}"
            )
        if value in words.OLD_FORMATS:
            self.old_words = True
        if not self.new and value.startswith("raw_"):
            current = f"gpt_{words.OLD_DISKS[value]}"
            self._became(section, f"Format={value}", f"Format={current}")
            self._set("Format", current)
        elif value in known:
            self._place(section, name, (value,))
        elif self.new:
            self._new_format(section, value)
        elif value == "disk":
            self._became(section, "Format=disk", "Format=gpt_ext4")
            self._set("Format", "gpt_ext4")
        else:
            raise Failure(
                f"[{section}] Format={value} needs a newer mkosi than {self.version}, which makes "
                + ", ".join(sorted(known))
            )

    def _new_format(self, section: str, value: str) -> None:
        if value == "subvolume":
            self._became(
                section, "Format=subvolume", "Format=directory with [Build] UseSubvolumes=yes"
            )
            self._set("Format", "directory")
            self._set("UseSubvolumes", "yes")
            return
        if value == "plain_squashfs":
            raise Failure(
                f"[{section}] Format=plain_squashfs is gone since mkosi 15; this host has"
                f" {self.version}: use Format=disk with a repart definition of Format=squashfs"
            )
        self.filesystem = words.OLD_DISKS[value]
        self._became(
            section, f"Format={value}", f"Format=disk with a root partition of {self.filesystem}"
        )
        self._set("Format", "disk")

    def _output(self, section: str, name: str, values: Values) -> None:
        value = values[-1]
        directory, file_name = os.path.split(value)
        bare = without_endings(file_name)
        if not self.new or (not directory and bare == file_name):
            self._place(section, name, (value,))
            return
        if directory:
            self._became(
                section, f"Output={value}", f"OutputDirectory={directory} and Output={bare}"
            )
            self._set("OutputDirectory", directory)
        else:
            self._became(
                section, f"Output={value}", f"Output={bare}, to which mkosi adds the ending"
            )
        self._set("Output", bare)

    def _password(self, section: str, name: str, values: Values) -> None:
        # Never into the configuration: that is a file for everybody to read.
        value = values[-1]
        if name == "RootPassword" and value.startswith("hashed:"):
            value, self.hashed = value[len("hashed:") :], True
        self.password = value
        current = "RootPassword" if self.new else "Password"
        if name != current:
            places = table.sections(current, self.version)
            self._renamed(section, name, places[0], current)
        if section == "Packages" or name == "Password":
            self.old_words = True

    def _password_is_hashed(self, section: str, name: str, values: Values) -> None:
        if _is_true(values[-1]):
            self.hashed = True
        if self.new:
            self._became(section, name, "the beginning 'hashed:' of [Content] RootPassword=")

    def _compress(self, section: str, name: str, values: Values) -> None:
        if not self.new:
            self._place(section, name, values)
            return
        word = values[-1]
        if word in ("zlib", "lzo"):
            word = "gz"
        self._renamed(section, name, "Output", "CompressOutput")
        self._set("CompressOutput", self._algorithm(word))

    def _compress_output(self, section: str, name: str, values: Values) -> None:
        word = values[-1]
        if self.new:
            self._place(section, name, (self._algorithm(word),))
        elif word in ("gz", "bz2", "lzma"):
            self._became(section, f"CompressOutput={word}", "CompressOutput=xz (it has no other)")
            self._set("CompressOutput", "xz")
        else:
            self._place(section, name, ({"zst": "zstd", "none": "no"}.get(word, word),))

    def _algorithm(self, word: str) -> str:
        if word.lower() in ("1", "yes", "true", "on", "y", "t"):
            return self.compression
        if word.lower() in ("0", "no", "false", "off", "n", "f"):
            return "none"
        return {"zst": "zstd"}.get(word, word)

    def _xz(self, section: str, name: str, values: Values) -> None:
        if _is_true(values[-1]):
            self._renamed(section, name, "Output", "CompressOutput")
            self._set("CompressOutput", "xz")

    def _qcow2(self, section: str, name: str, values: Values) -> None:
        self.qcow2 = self.qcow2 or _is_true(values[-1])
        if self.new:
            self._became(section, name, "left to the module's qcow2 option, which runs qemu-img,")

    def _read_only(self, section: str, name: str, values: Values) -> None:
        self.read_only = _is_true(values[-1])
        if not self.new:
            self._place(section, name, values)
        elif self.read_only:
            self._became(
                section, name, "a read-only root partition of a disk, and read_only of an image,"
            )

    def _root_size(self, section: str, name: str, values: Values) -> None:
        if not self.new:
            self._place(section, name, values)
            return
        self.root_size = values[-1]
        self._became(section, name, "the size of the root partition in a repart definition")

    def _base_packages(self, section: str, name: str, values: Values) -> None:
        if not self.new:
            self._place(section, name, values)
            return
        self.base_packages = _is_true(values[-1])
        self._became(section, name, "a matter of Packages=")

    def _use_subvolumes(self, section: str, name: str, values: Values) -> None:
        if self.new:
            self._place(section, name, values)
        elif _is_true(values[-1]):
            self._became(section, name, "Format=subvolume")
            self._set("Format", "subvolume")

    def _incremental(self, section: str, name: str, values: Values) -> None:
        if self.new or not _is_true(values[-1]):
            self._place(section, name, values)
            return
        # It would build what has changed from what it kept of the time before the change.
        self.warnings.append(
            f"[{section}] Incremental= was left out: mkosi {self.version} does not see when the"
            " packages it kept are no longer those that are wanted"
        )

    # --- what several settings mean together ---

    def finish(self, machine: str, own_repart: bool) -> None:
        if self.qcow2:
            self._compress_inside()
        if self.new:
            self._add_base_packages(machine)
            if not own_repart:
                self._add_definitions()
        elif self.hashed:
            self._set("PasswordIsHashed", "yes")
        # UseSubvolumes= may have come before Format=directory in the old words.
        if not self.new and self._single("Format") in (
            "directory,subvolume",
            "subvolume,directory",
        ):
            self._set("Format", "subvolume")

    def _compress_inside(self) -> None:
        """A qcow2 file is compressed by itself; a compressed disk could not be converted."""
        for keys in self.settings.values():
            for name in ("Compress", "CompressOutput"):
                word = keys.pop(name, ("no",))[-1]
                self.compress_qcow2 |= word.lower() not in ("0", "no", "false", "off", "none")

    def _single(self, name: str) -> t.Optional[str]:
        for keys in self.settings.values():
            if name in keys:
                return ",".join(keys[name])
        return None

    def _add_base_packages(self, machine: str) -> None:
        if not (self.old_words if self.base_packages is None else self.base_packages):
            return
        distribution = self._single("Distribution") or ""
        if distribution not in words.BASE_PACKAGES:
            self.warnings.append(
                f"mkosi {self.version} installs only what Packages= names, older ones added a base"
                f" system; for {distribution or 'the distribution of this host'} name it yourself"
            )
            return
        added = words.BASE_PACKAGES[distribution]
        if self._single("Release") in words.RESOLVED_INSIDE:
            added = tuple(package for package in added if package != "systemd-resolved")
        if _is_true(self._single("Bootable") or "no"):
            architecture = self._single("Architecture") or machine
            debian = words.DEBIAN_ARCHITECTURES.get(architecture, architecture)
            added += tuple(one.format(debian=debian) for one in words.BOOT_PACKAGES[distribution])
        present = self.settings.get("Content", {}).get("Packages", ())
        missing = tuple(package for package in added if package not in present)
        if missing:
            self._set("Packages", *present, *missing)
            self.warnings.append(
                f"mkosi {self.version} installs only what Packages= names; as older ones did by"
                f" themselves, added {', '.join(missing)}"
            )

    def _add_definitions(self) -> None:
        read_only_disk = self.read_only and self._single("Format") in (None, "disk")
        if not (self.filesystem or self.root_size or read_only_disk):
            return
        root: dict[str, Values] = {"Type": ("root",), "Format": (self.filesystem or "ext4",)}
        root["CopyFiles"] = ("/",)
        if self.filesystem == "squashfs":
            root["Minimize"] = ("best",)
        else:
            # As large as mkosi 14 made it; the smallest possible has no room to run in.
            root["SizeMinBytes"] = root["SizeMaxBytes"] = (self.root_size or "3G",)
        if self.read_only:
            root["ReadOnly"] = ("yes",)
        if _is_true(self._single("Bootable") or "no"):
            esp = {"Type": ("esp",), "Format": ("vfat",), "CopyFiles": ("/boot:/", "/efi:/")}
            esp["SizeMinBytes"] = esp["SizeMaxBytes"] = ("512M",)
            self.repart["00-esp.conf"] = {"Partition": esp}
        self.repart["10-root.conf"] = {"Partition": root}


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
    if "esp" in types or (not repart and _is_true(given.get("Bootable", ("no",))[-1])):
        return settings
    return {**settings, "Output": {**settings.get("Output", {}), "ElTorito": ("no",)}}


def without_endings(name: str) -> str:
    """The name of an output without what mkosi 14 and older had in it."""
    return _OUTPUT_SUFFIXES.sub("", name) or name


def _is_true(value: str) -> bool:
    return value.lower() in ("1", "yes", "true", "on", "y", "t")


def _packages(values: Values) -> Values:
    """Package by package, whether given as a list, with commas, or with blanks as mkosi 5 wanted.

    Names with brackets or quotes (conditions of rpm) and groups may contain blanks.
    """
    result: list[str] = []
    for value in values:
        parts = [value] if re.search(r"[()@'\"]", value) else re.split(r"[\s,]+", value)
        result += [part for part in parts if part]
    return tuple(result)
