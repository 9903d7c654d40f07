# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
name: machined
short_description: The machines of many hosts
version_added: 0.1.0
author:
  - nspawn.machined contributors (@nspawn-machined)
description:
  - Lists the systemd-nspawn machines that run on hosts of the inventory, and on wish those that do
    not run, and images. Each is a host like any other then, which is reached over its own host.
  - Every host is asked at the same time, with one command through the connection that it has in the
    inventory anyway. Nothing is changed there.
  - The names of files that are taken end in C(machined.yml) or C(machined.yaml).
options:
  plugin:
    description:
      - The name of this plugin.
    type: str
    required: true
    choices: [nspawn.machined.machined]
  hosts:
    description:
      - Whose machines are listed. Patterns of hosts and groups of the inventory sources that are
        named before this one, or V(localhost). In a folder the sources come in the order of their
        names.
      - Machines that another source has listed are not asked for machines of their own.
    type: list
    elements: str
    default: [localhost]
  stopped:
    description:
      - List machines that do not run as well. Those are images that start with the host, have a
        settings file, have failed, or were declared with M(nspawn.machined.machines).
      - They are reached by P(nspawn.machined.nspawn_image#connection).
    type: bool
    default: false
  images:
    description:
      - List the other images as well, those that machines are cloned from. They are in the group
        C(images) and not in C(machines), and are reached by
        P(nspawn.machined.nspawn_image#connection).
    type: bool
    default: false
  filters:
    description:
      - Which machines are listed.
    type: dict
    default: {}
    suboptions:
      include:
        description:
          - Patterns of names on their hosts, such as V(web*). All of them, when left out.
        type: list
        elements: str
      exclude:
        description:
          - Patterns of names of those that are not listed in any case.
        type: list
        elements: str
      states:
        description:
          - Some of V(running), V(paused), V(starting), V(stopping), V(stopped), V(failed) and
            V(image).
        type: list
        elements: str
  vars:
    description:
      - Whether each machine has the variables that C(vars) of its declaration says. The host
        remembers them for root alone.
    type: bool
    default: true
  connection_vars:
    description:
      - Which variables that begin with C(ansible_) such a declaration can set, as patterns. What is
        not said here is left out with a warning.
      - Whoever is root on a host can change what it remembers. With variables such as
        C(ansible_connection) or C(ansible_ssh_common_args) that would run commands on the
        controller.
    type: list
    elements: str
    default:
      - ansible_user
      - ansible_become
      - ansible_become_*
      - ansible_python_interpreter
      - ansible_shell_type
      - ansible_shell_executable
      - ansible_remote_tmp
  hostname:
    description:
      - A template for the name in the inventory, of the variables that the machine has there.
      - When left out, or where it cannot be evaluated, it is the name of the machine. Where several
        would get the same name, or it is one of another host or group, it is C(NAME.HOST).
      - A host that another source has put into the group C(machines) is the machine of that name.
    type: str
  unreachable:
    description:
      - What becomes of a host that does not answer. With O(cache) its machines are those that it
        had when it last did, however long ago; otherwise it has none.
      - V(fail) makes the whole source fail. Ansible goes on without it, unless
        C(any_unparsed_is_failed) says otherwise.
    type: str
    choices: [warn, fail, skip]
    default: warn
  timeout:
    description:
      - The seconds within which a host has to answer.
    type: float
    default: 20
  forks:
    description:
      - How many hosts are asked at the same time.
    type: int
    default: 20
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
notes:
  - Hosts need systemd 252 or later, systemd-container and Python 3.9 or later.
  - A host is asked as the user that its variables say, who becomes root if C(ansible_become) is one
    of them. Who is not root learns neither what systems the machines are, nor owners and variables
    of declarations.
  - Variables of hosts count that are in the inventory, in C(group_vars) and C(host_vars) beside it,
    and on the command line; not those beside a playbook, and no passwords that Ansible asks for.
  - Machines have the variables C(nspawn_host), C(nspawn_name), C(nspawn_state) (as
    M(nspawn.machined.machine_info) says it, or V(image)), C(nspawn_addresses), C(nspawn_os),
    C(nspawn_os_version), C(nspawn_os_name), C(nspawn_zone), C(nspawn_class), C(nspawn_service),
    C(nspawn_unit), C(nspawn_started), C(nspawn_declared), C(nspawn_owner), C(nspawn_type),
    C(nspawn_read_only), C(nspawn_created), C(nspawn_modified), C(nspawn_image), which is the image
    that it was cloned from, and C(nspawn_image_changed), which is when that has last changed or was
    made. Times are in seconds since 1970.
  - What is not set is so because the host does not know it, or because the machine did not answer
    within 5 seconds.
  - The groups are C(machines), C(images), and C(host_NAME), C(os_ID) and C(zone_NAME).
  - What a machine or a host says is never evaluated as a template.
  - With O(cache) the answers of hosts are stored with the variables of declarations in them.
seealso:
  - plugin: nspawn.machined.nspawn_ssh
    plugin_type: connection
  - plugin: nspawn.machined.nspawn
    plugin_type: connection
  - plugin: nspawn.machined.nspawn_image
    plugin_type: connection
  - module: nspawn.machined.machine_info
"""

EXAMPLES = r"""
# my.machined.yml: the machines of this host
plugin: nspawn.machined.machined

---
# inventory/machines.machined.yml, beside inventory/hosts.yml, which has the group "servers". Then:
# ansible -i inventory machines -m ansible.builtin.ping
plugin: nspawn.machined.machined
hosts: servers

---
# Those that run Debian, wherever they are, under names that always tell where
plugin: nspawn.machined.machined
hosts: ["servers", "!old"]
stopped: true
filters:
  exclude: ["test-*"]
hostname: "{{ nspawn_name }}.{{ nspawn_host }}"
groups:
  outdated: nspawn_image_changed is defined and nspawn_image_changed > nspawn_created
keyed_groups:
  - key: nspawn_owner
    prefix: owner
compose:
  ansible_user: "'root'"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/machines
"""

from ..plugin_utils._inventory.listing import MachinesInventory


class InventoryModule(MachinesInventory):
    """Every machine of many hosts."""

    NAME = "nspawn.machined.machined"
