# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What mkosi says it understood: read it, compare it with what was asked, name what it needs.

Private to the collection. Pure. mkosi 14 tells it as text for people, later ones as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from .._core import masks
from .._core.lines import lines_of
from . import table
from .text import Settings, Values

Fields = t.Mapping[str, t.Any]

# How the image is run, or where it is made, says nothing of what is in it.
_VOLATILE = frozenset("Files Environment OutputDirectory WorkspaceDirectory History Seed".split())
# Not told at all, or told under another name.
_NOT_TOLD = frozenset(
    (
        "Include KernelModulesInclude KernelModulesInitrdInclude FirmwareInclude RootPassword"
        " Settings Incremental"
    ).split()
)
# Files and trees that go into the image or decide what does.
_PATHS = (
    "BaseTrees",
    "SkeletonTrees",
    "ExtraTrees",
    "SandboxTrees",
    "PackageManagerTrees",
    "PackageDirectories",
    "VolatilePackageDirectories",
    "RepartDirectories",
    "Initrds",
    "EnvironmentFiles",
    "ConfigureScripts",
    "SyncScripts",
    "PrepareScripts",
    "BuildScripts",
    "PostInstallationScripts",
    "FinalizeScripts",
    "PostOutputScripts",
    "NSpawnSettings",
    "Splash",
)

# The labels of mkosi 14's text that answer a setting.
_OLD_LABELS = {
    "Distribution": "Distribution",
    "Release": "Release",
    "Format": "Output Format",
    "Packages": "Packages",
    "RemovePackages": "Remove Packages",
    "BuildPackages": "Build Packages",
    "Bootable": "Bootable",
    "ReadOnly": "Read-only",
    "Hostname": "Hostname",
    "Mirror": "Mirror",
    "LocalMirror": "Local Mirror (build)",
    "ImageId": "Image ID",
    "ImageVersion": "Image Version",
}
_OLD_PATHS = ("Extra Trees", "Skeleton Trees", "nspawn Settings")
_OLD_LISTS = frozenset(
    ("Packages", "Remove Packages", "Build Packages", "Extra Trees", "Skeleton Trees")
)


@dataclasses.dataclass(frozen=True)
class Summary:
    """What mkosi understood; one image, and those that it depends on."""

    images: tuple[Fields, ...]
    old: bool = False

    @property
    def main(self) -> Fields:
        return self.images[-1]

    def text(self, name: str) -> t.Optional[str]:
        value = self.main.get(_OLD_LABELS.get(name, name) if self.old else name)
        if isinstance(value, list):
            return ", ".join(str(one) for one in value)
        return None if value is None else str(value)

    @property
    def format(self) -> str:
        return self.text("Format") or ""


# mkosi unpacks what it brings along to another place each time; its version says what that is.
_BROUGHT_ALONG = re.compile(r'"/[^"]{0,200}/tmp[a-z0-9_]{8}/(?=resources/)')


def from_json(text: str) -> Summary:
    return Summary(tuple(json.loads(_BROUGHT_ALONG.sub('"', text))["Images"]))


def from_text(text: str) -> Summary:
    """mkosi 14: aligned C(Label: value) lines; more values of a list stand below the first."""
    fields: dict[str, list[str]] = {}
    label = ""
    for line in lines_of(text):
        found = re.match(r" {0,30}([A-Za-z][^:]*): (.*)$", line)
        if found:
            label = found.group(1).strip()
            fields[label] = [found.group(2).strip()]
        elif label and line.startswith(" " * 20):
            fields[label].append(line.strip())
        else:
            label = ""
    plain = {name: values if name in _OLD_LISTS else values[0] for name, values in fields.items()}
    return Summary((plain,), old=True)


# --- compare --------------------------------------------------------------------------------


def lost(settings: Settings, summary: Summary) -> list[str]:
    """Settings that were asked for and did not arrive, each with what mkosi has instead."""
    missing = []
    for section, keys in settings.items():
        if section in table.CONDITIONAL_SECTIONS:
            continue
        for name, values in keys.items():
            found = [image for image in summary.images if _told(name, summary, image)]
            if name in _NOT_TOLD or (summary.old and name not in _OLD_LABELS):
                continue
            if not found:
                missing.append(f"[{section}] {name}= is not in it at all")
            elif not any(_arrived(values, _value(name, summary, image)) for image in found):
                missing.append(_other(section, name, values, _value(name, summary, found[-1])))
    return missing


