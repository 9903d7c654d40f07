# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the module C(nspawn_settings) calls. Private to the collection."""

from __future__ import annotations

import typing as t

from .._core import module as core_module
from .._systemd import machined
from . import files

Module = core_module.Module


def converge(module: Module) -> t.NoReturn:
    """The module C(nspawn_settings)."""

    def body() -> dict[str, t.Any]:
        version = machined.systemd_version()
        wanted = files.wanted_of(module.params, version)
        with core_module.holding(module, wanted.things):
            seen = files.snapshot(wanted)
            plan = files.plan(seen, wanted)
            for warning in files.warnings(seen, wanted, version):
                module.warn(warning)
            backups: dict[str, str] = {}
            verbs = files.verbs(module.params["backup"], backups)
            return core_module.converge(
                module, plan, verbs, facts=lambda: files.result(seen, wanted, plan, backups)
            )

    core_module.run(module, body)
