# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_sync
short_description: Make a directory of a machine as one of the host is, or the other way round
version_added: 0.1.0
description:
  - Copies what differs between a directory of the host and one of a machine that runs, by size and
    time or by contents, by mode and by owner; and removes on wish what is too much.
  - Both ends are looked at from the host, below the machine's own root; links are never followed.
  - Into a machine, its own programs write what comes, as its root. They have to be there - a D-Bus,
    a shell, C(tar), and to remove something C(xargs) and C(rm).
  - Out of a machine come the contents of files and directories, and nothing that gives anybody
    rights. They belong to who runs the module. A setuid bit, an ACL, a capability, a device never
    arrives. Nothing has to be there, and a machine that hangs is no hindrance.
  - A file changes alone. A run that is cut off has changed some of them, and the next one does the
    rest.
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
      - Of each thing its kind, mode, owner, size and time, and never what is in it.
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
      - The directory that is right - a path on the host, or with O(direction=from) in the machine.
      - A slash at its end means nothing. What is in it will be in O(dest).
    type: str
    required: true
  dest:
    description:
      - The directory that becomes like it. When it is not there it is made; what it is in has to be
        there.
    type: str
    required: true
  direction:
    description:
      - Whether to copy to the machine, or from it.
    type: str
    choices: [to, from]
    default: to
  delete:
    description:
      - Whether what is in O(dest) and not in O(src) is removed. What is excluded never is, nor what
        is mounted there, nor a directory that holds something of these.
      - With O(direction=from) the machine decides by that what of O(dest) stays.
      - Something of another kind that stands where something has to be is removed in any case.
    type: bool
    default: false
  checksum:
    description:
      - Whether files of the same size are the same when their contents are. Otherwise when their
        time is, to the second.
    type: bool
    default: false
  exclude:
    description:
      - What is left alone at both ends, with all that is in it. V(*.pyc) is a name wherever it is,
        V(/cache) and V(var/*/log) a way from the top. V(*), V(?) and V([a-z]) stand for no slash;
        V(**) stands for any number of directories.
    type: list
    elements: str
    default: []
  owner:
    description:
      - To whom all of it belongs in the machine, as a name in its C(/etc/passwd) or a number.
        C(root) when left out.
      - Only with O(direction=to).
    type: str
  group:
    description:
      - The group of all of it in the machine, as a name in its C(/etc/group) or a number. That of
        the owner when left out.
      - Only with O(direction=to).
    type: str
  links:
    description:
      - What becomes of symbolic links that come out of a machine. Left out, or kept as links, those
        which lead to something in the directory itself. Others are left out either way. A warning
        names what is left out.
      - Into a machine they are kept as links.
    type: str
    choices: [skip, keep]
    default: skip
  max_size:
    description:
      - How many bytes there may be in O(src) altogether, such as C(10G). With more nothing is
        copied.
    type: bytes
    default: 10G
  max_files:
    description:
      - How many files and directories there may be at each end. With more nothing is copied.
    type: int
    default: 100000
  timeout:
    description:
      - The seconds after which the look at one end, or the copy, is given up.
    type: float
    default: 3600
notes:
  - Holes in a file are filled on the way into a machine, and kept on the way out.
  - A folder of the controller is brought to the host first, or into the machine by the connection
    plugins and any module that copies.
  - Whoever may write into O(dest) in the machine, and is not its root, can lead its root elsewhere
    in the machine while it writes, as with any program that copies. The host is not concerned.
seealso:
  - module: nspawn.machined.machine_copy
  - module: nspawn.machined.machine_bind
"""

EXAMPLES = r"""
- name: Bring a site into its machine
  nspawn.machined.machine_sync:
    machine: web
    src: /srv/site
    dest: /var/www/site
    owner: www-data
    delete: true
    exclude: [/uploads, "*.tmp"]

- name: Keep a copy of what people have uploaded
  nspawn.machined.machine_sync:
    machine: web
    src: /var/www/site/uploads
    dest: /srv/backups/uploads
    direction: from
"""

RETURN = r"""
plan:
  description:
    - What was done, or in check mode would be done.
  type: list
  elements: str
  returned: always
  sample: ["remove from web:/var/www/site", "sync web:/var/www/site"]
copied:
  description:
    - What was not there, as the way from O(dest) - the first thousand.
  type: list
  elements: str
  returned: always
  sample: ["css/site.css"]
updated:
  description:
    - What was not the same - the first thousand.
  type: list
  elements: str
  returned: always
  sample: ["index.html"]
removed:
  description:
    - What was too much, each with all that was in it - the first thousand.
  type: list
  elements: str
  returned: always
  sample: ["old"]
counts:
  description:
    - How many there are of each of the three.
  type: dict
  returned: always
  sample: {"copied": 1, "updated": 1, "removed": 1}
dest:
  description:
    - The path of the directory.
  type: str
  returned: always
left_out:
  description:
    - What does not come along out of a machine, and why - the first twenty.
  type: list
  elements: str
  returned: always
  sample: ["web:/var/www/site/uploads/link: a symbolic link"]
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
            "delete": {"type": "bool", "default": False},
            "checksum": {"type": "bool", "default": False},
            "exclude": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "owner": {"type": "str", "no_log": False},
            "group": {"type": "str", "no_log": False},
            "links": {"type": "str", "choices": ["skip", "keep"], "default": "skip"},
            **CAPS,
        },
        supports_check_mode=True,
    )
    face.sync(module)


if __name__ == "__main__":
    main()
