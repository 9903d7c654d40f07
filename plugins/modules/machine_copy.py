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
  - Into a machine, its own programs write what comes, as its root, to whom it belongs then. They
    have to be there - a D-Bus, a shell, C(sha256sum) and the other coreutils, and for a directory
    GNU C(find) and C(tar).
  - Out of a machine come the contents of files and directories, and nothing that gives anybody
    rights. They belong to who runs the module. A link is never followed; a setuid bit, an ACL, a
    capability, a device never arrives. Nothing has to be there, and a machine that hangs is no
    hindrance.
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
      - Of a file that it becomes another one, and with which mode.
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts the machine with what is copied into it, and nothing
        that comes out of it.
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
      - The mode of the file, as octal digits in quotes. When left out, that of the source; out of
        a machine without setuid, setgid and sticky.
    type: str
  force:
    description:
      - Whether a file that differs is replaced. A directory that is there never is.
    type: bool
    default: true
  links:
    description:
      - What becomes of symbolic links in a directory that comes out of a machine. Left out, or kept
        as links, those which lead to something in the directory itself. Others are left out either
        way. A warning names what is left out.
      - Into a machine they are kept as links.
    type: str
    choices: [skip, keep]
    default: skip
  max_size:
    description:
      - How many bytes there may be altogether, such as C(10G). With more nothing is copied.
    type: bytes
    default: 10G
  max_files:
    description:
      - How many files and directories there may be. With more nothing is copied.
    type: int
    default: 100000
  timeout:
    description:
      - The seconds after which the look at one end, or the copy, is given up.
    type: float
    default: 3600
seealso:
  - module: nspawn.machined.machine_exec
  - module: nspawn.machined.machine_sync
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
left_out:
  description:
    - What does not come along out of a machine, and why - the first twenty.
  type: list
  elements: str
  returned: always
  sample: ["db:/srv/data/link: a symbolic link"]
"""

import typing as t

from ..module_utils._inside import face

CAPS: dict[str, t.Any] = {
    "max_size": {"type": "bytes", "default": "10G", "no_log": False},
    "max_files": {"type": "int", "default": 100000},
    "timeout": {"type": "float", "default": 3600},
}


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "machine": {"type": "str", "required": True, "no_log": False},
            "src": {"type": "str", "required": True, "no_log": False},
            "dest": {"type": "str", "required": True, "no_log": False},
            "direction": {"type": "str", "choices": ["to", "from"], "default": "to"},
            "mode": {"type": "str", "no_log": False},
            "force": {"type": "bool", "default": True},
            "links": {"type": "str", "choices": ["skip", "keep"], "default": "skip"},
            **CAPS,
        },
        supports_check_mode=True,
    )
    face.copy(module)


if __name__ == "__main__":
    main()
