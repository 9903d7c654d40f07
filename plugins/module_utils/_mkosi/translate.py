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
import re
import typing as t

from .._core.plan import Failure
from . import table, text, words
from .formats import Form
from .spelling import Draft, Handler
from .text import Definitions, Settings, Values, is_true


@dataclasses.dataclass(frozen=True)
class Beside:
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
    beside: Beside = Beside()

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
    draft = Draft(version)
    form = Form(draft, compression, qcow2)
    content = _Content(draft)
    handlers = {**form.handlers, **content.handlers}
    for section, keys in config.items():
        for name, values in keys.items():
            _take(draft, handlers, section, name, values)
    form.finish()
    content.finish(machine)
    order = {name: index for index, name in enumerate(words.SECTION_ORDER)}
    sections = sorted(draft.settings, key=lambda section: order.get(section, len(order)))
    return Translated(
        {section: draft.settings[section] for section in sections},
        tuple(dict.fromkeys(draft.warnings)),
        form.definitions() if draft.new and not own_repart else {},
        Beside(
            root_password=content.password,
            root_password_hashed=content.hashed,
            qcow2=form.qcow2,
            compress_qcow2=form.compress_qcow2,
            read_only=form.read_only,
        ),
    )


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


def _take(
    draft: Draft,
    handlers: t.Mapping[str, Handler],
    section: str,
    name: str,
    values: Values,
) -> None:
    if section in table.CONDITIONAL_SECTIONS and draft.new:
        draft.settings.setdefault(section, {})[name] = values
        return
    draft.check_section(section, name)
    if section == "Packages":
        draft.old_words = True
    if name in words.PACKAGE_LISTS:
        values = _packages(values)
    elif name in words.OLD_WORD_LISTS and section == "Packages":
        values = tuple(word for value in values for word in re.split(r"[\s,]+", value) if word)
    if name in handlers:
        handlers[name](section, name, values)
    else:
        draft.place(section, name, values)


class _Content:
    """What the settings say of what comes into the image, and how; as C(Form) with methods."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.password: t.Optional[str] = None
        self.hashed = False
        self.base_packages: t.Optional[bool] = None
        self.handlers: t.Mapping[str, Handler] = {
            "Password": self._password,
            "RootPassword": self._password,
            "PasswordIsHashed": self._password_is_hashed,
            "BasePackages": self._base_packages,
            "Incremental": self._incremental,
        }

    def _password(self, section: str, name: str, values: Values) -> None:
        # Never into the configuration: that is a file for everybody to read.
        value = values[-1]
        if name == "RootPassword" and value.startswith("hashed:"):
            value, self.hashed = value[len("hashed:") :], True
        self.password = value
        current = "RootPassword" if self.draft.new else "Password"
        if name != current:
            places = table.sections(current, self.draft.version)
            self.draft.renamed(section, name, places[0], current)
        if section == "Packages" or name == "Password":
            self.draft.old_words = True

    def _password_is_hashed(self, section: str, name: str, values: Values) -> None:
        if is_true(values[-1]):
            self.hashed = True
        if self.draft.new:
            self.draft.became(section, name, "the beginning 'hashed:' of [Content] RootPassword=")

    def _base_packages(self, section: str, name: str, values: Values) -> None:
        if not self.draft.new:
            self.draft.place(section, name, values)
            return
        self.base_packages = is_true(values[-1])
        self.draft.became(section, name, "a matter of Packages=")

    def _incremental(self, section: str, name: str, values: Values) -> None:
        if self.draft.new or not is_true(values[-1]):
            self.draft.place(section, name, values)
            return
        # It would build what has changed from what it kept of the time before the change.
        self.draft.warnings.append(
            f"[{section}] Incremental= was left out: mkosi {self.draft.version} does not see when"
            " the packages it kept are no longer those that are wanted"
        )

    # --- what several settings mean together ---

    def finish(self, machine: str) -> None:
        if self.draft.new:
            self._add_base_packages(machine)
        elif self.hashed:
            self.draft.set("PasswordIsHashed", "yes")

    def _add_base_packages(self, machine: str) -> None:
        if not (self.draft.old_words if self.base_packages is None else self.base_packages):
            return
        distribution = self.draft.value("Distribution") or ""
        if distribution not in words.BASE_PACKAGES:
            self.draft.warnings.append(
                f"mkosi {self.draft.version} installs only what Packages= names, older ones added a"
                f" base system; for {distribution or 'the distribution of this host'} name it"
                " yourself"
            )
            return
        added = words.BASE_PACKAGES[distribution]
        if self.draft.value("Release") in words.RESOLVED_INSIDE:
            added = tuple(package for package in added if package != "systemd-resolved")
        if is_true(self.draft.value("Bootable") or "no"):
            architecture = self.draft.value("Architecture") or machine
            debian = words.DEBIAN_ARCHITECTURES.get(architecture, architecture)
            added += tuple(one.format(debian=debian) for one in words.BOOT_PACKAGES[distribution])
        present = self.draft.settings.get("Content", {}).get("Packages", ())
        missing = tuple(package for package in added if package not in present)
        if missing:
            self.draft.set("Packages", *present, *missing)
            self.draft.warnings.append(
                f"mkosi {self.draft.version} installs only what Packages= names; as older ones did"
                f" by themselves, added {', '.join(missing)}"
            )


def _packages(values: Values) -> Values:
    """Package by package, whether given as a list, with commas, or with blanks as mkosi 5 wanted.

    Names with brackets or quotes (conditions of rpm) and groups may contain blanks.
    """
    result: list[str] = []
    for value in values:
        parts = [value] if re.search(r"[()@'\"]", value) else re.split(r"[\s,]+", value)
        result += [part for part in parts if part]
    return tuple(result)
