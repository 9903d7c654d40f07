# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
from hypothesis.configuration import set_hypothesis_home_dir

ROOT = Path(__file__).resolve().parents[1]

set_hypothesis_home_dir(ROOT / "build" / "cache" / "hypothesis")
# A busy machine is slow now and then: that says nothing about the code.
hypothesis.settings.register_profile("here", deadline=None)
# The same examples each time; "make unit FUZZ=1" looks further.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(
    "fuzz" if os.environ.get("FUZZ") else "same" if os.environ.get("CI") else "here"
)
