# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_exec
short_description: Run a command inside a machine or an image
version_added: 0.1.0
description:
  - Runs a command inside a machine that runs, or in an image that does not.
  - In a machine the command is a service of the machine's own systemd, confined as the machine
    is. Exit code, both streams and binary input are kept. It needs a D-Bus inside.
  - In an image the command is the only process beside its init, in users of its own, and uses the
    host's network.
  - No shell looks at the command, unless it is one. C(/bin/sh) has to be there to start it.
  - Its environment and what it reads are given to it where nobody else can see them. Its arguments
    are not secret, on the host and inside.
  - When it is ended at its deadline, or this module is ended meanwhile, nothing of it is left, no
    snapshot of an image either. What was killed with the module ends a little after the deadline,
    and its snapshot is removed by the next command in the same image.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
attributes:
  check_mode:
    support: partial
    details:
      - The command is not run. With O(creates) or O(removes) it is said whether it would be.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(creates) or O(removes).
  trust:
    details:
      - Needs root of the host. Trusts the machine with what the command is given, and
        believes how it says that the command ended.
options:
  machine:
    description:
      - The machine that runs.
    type: str
  image:
    description:
      - The image that does not run.
    type: str
  ephemeral:
    description:
      - Run the command in a snapshot of the O(image), which is thrown away afterwards.
    type: bool
    default: false
  argv:
    description:
      - The command and its arguments. While it runs, everybody on the host can see them. Give
        secrets as O(stdin) or in O(environment).
    type: list
    elements: str
  cmd:
    description:
      - The command and its arguments in one line, taken apart at spaces as a shell would do, but
        without variables, patterns or pipes.
    type: str
  stdin:
    description:
      - What the command reads.
    type: str
  stdin_add_newline:
    description:
      - Whether a newline is added to O(stdin).
    type: bool
    default: true
  user:
    description:
      - The user inside who runs the command.
    type: str
    default: root
  environment:
    description:
      - Variables of the command.
    type: dict
    default: {}
  chdir:
    description:
      - The directory inside in which the command runs.
    type: path
  creates:
    description:
      - When this path exists inside, the command is not run.
    type: str
  removes:
    description:
      - When this path does not exist inside, the command is not run.
    type: str
  timeout:
    description:
      - The seconds after which the command is killed.
    type: float
    default: 3600
  max_output:
    description:
      - How much is kept of each of the command's streams, such as C(64M). The result says when
        there was more.
    type: bytes
    default: 64M
seealso:
  - module: nspawn.machined.machine_copy
  - module: ansible.builtin.command
"""

EXAMPLES = r"""
- name: Ask a machine for its name
  nspawn.machined.machine_exec:
    machine: web
    argv: [hostnamectl, hostname]

- name: Make a database as its user
  nspawn.machined.machine_exec:
    machine: db
    cmd: createdb shop
    user: postgres
    creates: /var/lib/postgresql/shop-made

- name: Install a package in an image that is not running
  nspawn.machined.machine_exec:
    image: trixie
    argv: [apt-get, --yes, install, nginx]
    environment:
      DEBIAN_FRONTEND: noninteractive
    creates: /usr/sbin/nginx

- name: Try something out in a copy that is thrown away
  nspawn.machined.machine_exec:
    image: trixie
    ephemeral: true
    argv: [dpkg, --list]
"""

RETURN = r"""
cmd:
  description:
    - The command, with eight asterisks in the place of each argument.
  type: list
  elements: str
  returned: always
rc:
  description:
    - The exit code of the command, 128 and the signal's number when it was killed.
  type: int
  returned: when it was run
stdout:
  description:
    - What the command wrote to its standard output, as it is; what is not UTF-8 is replaced.
      Whatever else a module returns has control characters escaped; whoever shows this sees to
      that alone.
  type: str
  returned: when it was run
stdout_lines:
  description:
    - The same, line by line.
  type: list
  elements: str
  returned: when it was run
stderr:
  description:
    - What the command wrote to its standard error, as it is; what is not UTF-8 is replaced.
  type: str
  returned: when it was run
stderr_lines:
  description:
    - The same, line by line.
  type: list
  elements: str
  returned: when it was run
stdout_base64:
  description:
    - The bytes that it wrote to its standard output.
  type: str
  returned: when they are not UTF-8
stderr_base64:
  description:
    - The bytes that it wrote to its standard error.
  type: str
  returned: when they are not UTF-8
truncated:
  description:
    - Whether it wrote more than O(max_output), so that the end of a stream is missing here.
  type: bool
  returned: when it was run
stdout_lost:
  description:
    - How many bytes of its standard output are missing.
  type: int
  returned: when there are any
stderr_lost:
  description:
    - How many bytes of its standard error are missing.
  type: int
  returned: when there are any
skipped:
  description:
    - Whether the command was left out, by O(creates), O(removes) or check mode.
  type: bool
  returned: when it was
"""

import typing as t

from ..module_utils._inside import face

ARGUMENTS: t.Mapping[str, t.Any] = {
    "machine": {"type": "str", "no_log": False},
    "image": {"type": "str", "no_log": False},
    "ephemeral": {"type": "bool", "default": False},
    "argv": {"type": "list", "elements": "str"},
    "cmd": {"type": "str"},
    "stdin": {"type": "str", "no_log": True},
    "stdin_add_newline": {"type": "bool", "default": True},
    "user": {"type": "str", "default": "root", "no_log": False},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "chdir": {"type": "path", "no_log": False},
    "creates": {"type": "str", "no_log": False},
    "removes": {"type": "str", "no_log": False},
    "timeout": {"type": "float", "default": 3600},
    "max_output": {"type": "bytes", "default": "64M", "no_log": False},
}


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("machine", "image"), ("argv", "cmd")],
        required_one_of=[("machine", "image"), ("argv", "cmd")],
        required_by={},
        supports_check_mode=True,
    )
    face.execute(module)


if __name__ == "__main__":
    main()
