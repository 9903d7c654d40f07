# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspawn.machined.plugins.module_utils._core.plan import Failure
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.build import (
    TAIL,
    Build,
    Stage,
    command,
    image_in,
    last_words,
    phase_of,
)
from ansible_collections.nspawn.machined.plugins.module_utils._mkosi.host import Version

STAGE = Stage("/srv/stage/output", "/srv/stage/workspace")

TRACED = """\
E: The list of sources could not be read.
Traceback (most recent call last):
  File "/usr/bin/mkosi", line 33, in <module>
    sys.exit(main())
             ^^^^^^

  File "backend.py", line 860, in run
    raise CalledProcessError(
subprocess.CalledProcessError: Command '['apt-get']' returned non-zero exit status 100.
"""


def build(number: int, **fields: t.Any) -> Build:
    return Build("/srv/a", Version(number, str(number)), "out", "/srv/stage", None, 60, **fields)


def test_the_last_words_leave_out_where_in_mkosi_they_were_said() -> None:
    assert last_words(TRACED).splitlines() == [
        "E: The list of sources could not be read.",
        "subprocess.CalledProcessError: Command '['apt-get']' returned non-zero exit status 100.",
    ]


def test_indented_words_outside_of_a_traceback_stay() -> None:
    assert (
        last_words("Problem:\n  nothing provides beans\n") == "Problem:\n  nothing provides beans"
    )


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=300))
def test_any_words_become_a_few_lines(text: str) -> None:
    assert 1 <= len(last_words(text).split("\n")) <= TAIL


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("‣ Building default image", "Building default image"),
        ("‣    Installing Debian…", "Installing Debian"),
        ("Get:1 http://archive.example.org trixie InRelease", None),
        ("‣ [main]  Installing Debian", "Installing Debian"),
        ("‣", None),
    ],
)
def test_mkosi_says_what_it_begins_with(line: str, phase: t.Optional[str]) -> None:
    assert phase_of(line) == phase


@pytest.mark.parametrize("number", [14, 25, 27])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_each_mkosi_is_told_where_to_build_in_its_own_words(number: int, levels: int) -> None:
    words = command(build(number, levels=levels), STAGE)
    assert words[:3] == ["mkosi", "--directory", "/srv/a"]
    assert words[-1] == "build"
    assert words.count("--force") == levels + 1
    place = (
        "--output=/srv/stage/output/out" if number == 14 else "--output-directory=/srv/stage/output"
    )
    assert place in words
    # Where it could not leave a directory of the distribution's name.
    assert ("--output-dir=/srv/stage/workspace" in words) == (number == 14)


@pytest.mark.parametrize("name", ["out", "out.raw", "out.tar", "out.tar.xz", "out.raw.zst"])
def test_the_image_is_found_among_what_lies_beside_it(name: str) -> None:
    others = [
        "/s/initrd.cpio.zst",
        "/s/out.efi",
        "/s/out.manifest",
        "/s/out.vmlinuz",
        "/s/outer.raw",
    ]
    assert image_in([*others, f"/s/{name}"], "out") == f"/s/{name}"


def test_what_is_no_image_is_named() -> None:
    with pytest.raises(Failure, match=r"mkosi made out\.efi; expected out"):
        image_in(["/s/out.efi"], "out")
