# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip script that ansible-test would fetch: pip from Python itself."""

from __future__ import annotations

import subprocess
import sys

# It tells of each package that it unpacks, and has no switch for that.
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
