# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's part of the module C(mkosi_image): progress."""

from __future__ import annotations

from ..plugin_utils._actions import progress


class ActionModule(progress.ProgressAction):
    """Runs the module C(mkosi_image)."""

    _supports_async = True
