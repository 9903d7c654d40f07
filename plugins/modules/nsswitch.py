# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nsswitch
short_description: Whom a system asks for users, groups and names
version_added: 0.1.0
description:
  - Has services such as C(systemd) asked for users and groups, or C(mymachines) for the names of
    machines, by adding their words to lines of C(/etc/nsswitch.conf). Everything else in the file
    stays byte for byte as it is, comments, order and line ends included.
  - A service that is asked already is left where it is, and then nothing is written. Where the
    file in C(/etc) is missing and the vendor's in C(/usr/etc) says it already, as on openSUSE, no
    copy of that is made; else it is copied down with the words added.
  - Where authselect makes the file, as on Fedora, it is never edited. The feature of its profile
    that brings the service is turned on; when no feature does, that is an error.
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
      - Needs root of the host. Trusts the databases that are declared, and of a machine or an image
        under O(root) nothing, neither its links nor its files.
options:
  databases:
    description:
      - The services, by the databases that they shall be asked for.
      - A new one is put where systemd's manual pages recommend it. C(systemd) comes behind C(files)
        or C(compat), for C(group) with C([SUCCESS=merge]) before it; C(mymachines) and C(resolve
        [!UNAVAIL=return]) before C(files); C(myhostname) behind C(files) and before C(dns). Others
        come last.
      - An action of the service that a new C(systemd) comes behind follows C(systemd) then, so that
        C(files [NOTFOUND=return] sss) becomes C(files systemd [NOTFOUND=return] sss).
      - An action that has to stand before a service can be given with it, as in V([SUCCESS=merge]
        systemd). It is then added also where the service is asked already.
      - A database without a line gets one that says also what glibc does without it.
    type: dict
    required: true
  root:
    description:
      - The directory that is the root of the system, of the host, of a machine or of an image.
      - Links in it lead to what is in it, also absolute ones.
    type: path
    default: /
  state:
    description:
      - V(absent) takes the services out of the databases, with the actions that this module adds.
        A file that is then the same as the vendor's is removed.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Programs that run have read the file already; since glibc 2.33 they read it again when it has
    changed.
seealso:
  - module: nspawn.machined.machines
"""

EXAMPLES = r"""
- name: Let users that systemd knows be users of this host
  nspawn.machined.nsswitch:
    databases:
      passwd: [systemd]
      group: [systemd]
      shadow: [systemd]

- name: The same in an image that machines are cloned from
  nspawn.machined.nsswitch:
    root: /var/lib/machines/trixie
    databases:
      passwd: [systemd]
      group: ["[SUCCESS=merge] systemd"]
      shadow: [systemd]

- name: Let machines be reached by their names
  nspawn.machined.nsswitch:
    databases:
      hosts: [mymachines]

- name: Let them not
  nspawn.machined.nsswitch:
    databases:
      hosts: [mymachines]
    state: absent
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done.
  type: list
  elements: str
  returned: always
  sample: ["write /etc/nsswitch.conf"]
databases:
  description: Who is then asked for the databases, in this order.
  type: dict
  returned: success
  sample:
    passwd: files systemd
    group: files [SUCCESS=merge] systemd
path:
  description: The file that counts, seen from the root; V(null) when there is none.
  type: str
  returned: success
  sample: /etc/nsswitch.conf
authselect:
  description: The profile from which authselect makes the file; V(null) when it does not.
  type: str
  returned: success
  sample: local
"""

import typing as t

from ..module_utils._nsswitch import face

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    # Everybody can read both in /etc/nsswitch.conf and in its place.
    "databases": {"type": "dict", "required": True, "no_log": False},
    "root": {"type": "path", "default": "/", "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> t.NoReturn:
    face.converge(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
