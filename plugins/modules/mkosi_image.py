# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mkosi_image
short_description: Build operating system images with mkosi
version_added: 0.1.0
description:
  - Writes the configuration of an image for C(mkosi), builds the image when something of it has
    changed, and gives it to systemd-machined if wanted.
  - What is built is known by a digest of all that goes into it - what mkosi itself says that it
    understood, the scripts, the trees, the version of mkosi. A run that would build the same again
    does nothing.
  - A build happens out of sight and takes its place at once. Whatever was there before stays whole
    until then, and also when the build fails or is killed.
  - While it takes longer than a few seconds, the controller shows what mkosi is doing and for how
    long; every 30 seconds a line when its output is no terminal.
  - Settings may be spelt as any version of mkosi spelt them since version 5. They are put into
    the words of the version that is installed, with a warning for each that has another name now
    whenever they are written; RV(builds[].translated) tells of them each time.
    A setting or section that this version would not understand is an error, because mkosi ignores
    unknown sections without a word.
  - Works with mkosi 14 and with mkosi 19 and later. It is tested with 14, 25 and 27.
  - mkosi runs scripts that lie in the directory of the configuration, some of them when it is only
    asked, and so in check mode as well. They run as O(user), or as root where nobody but root can
    change them.
  - mkosi 14 gives what C(Environment=) says to the programs that it runs on their command lines,
    where everybody on the host can read it while it builds. Newer ones do not.
  - mkosi 14 builds nothing incrementally here, because it does not see when the packages that it
    kept no longer are those that are wanted. Downloaded packages are kept.
author:
  - nspawn.machined contributors (@nspawn-machined)
extends_documentation_fragment:
  - nspawn.machined.attributes
  - nspawn.machined.attributes.action_plugin
attributes:
  async:
    support: full
    details:
      - How far it has come is not shown then.
  check_mode:
    support: full
    details:
      - Asks mkosi what it would make of the new configuration, in a directory out of the way.
  diff_mode:
    support: full
    details:
      - Of scripts and files in trees only that they change, and with which mode; of the
        configuration no passwords, and no values of C(Environment=), C(Credentials=) and
        C(KernelCommandLine=).
  idempotent:
    support: full
    details:
      - With O(force=true) the image is always built again.
  trust:
    details:
      - Needs root of the host. Trusts the directory of the configuration as far as O(user)
        can be trusted, or as root without it.
