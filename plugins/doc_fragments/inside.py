# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of all connections into machines, worded once."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of C(nspawn), C(nspawn_ssh) and C(nspawn_image)."""

    DOCUMENTATION = r"""
options:
  remote_user:
    description:
      - The user in the machine. C(root) if there is none.
      - Commands are run by C(/bin/sh), in the user's home, whatever the user's own shell is.
    type: str
    ini:
      - section: defaults
        key: remote_user
    env:
      - name: ANSIBLE_REMOTE_USER
    vars:
      - name: ansible_user
    cli:
      - name: user
    keyword:
      - name: remote_user
  host_become:
    description:
      - Whether the user on the host has to become root there to get into machines.
    type: bool
    default: false
    vars:
      - name: ansible_nspawn_host_become
  host_become_method:
    description:
      - How the user on the host becomes root, a become plugin's name.
    type: str
    default: sudo
    vars:
      - name: ansible_nspawn_host_become_method
  host_become_pass:
    description:
      - The password for that. It goes through the connection, and never onto a command line.
    type: str
    vars:
      - name: ansible_nspawn_host_become_pass
      - name: ansible_nspawn_host_become_password
  host_become_exe:
    description:
      - The program for that, unless it is the plugin's own.
    type: str
    vars:
      - name: ansible_nspawn_host_become_exe
  host_become_flags:
    description:
      - Options of that program, unless they are the plugin's own.
    type: str
    vars:
      - name: ansible_nspawn_host_become_flags
  pipelining:
    description:
      - Give modules to Python through a pipe, and not as a file. There is no reason not to.
    type: bool
    default: true
    vars:
      - name: ansible_pipelining
      - name: ansible_nspawn_pipelining
  use_tty:
    description:
      - Give commands a terminal that read nothing and may have one, as C(ssh -t) does. Its output
        is one stream then.
      - Become plugins that cannot do without one get it in any case.
    type: bool
    default: false
    vars:
      - name: ansible_nspawn_use_tty
  timeout:
    description:
      - The seconds within which a machine has to let us in, and a helper has to answer.
    type: int
    default: 10
    ini:
      - section: defaults
        key: timeout
    env:
      - name: ANSIBLE_TIMEOUT
    vars:
      - name: ansible_nspawn_timeout
    cli:
      - name: timeout
"""
