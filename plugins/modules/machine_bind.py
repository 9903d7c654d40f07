# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_bind
short_description: Bind a directory or file of the host into a machine that runs
version_added: 0.1.0
description:
  - Binds a path of the host into a machine while it runs, until it stops.
  - The kernel refuses this for machines with private users, which is the default of systemd and of
    this collection. The error then says how to declare the bind in the machine's settings, where it
    also lasts.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts the machine's root with all that lies below O(src).
options:
  machine:
    description:
      - The machine.
    type: str
    required: true
  src:
    description:
      - The path on the host.
    type: str
    required: true
  dest:
    description:
      - The path in the machine. When left out, the same as O(src).
    type: str
  read_only:
    description:
      - Whether the machine may only read it.
    type: bool
    default: false
  mkdir:
    description:
      - Whether to make the path in the machine when it is not there.
    type: bool
    default: false
seealso:
  - module: nspawn.machined.machine_copy
  - module: nspawn.machined.nspawn_settings
"""

EXAMPLES = r"""
- name: Let a machine read a directory of the host until it stops
  nspawn.machined.machine_bind:
    machine: web
    src: /srv/web
    dest: /var/www
    read_only: true
    mkdir: true

- name: For a machine with private users, and for longer
  nspawn.machined.nspawn_settings:
    name: web
    settings:
      Files:
        BindReadOnly: /srv/web:/var/www
"""

RETURN = r"""
plan:
  description:
    - What was done, or in check mode would be done.
  type: list
  elements: str
  returned: always
  sample: ["bind web:/var/www"]
"""

import typing as t

from ..module_utils._inside import face


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "machine": {"type": "str", "required": True, "no_log": False},
            "src": {"type": "str", "required": True, "no_log": False},
            "dest": {"type": "str", "no_log": False},
            "read_only": {"type": "bool", "default": False},
            "mkdir": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    face.bind(module)


if __name__ == "__main__":
    main()
