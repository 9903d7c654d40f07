# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_socket
short_description: Who in machines may use the socket of the host's Docker or Podman
version_added: 0.1.0
description:
  - In each machine there is a group with the number of the socket's group on the host, and its
    members may use the socket. The machine's own C(docker.socket) is masked, as it would be in the
    way.
  - Whoever may use the socket is root of the host. With it, a container can be started that has all
    of the host's files.
  - The machine is shown the socket by M(nspawn.machined.machines), from the same entry. A machine
    that still has the socket of before, because the host's was made anew, is restarted.
  - All of it is done by the machine's own programs while it runs, and is taken back from a machine
    that O(machines) does not name any more.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
attributes:
  check_mode:
    support: full
    details:
      - Of a machine that does not run, it tells what would be done if nothing of it were there.
  diff_mode:
    support: full
  idempotent:
    support: full
  trust:
    details:
      - Needs root of the host. Trusts the members of the group that may use the socket with root of
        the host.
options:
  machines:
    description:
      - The machines that have the socket.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The name of the machine.
        type: str
        required: true
      accept_root_on_host:
        description:
          - That all members of the group in that machine may be root of the host. It is refused
            without.
        type: bool
        default: false
      path:
        description:
          - The socket on the host. For Podman, V(/run/podman/podman.sock).
        type: str
        default: /run/docker.sock
      dest:
        description:
          - Where it is in the machine. When left out, the same as O(machines[].path).
        type: str
      group:
        description:
          - The group in the machine. It is made with the number that the socket's group has on the
            host.
        type: str
        default: dockerx
      members:
        description:
          - Users of the machine who are in the group. Others are left in it.
        type: list
        elements: str
        default: []
      mask:
        description:
          - The units of the machine that are stopped and masked. When left out, C(docker.socket),
            or C(podman.socket) when O(machines[].path) is Podman's.
        type: list
        elements: str
      shared_gid:
        description:
          - Take the number also when a group of the machine has it already. Then all that has that
            group may use the socket as well.
        type: bool
        default: false
  exclusive:
    description:
      - Take everything back from machines that O(machines) does not name.
    type: bool
    default: true
  state:
    description:
      - V(absent) takes everything back from the machines that O(machines) names.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: nspawn.machined.machines
"""

EXAMPLES = r"""
- name: A machine that is shown the socket
  nspawn.machined.machines:
    machines:
      - name: ci
        image: trixie
        docker_socket:
          accept_root_on_host: true
          members: [runner]

- name: Let its user runner use the socket
  nspawn.machined.docker_socket:
    machines:
      - name: ci
        accept_root_on_host: true
        members: [runner]

- name: Take it back
  nspawn.machined.docker_socket:
    machines:
      - name: ci
    state: absent
    exclusive: false
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done.
  type: list
  elements: str
  returned: always
  sample: ["group ci:dockerx", "members ci:dockerx", "mask ci"]
waiting:
  description: The machines that do not run, in which nothing was done.
  type: list
  elements: str
  returned: success
  sample: []
"""

import typing as t

from ..module_utils._shares import face

ENTRY: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "name": {"type": "str", "required": True, "no_log": False},
    "accept_root_on_host": {"type": "bool", "default": False},
    "path": {"type": "str", "default": "/run/docker.sock", "no_log": False},
    "dest": {"type": "str", "no_log": False},
    "group": {"type": "str", "default": "dockerx", "no_log": False},
    "members": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "mask": {"type": "list", "elements": "str", "no_log": False},
    "shared_gid": {"type": "bool", "default": False},
}

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "machines": {"type": "list", "elements": "dict", "default": [], "options": ENTRY},
    "exclusive": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> t.NoReturn:
    face.let_in(face.Module(argument_spec=ARGUMENTS, supports_check_mode=True))


if __name__ == "__main__":
    main()
