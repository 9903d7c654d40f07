# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_copy
short_description: Copy a file or a directory into a machine, or out of it
version_added: 0.1.0
description:
  - Copies between the host and a machine that runs, unless the destination is the same already, by
    its contents and its mode.
  - A copy takes its place at once. Nobody sees half of it, and one that is cut off changes nothing.
  - In the machine, what is copied belongs to its root. A D-Bus and C(sha256sum) are needed inside.
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
options:
  machine:
    description:
      - The machine.
    type: str
    required: true
  src:
    description:
      - What is copied - a path on the host, or with O(direction=from) in the machine.
    type: str
    required: true
  dest:
    description:
      - Where it is copied to. With a slash at its end, into that directory under its own name.
    type: str
    required: true
  direction:
    description:
      - Whether to copy to the machine, or from it.
    type: str
    choices: [to, from]
    default: to
  mode:
    description:
      - The mode of the file, as octal digits in quotes. When left out, that of the source.
    type: str
  force:
    description:
      - Whether a file that differs is replaced. A directory that is there never is.
    type: bool
    default: true
seealso:
  - module: nspawn.machined.machine_exec
  - module: nspawn.machined.machine_bind
"""

EXAMPLES = r"""
- name: Give a machine its configuration
  nspawn.machined.machine_copy:
    machine: web
    src: /srv/config/web.conf
    dest: /etc/web.conf
    mode: "0600"

- name: Take a backup out of a machine
  nspawn.machined.machine_copy:
    machine: db
    src: /var/backups/db.sql
    dest: /srv/backups/
    direction: from
"""

RETURN = r"""
plan:
  description:
    - What was done, or in check mode would be done.
  type: list
  elements: str
  returned: always
  sample: ["copy web:/etc/web.conf"]
dest:
  description:
    - The path of the copy.
  type: str
  returned: always
"""

import typing as t

from ..module_utils._inside import face


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "machine": {"type": "str", "required": True, "no_log": False},
            "src": {"type": "str", "required": True, "no_log": False},
            "dest": {"type": "str", "required": True, "no_log": False},
            "direction": {"type": "str", "choices": ["to", "from"], "default": "to"},
            "mode": {"type": "str", "no_log": False},
            "force": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    face.copy(module)


if __name__ == "__main__":
    main()
