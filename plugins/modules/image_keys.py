# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_keys
short_description: The key ring that signatures of images are verified against
version_added: 0.1.0
description:
  - Puts public keys into C(/etc/systemd/import-pubring.gpg), or takes them out.
  - systemd reads this ring instead of the vendor's, not beside it. So it begins as a copy of the
    vendor's, unless O(exclusive) is set, and goes when it is the same as the vendor's again.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows fingerprints.
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts O(keys) for each image that is verified by a
        signature from now on.
options:
  keys:
    description:
      - Public keys as C(gpg --armor --export) gives them.
    type: list
    elements: str
    required: true
  state:
    description:
      - Whether the keys are to be in the ring.
    type: str
    choices: [present, absent]
    default: present
  exclusive:
    description:
      - Whether the ring is to have these keys and no others, the vendor's not either.
    type: bool
    default: false
seealso:
  - module: nspawn.machined.image
"""

EXAMPLES = r"""
- name: Accept images that our own build server signed
  nspawn.machined.image_keys:
    keys:
      - "{{ lookup('ansible.builtin.file', 'build-server.asc') }}"

- name: Accept no others
  nspawn.machined.image_keys:
    keys:
      - "{{ lookup('ansible.builtin.file', 'build-server.asc') }}"
    exclusive: true
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done.
  type: list
  elements: str
  returned: always
  sample:
    - write /etc/systemd/import-pubring.gpg
fingerprints:
  description: The fingerprints of the keys that were given.
  type: list
  elements: str
  returned: always
"""

import typing as t

from ..module_utils._images import face

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "exclusive": {"type": "bool", "default": False},
}


def main() -> t.NoReturn:
    face.converge_keys(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
