# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run as: python3 tests/testhost COMMAND."""

from __future__ import annotations

import sys
from pathlib import Path

# A folder that is run has itself on the path; as a package its modules can import each other.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from testhost.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