options:
  directory: &directory
    description:
      - The directory of the configuration, as C(mkosi --directory). It is made when it is missing,
        for who builds alone (mode 0700).
      - Without O(user), root alone must be able to change it, what stands in it for mkosi, and the
        way there. A directory that belongs to somebody else, or that others can write to, is
        refused, because what they put there would run as root.
      - Links within it are followed when they are read, and refused where something is to be
        written or removed.
      - Use one directory for each image. Either this or O(builds) is needed.
    type: path
  config: &config
    description:
      - The configuration, section by section as C(mkosi(1)) spells it. A value is a string, a
        number, a boolean, a list or, for settings such as C(Environment=), a dictionary.
      - Each is of one line. What would be another line to mkosi or to anybody else is refused
        before anything is changed.
      - It may as well be the text of a whole C(mkosi.conf) or C(mkosi.default).
      - It becomes C(mkosi.conf) in O(directory), which is then exactly that, and which only who
        builds can read.
      - Without it, a C(mkosi.conf) that is in the directory already is used as it is; a lone
        C(mkosi.default) is translated into a C(mkosi.conf).
      - A root password in it is taken out and written to C(mkosi.rootpw), which only the builder
        can read. Better give it as O(root_password), which is kept out of logs as well.
    type: raw
  scripts: &scripts
    description:
      - Scripts that mkosi runs during the build, by name - V(configure), V(sync), V(prepare),
        V(build), V(postinst), V(finalize), V(postoutput), V(clean).
      - Each is the text of the script, or a dictionary with C(content) or C(src), and C(chroot).
        C(src) is the absolute path of a file on the host of at most 8 MiB. It is read by who
        builds - with O(user), a file that the user may not read has to be given as C(content).
      - With C(chroot=true), or a name such as V(postinst.chroot), a script runs inside the image.
        If nothing is said, C(prepare), C(build) and C(postinst) run inside, as they always did in
        mkosi 14 and older, unless the script uses C(BUILDROOT) or C(mkosi-chroot).
    type: dict
    default: {}
  root_password: &root_password
    description:
      - The password of root in the image, or its hash after C(hashed:).
      - Without one, root cannot log in with a password.
    type: str
  users: &users
    description:
      - Users that the image has from its first boot.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The name of the user.
        type: str
        required: true
      uid:
        description:
          - The ID of the user. The first user without one gets 1000, and so on.
        type: int
      group:
        description:
          - The primary group. It is made when the image does not have it.
          - Without it, a group of the user's name.
        type: str
      gid:
        description:
          - The ID of the primary group if it is made. Without it, that of the user.
        type: int
      groups:
        description:
          - More groups, which the image must have.
        type: list
        elements: str
      comment:
        description:
          - The full name of the user.
        type: str
      home:
        description:
          - The home directory. Without it, one below C(/home).
        type: str
      shell:
        description:
          - The login shell, which the image must have.
        type: str
        default: /bin/sh
      password:
        description:
          - The hash of the password, as P(ansible.builtin.password_hash#filter) gives it.
          - Without it, the user cannot log in with a password.
        type: str
  sandbox_files: &sandbox_files
    description:
      - Files that the package manager sees while it installs, by their paths, each a text or a
        dictionary with C(content) or C(src), as in O(scripts), and C(mode).
      - On Debian, a file V(etc/apt/sources.list.d/mkosi.sources) takes the place of the sources
        that mkosi makes up. These include C(debian-debug) and security suites, which a partial
        mirror does not have.
      - Needs mkosi 25 or later.
    type: dict
    default: {}
  skeleton_files: &skeleton_files
    description:
      - Files that are in the image before its packages, by their paths as in O(sandbox_files).
    type: dict
    default: {}
  extra_files: &extra_files
    description:
      - Files that are put into the image after its packages, by their paths as in
        O(sandbox_files).
      - Each has the same mode on the host, below O(directory), and in the image.
    type: dict
    default: {}
  repart: &repart
    description:
      - Partitions of a disk image, as definitions for C(systemd-repart(8)) - file names that end
        in C(.conf), each with its sections and settings.
      - Needs a newer mkosi than 14.
    type: dict
    default: {}
  state: &state
    description:
      - V(built) builds if needed.
      - V(clean) removes what mkosi made, as O(clean) says, and leaves the configuration.
      - V(absent) removes what this module wrote and built, and the image of O(import_as) if it
        came from here. Nothing else in the directory is touched.
    type: str
    choices: [built, clean, absent]
    default: built
  clean: &clean
    description:
      - How much O(state=clean) removes.
      - V(outputs) is what C(mkosi clean) removes, V(incremental) also the incremental caches and
        the build directory (C(mkosi -f clean)), V(all) also the downloaded packages
        (C(mkosi -f -f clean)).
    type: str
    choices: [outputs, incremental, all]
    default: outputs
  force: &force
    description:
      - Build even though nothing has changed.
    type: bool
    default: false
  import_as: &import_as
    description:
      - The name that the image shall have in systemd-machined.
      - Unless the configuration says otherwise, the format is then C(directory), which needs no
        unpacking (C(tar) with O(user)), and the output is not kept beside the image. It is kept
        if the configuration has C(OutputDirectory=).
    type: str
  update: &update
    description:
      - Whether an image that was built from something else is replaced.
      - With V(false) it is left alone, and RV(builds[].drift) tells of it.
      - An image that a machine runs from is not replaced.
    type: bool
    default: true
  read_only: &read_only
    description:
      - Whether the image of O(import_as) is read-only. Without it, only what the configuration
        says in the words of mkosi 14 (C(ReadOnly=)).
    type: bool
  qcow2: &qcow2
    description:
      - Convert a disk to QCOW2 with C(qemu-img), which must be installed. It takes the place of
        the raw disk, or lies beside it when that is imported and C(OutputDirectory=) is set.
    type: bool
    default: false
  user: &user
    description:
      - The user who runs mkosi, root if not given. The user needs entries in C(/etc/subuid) and
        C(/etc/subgid).
      - Whatever is done in O(directory) is then done as this user and never as root - reading,
        writing, running and removing. O(directory) and C(OutputDirectory=) belong to the user; they
        are made so when they are missing.
      - For O(import_as) root takes a file over that the user has built, after it is open and only
        if it is one. C(Format=directory) cannot be taken over.
      - With O(state=absent) it need not be given. It is done as whoever O(directory) belongs to.
      - mkosi 14 can only build as root.
    type: str
  timeout: &timeout
    description:
      - Seconds after which a build is ended.
    type: float
    default: 3600
  builds:
    description:
      - Several images in one call, each with the arguments above.
    type: list
    elements: dict
    suboptions:
      directory:
        <<: *directory
        required: true
      config: *config
      scripts: *scripts
      root_password: *root_password
      users: *users
      sandbox_files: *sandbox_files
      skeleton_files: *skeleton_files
      extra_files: *extra_files
      repart: *repart
      state: *state
      clean: *clean
      force: *force
      import_as: *import_as
      update: *update
      read_only: *read_only
      qcow2: *qcow2
      user: *user
      timeout: *timeout
notes:
  - A machine needs C(systemd) and C(dbus), and C(systemd-resolved) and C(libnss-systemd) (as Debian
    calls them) for names and for users of the host. mkosi leaves C(/etc/machine-id) so that each
    machine gets an ID of its own at its first boot.
  - Build sources (C(BuildSources=)) do not count for the digest. Use O(force) when they change.
seealso:
  - module: nspawn.machined.image
  - name: mkosi
    description: The manual of mkosi.
    link: https://mkosi.systemd.io/
"""

EXAMPLES = r"""
- name: Build a minimal Debian that machines can be cloned from
  nspawn.machined.mkosi_image:
    directory: /var/lib/mkosi/trixie
    import_as: trixie
    config:
      Distribution:
        Distribution: debian
        Release: trixie
      Content:
        Packages: [systemd, systemd-sysv, dbus, libnss-systemd, systemd-resolved, iproute2]

- name: The same with a user, a file and a script
  nspawn.machined.mkosi_image:
    directory: /var/lib/mkosi/web
    import_as: web
    config:
      Distribution: {Distribution: debian, Release: trixie}
      Content:
        Packages: [systemd, systemd-sysv, dbus, systemd-resolved, nginx-light]
    users:
      - name: alan
        shell: /bin/bash
        password: "{{ alans_password | password_hash('sha512', salt) }}"
    extra_files:
      etc/motd: Made by mkosi.
    scripts:
      postinst: |
        #!/bin/sh
        systemctl enable nginx.service

- name: Build from an old configuration file, as it stands
  nspawn.machined.mkosi_image:
    directory: /var/lib/mkosi/leap
    config: "{{ lookup('ansible.builtin.file', 'mkosi.default') }}"

- name: Throw away the output and the incremental cache
  nspawn.machined.mkosi_image:
    directory: /var/lib/mkosi/leap
    state: clean
    clean: incremental
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done, in this order.
  type: list
  elements: str
  returned: always
  sample:
    - write /var/lib/mkosi/trixie/mkosi.conf
    - build /var/lib/mkosi/trixie
    - import image trixie
builds:
  description: Each build, in the order in which they were given.
  type: list
  elements: dict
  returned: when O(state) is V(built)
  contains:
    directory:
      description: The directory of the configuration.
      type: str
      sample: /var/lib/mkosi/trixie
    mkosi:
      description: The version of mkosi.
      type: str
      sample: "25.3"
    format:
      description: The format as this mkosi calls it.
      type: str
      sample: directory
    digest:
      description: What the image is, or in check mode would be, made from.
      type: str
      sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    outputs:
      description: The files and directories that are kept beside an image.
      type: list
      elements: str
      sample: []
    translated:
      description: What of the configuration has another name in this mkosi, and what became of it.
      type: list
      elements: str
      sample:
        - "[Packages] Packages= is [Content] Packages= in mkosi 25; written as that"
    image:
      description: The image in systemd-machined, if there shall be one.
      type: str
      sample: trixie
    drift:
      description: Whether the image was left alone though it was built from something else.
      type: bool
      sample: false
"""

import typing as t

from ..module_utils._mkosi import face

USER: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True, "no_log": False},
    "uid": {"type": "int"},
    "group": {"type": "str", "no_log": False},
    "gid": {"type": "int"},
    "groups": {"type": "list", "elements": "str", "no_log": False},
    "comment": {"type": "str", "no_log": False},
    "home": {"type": "str", "no_log": False},
    "shell": {"type": "str", "default": "/bin/sh", "no_log": False},
    "password": {"type": "str", "no_log": True},
}

BUILD: dict[str, dict[str, t.Any]] = {
    "directory": {"type": "path", "no_log": False},
    "config": {"type": "raw"},
    "scripts": {"type": "dict", "default": {}, "no_log": True},
    "root_password": {"type": "str", "no_log": True},
    "users": {"type": "list", "elements": "dict", "default": [], "options": USER},
    "sandbox_files": {"type": "dict", "default": {}, "no_log": True},
    "skeleton_files": {"type": "dict", "default": {}, "no_log": True},
    "extra_files": {"type": "dict", "default": {}, "no_log": True},
    "repart": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["built", "clean", "absent"], "default": "built"},
    "clean": {"type": "str", "choices": face.CLEAN_LEVELS, "default": "outputs"},
    "force": {"type": "bool", "default": False},
    "import_as": {"type": "str", "no_log": False},
    "update": {"type": "bool", "default": True},
    "read_only": {"type": "bool"},
    "qcow2": {"type": "bool", "default": False},
    "user": {"type": "str", "no_log": False},
    "timeout": {"type": "float", "default": face.DEFAULT_TIMEOUT},
}


def main() -> t.NoReturn:
    builds = {**BUILD, "directory": {"type": "path", "required": True, "no_log": False}}
    module = face.Module(
        argument_spec={
            **BUILD,
            "builds": {"type": "list", "elements": "dict", "options": builds},
        },
        mutually_exclusive=[["directory", "builds"]],
        required_one_of=[["directory", "builds"]],
        supports_check_mode=True,
    )
    face.converge(module)


if __name__ == "__main__":
    main()
