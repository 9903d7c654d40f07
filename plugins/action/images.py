# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's part of the module C(images): uploads, and progress."""

from __future__ import annotations

import typing as t

from ..plugin_utils._actions import upload


class ActionModule(upload.UploadAction):
    """Runs the module C(images)."""

    def entries(self, arguments: dict[str, t.Any]) -> list[upload.Entry]:
        images = arguments.get("images")
        if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
            return []  # the module says what is wrong
        # Copies: the task's own arguments are used again when it is repeated.
        copies = [dict(image) for image in images]
        arguments["images"] = copies
        return copies