def _other(section: str, name: str, values: Values, found: t.Any) -> str:
    if masks.may_be_secret(name):
        return f"[{section}] {name}=, but it has something else"
    return f"[{section}] {name}={', '.join(values)}, but it has {json.dumps(found)}"


def _told(name: str, summary: Summary, image: Fields) -> bool:
    if summary.old:
        return _OLD_LABELS.get(name) in image or name in ("Hostname", "Bootable")
    return name in image


def _value(name: str, summary: Summary, image: Fields) -> t.Any:
    return image.get(_OLD_LABELS.get(name, name)) if summary.old else image.get(name)


def _arrived(asked: Values, found: t.Any) -> bool:
    """Whether a value is what was asked for; what is put in other words gets the benefit."""
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        plain = [one for value in asked for one in re.split(r"[,\s]+", value) if one]
        told = {one for value in found for one in re.split(r"[,\s]+", value)}
        return all(one in told or not re.fullmatch(r"[\w.+-]+", one) for one in plain)
    if isinstance(found, bool):
        return _boolean(asked[-1]) in (found, None)
    if isinstance(found, str) and re.fullmatch(r"[\w.+-]+", asked[-1]):
        wanted, there = asked[-1].lower(), found.lower()
        if _boolean(wanted) is not None:
            return _boolean(there) in (_boolean(wanted), None)
        # x86_64 is x86-64 to mkosi; what is a path now was a name.
        return there in (wanted, wanted.replace("_", "-")) or there.startswith("/")
    if found is None:
        return not asked[-1] or _boolean(asked[-1]) is False
    return True


def _boolean(word: str) -> t.Optional[bool]:
    if word.lower() in ("1", "yes", "true", "on", "y", "t", "enabled"):
        return True
    if word.lower() in ("0", "no", "false", "off", "n", "f", "disabled", "none", "never"):
        return False
    return None


# --- what the digest is made of -------------------------------------------------------------


def essence(summary: Summary, view: str, directory: str) -> list[t.Any]:
    """All that decides what comes out of a build, without where and when it is done.

    O(view) is where mkosi looked, O(directory) where it will build.
    """
    if summary.old:
        return [_moved(dict(image), view, directory) for image in summary.images]
    dropped = set(_VOLATILE)
    for name in table.known_settings(table.NEWEST):
        if "Runtime" in table.sections(name, table.NEWEST):
            dropped.add(name)
    return [
        _moved({key: image[key] for key in sorted(image) if key not in dropped}, view, directory)
        for image in summary.images
    ]


def untold(settings: Settings, summary: Summary, qcow2: bool, compress_qcow2: bool) -> list[t.Any]:
    """What else decides what comes out: a conversion, and what mkosi 14 keeps to itself."""
    found: list[t.Any] = []
    if qcow2:
        found.append({"qcow2": {"compress": compress_qcow2}})
    if summary.old:
        names = {
            name: list(values)
            for keys in settings.values()
            for name, values in keys.items()
            if name not in _VOLATILE
        }
        found.append(names)
    return found


def _moved(value: t.Any, view: str, directory: str) -> t.Any:
    if isinstance(value, str):
        return value.replace(view, directory)
    if isinstance(value, list):
        return [_moved(one, view, directory) for one in value]
    if isinstance(value, dict):
        return {key: _moved(one, view, directory) for key, one in value.items()}
    return value


def paths(summary: Summary) -> list[str]:
    """The files and trees that mkosi named."""
    found: set[str] = set()
    for image in summary.images:
        for name in _OLD_PATHS if summary.old else _PATHS:
            found.update(_paths_in(image.get(name)))
    return sorted(found)


def _paths_in(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str) and value.startswith("/"):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _paths_in(one)
    elif isinstance(value, dict):
        yield from _paths_in(value.get("Source"))
