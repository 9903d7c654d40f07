# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make random texts of configuration, and random arguments of the two modules of settings.

Usage: make_cases.py SEED NUMBER > cases.json
"""

from __future__ import annotations

import json
import pathlib
import random
import re
import sys
import typing as t

from ansible_collections.nspawn.machined.plugins.module_utils._core import ini
from ansible_collections.nspawn.machined.plugins.module_utils._settings import table
from ansible_collections.nspawn.machined.plugins.module_utils._systemd import unit_table

SECTIONS = (*table.TABLE, "Unit", "Service", "X-Mine", "exec", "Quux", "a\nb", "[", "")
KEYS = (
    *(key for keys in table.TABLE.values() for key in keys),
    *random.Random(0).sample(sorted(unit_table.TABLE["Service"]), 30),
    *("X-Mine", "boot", "A=B", "#", "Bind\nBoot", "", "../x"),
)
WORDS = ("yes", "no", "/srv", "/srv:/x:idmap", "tcp:80", "pick", "a b", "a\nb", "a\\", "\\", "\x1b")
NAMES = (
    "web",
    "db-1",
    "../x",
    "/etc/passwd",
    "a/b",
    ".",
    "..",
    "",
    "-a",
    "a" * 65,
    "ä",
    "a\n",
    "a b",
)
# A header of a section that no systemd knows, and that an old one only ignores.
FOREIGN = re.compile(r"\[[^\x00-\x1f\x7f\\\"']*\]")


class Maker:
    def __init__(self, seed: int, values: list[list[t.Any]]) -> None:
        self.random = random.Random(seed)
        self.understood = values

    # Texts for systemd to read, and what we read in them.

    def text(self) -> str:
        """A drop-in of a unit that somehow says what its description is."""
        lines = [self.line() for _number in range(self.random.randint(1, 6))]
        if self.random.random() < 0.7:
            lines.insert(0, "[Unit]")
        return "".join(line + self.end() for line in lines)

    def end(self) -> str:
        ends = ["\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n", "\\\n", " \\\n"]
        return self.random.choice(ends)

    def line(self) -> str:
        blank = self.random.choice(["", "", " ", "\t"])
        key = self.random.choice(["Description", "Description", "description", "X-Mine"])
        return blank + self.random.choice(
            [
                "[Unit]",
                "[Service]",
                "[X-Mine]",
                "[Unit" if self.random.random() < 0.1 else "",
                "# comment " + self.word(),
                "; comment \\",
                *[f"{key}={self.word()}"] * 4,
                f"{key}={self.word()}",
                f"{key} = {self.word()} ",
                f"{key}={self.word()}\\{self.word()}",
                f"{key}=",
                self.word(),
                "=" + self.word(),
            ]
        )

    def word(self) -> str:
        several = range(self.random.randint(0, 8))
        return "".join(self.random.choice("ab =#;[]'\"é\\") for _number in several)

    # Arguments of the modules.

    def arguments(self) -> dict[str, t.Any]:
        if self.random.random() < 0.5:
            return {"name": ["web"], "settings": self.sound(), "drop_in": "50-x"}
        return {
            "name": [self.name() for _number in range(self.random.choice([1, 1, 1, 0, 2]))],
            "settings": self.random.choice([self.settings, self.settings, self.value])(),
            "drop_in": self.random.choice(["50-x", "50-x", self.name()]),
        }

    def sound(self) -> dict[str, t.Any]:
        """Settings that are probably accepted: known values, and anything in a foreign section."""
        section, key, value = self.random.choice(self.understood)[:3]
        settings: dict[str, t.Any] = {"X-Mine": {"Word": self.noise(), "List": [self.noise()] * 2}}
        if self.random.random() < 0.5:
            settings[section] = {key: self.random.choice([value, [value], None])}
        return settings

    def name(self) -> str:
        return self.random.choice([*NAMES, "web", "db-1", "web", self.noise()])

    def settings(self) -> dict[str, t.Any]:
        return {self.section(): self.keys() for _number in range(self.random.randint(0, 3))}

    def section(self) -> str:
        return self.random.choice([*SECTIONS, *table.TABLE, "Service", self.noise()])

    def keys(self) -> t.Any:
        if self.random.random() < 0.05:
            return self.value()
        return {self.key(): self.value() for _number in range(self.random.randint(0, 3))}

    def key(self) -> str:
        return self.random.choice([*KEYS, self.noise()])

    def value(self, depth: int = 0) -> t.Any:
        simple: list[t.Any] = [None, True, False, 0, -1, 80, 1.5, *WORDS, *WORDS, self.noise()]
        if depth < 2 and self.random.random() < 0.3:
            some = [self.value(depth + 1) for _number in range(self.random.randint(0, 3))]
            return self.random.choice([some, {self.noise(): one for one in some}])
        return self.random.choice(simple)

    def noise(self) -> str:
        several = range(self.random.randint(0, 6))
        # Any character but halves of pairs, which JSON cannot carry.
        return "".join(
            chr(self.random.choice([self.random.randint(0, 127), self.random.randint(0, 0xD7FF)]))
            for _number in several
        )


def described(text: str, *, newest: bool) -> str | None:
    """The description that we read in a text; nothing when there is none at all.

    In a drop-in, unlike in a .nspawn file, what stands before a broken header counts. Some headers
    are broken for the newest systemd only; to an older one they begin a section of no interest.
    """
    found = None
    foreign = False
    for piece in ini.pieces(text):
        if piece.kind == ini.BROKEN:
            if newest or not FOREIGN.fullmatch(piece.value):
                break
            foreign = True
        elif piece.kind == ini.SECTION:
            foreign = False
        elif piece.place == ("Unit", "Description") and not foreign:
            found = piece.value
    return found


def text_case(text: str) -> dict[str, str | None]:
    newest, older = described(text, newest=True), described(text, newest=False)
    return {"text": text, "newest": newest, "older": older}


def main() -> None:
    values = json.loads(pathlib.Path(__file__).with_name("values.json").read_text())
    maker = Maker(int(sys.argv[1]), values["understood"])
    number = int(sys.argv[2])
    texts = [maker.text() for _number in range(number)]
    cases = {
        "texts": [text_case(text) for text in texts],
        "arguments": [maker.arguments() for _number in range(number)],
    }
    json.dump(cases, sys.stdout)


if __name__ == "__main__":
    main()
