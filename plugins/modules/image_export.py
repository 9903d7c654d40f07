# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_export
short_description: Export an image of systemd-machined to a file
version_added: 0.1.0
description:
  - Packs an image into a tar or raw file on the host.
  - The file is written beside its place and gets its name when it is whole.
  - Remembers what it exported and from which state of the image, so that a second run packs
    nothing, and a file of somebody else is not overwritten.
  - A subvolume is exported as it is at one moment, also while a machine runs from it.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.attributes.action_plugin
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts nothing in the image; who may read the export reads
        all of it.
options:
  name:
    description:
      - The name of the image.
    type: str
    required: true
  dest:
    description:
      - The absolute path of the file. Its directory must be there.
    type: path
    required: true
  format:
    description:
      - V(tar) for directories and subvolumes, V(raw) for disk images; V(auto) takes the one that
        fits.
    type: str
    choices: [auto, tar, raw]
    default: auto
  compression:
    description:
      - How to compress the file. V(auto) goes by the ending of O(dest).
      - V(zst) needs the program C(zstd).
    type: str
    choices: [auto, none, gz, xz, bz2, zst]
    default: auto
  checksum_file:
    description:
      - Whether to write the checksum into a file of the same name with C(.sha256) behind it.
    type: bool
    default: false
  update:
    description:
      - Whether to export again when the image has changed since.
      - Otherwise that is told in RV(drift).
    type: bool
    default: false
  force:
    description:
      - Whether to overwrite a file that was not exported by this module.
    type: bool
    default: false
  timeout:
    description:
      - How many seconds it may take.
    type: float
    default: 1800
seealso:
  - module: nspawn.machined.image
"""

EXAMPLES = r"""
- name: Keep a copy of a machine
  nspawn.machined.image_export:
    name: web
    dest: /srv/backup/web.tar.zst
    checksum_file: true
    update: true
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done.
  type: list
  elements: str
  returned: always
  sample:
    - export image web
dest:
  description: The path of the file.
  type: str
  returned: always
format:
  description: V(tar) or V(raw). Nothing when there is no file yet.
  type: str
  returned: always
compression:
  description: How the file is compressed. Nothing when there is no file yet.
  type: str
  returned: always
checksum:
  description: The checksum of the file. Nothing when there is no file yet.
  type: str
  returned: always
  sample: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
drift:
  description: Why the file is not what an export would give now. Nothing when it is.
  type: str
  returned: always
  sample: the image was changed since
"""

import typing as t

from ..module_utils._images import face

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True, "no_log": False},
    "dest": {"type": "path", "required": True, "no_log": False},
    "format": {"type": "str", "choices": ["auto", "tar", "raw"], "default": "auto"},
    "compression": {
        "type": "str",
        "choices": ["auto", "none", "gz", "xz", "bz2", "zst"],
        "default": "auto",
    },
    "checksum_file": {"type": "bool", "default": False},
    "update": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 1800},
}


def main() -> t.NoReturn:
    face.export(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
