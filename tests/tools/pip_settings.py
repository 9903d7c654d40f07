# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How this machine's pip is configured; as a script, the same for uv, as lines for a shell.

uv installs in seconds what takes pip a minute, but does not read pip's configuration.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys


def pip_options() -> dict[str, str]:
    """What files and PIP_* variables tell pip; the later of two sources wins."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {}
    for source in ("global", "install", ":env:"):
        for match in re.finditer(rf"(?m)^{source}\.([\w-]+)=(.*)$", listing):
            found[match[1]] = str(ast.literal_eval(match[2]))
    return found


def for_uv(options: dict[str, str]) -> dict[str, str]:
    """The variables that make uv ask the same index, and trust the same certificates."""
    variables = {"UV_SYSTEM_CERTS": "true"}
    for option, variable in {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}.items():
        if option in options:
            variables[variable] = options[option]
    return variables


if __name__ == "__main__":
    for name, value in for_uv(pip_options()).items():
        print(f"export {name}={shlex.quote(value)}")
