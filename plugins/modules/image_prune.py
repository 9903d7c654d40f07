# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_prune
short_description: Remove old images of systemd-machined
version_added: 0.1.0
description:
  - Removes images by name, number and age.
  - An image goes only if it matches O(patterns), is not among the newest O(keep), and is older than
    O(older_than), as far as these are given.
  - Never removes an image that a machine runs from, or that is enabled to start at boot, or that
    this collection did not make, unless O(strangers) is set.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says what would go and what would stay.
  diff_mode:
    support: full
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts its own records of what it made, and nothing in an
        image.
options:
  patterns:
    description:
      - Shell patterns of image names. An image that matches one of them may go.
    type: list
    elements: str
    default: ["*"]
  exclude:
    description:
      - Shell patterns of image names that stay.
    type: list
    elements: str
    default: []
  keep:
    description:
      - How many of the newest images that match stay.
    type: int
  older_than:
    description:
      - Only images that were created longer ago go. A number and V(s), V(m), V(h), V(d) or V(w).
    type: str
  strangers:
    description:
      - Whether images may go that this collection did not make.
    type: bool
    default: false
  downloads:
    description:
      - Whether the hidden copies go that C(machinectl pull-tar) and C(machinectl pull-raw) keep.
    type: bool
    default: false
seealso:
  - module: nspawn.machined.image
"""

EXAMPLES = r"""
- name: Keep the three newest builds
  nspawn.machined.image_prune:
    patterns: [build-*]
    keep: 3

- name: Say which images are older than a month
  nspawn.machined.image_prune:
    older_than: 30d
  check_mode: true

- name: Remove what machinectl keeps of downloads
  nspawn.machined.image_prune:
    downloads: true
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done.
  type: list
  elements: str
  returned: always
  sample:
    - remove image build-1
removed:
  description: The names of the images that went, or in check mode would go.
  type: list
  elements: str
  returned: always
kept:
  description: Why each other image that matches stays, by its name.
  type: dict
  returned: always
  sample:
    build-2: machine build-2 runs from it
"""

import typing as t

from ..module_utils._images import face

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "patterns": {"type": "list", "elements": "str", "default": ["*"], "no_log": False},
    "exclude": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "keep": {"type": "int"},
    "older_than": {"type": "str", "no_log": False},
    "strangers": {"type": "bool", "default": False},
    "downloads": {"type": "bool", "default": False},
}


def main() -> t.NoReturn:
    face.prune_images(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
