# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What mkosi's settings became: other names, what to do without them, what went without saying.

Private to the collection. Only facts, beside the table of C(_mkosi.table); the work with them
stands in C(_mkosi.translate).
"""

from __future__ import annotations

# --- what a setting became ------------------------------------------------------------------

# Each tuple is one setting under all its names. The name that the installed mkosi knows is taken.
_NAMES = (
    ("Cache", "PackageCacheDirectory"),
    ("CheckSum", "Checksum"),
    ("MachineID", "MachineId"),
    ("SignExpectedPCR", "SignExpectedPcr"),
    ("Settings", "NSpawnSettings"),
    ("WithUnifiedKernelImages", "UnifiedKernelImages"),
    ("ExtraTree", "ExtraTrees"),
    ("SkeletonTree", "SkeletonTrees"),
    ("BuildScript", "BuildScripts"),
    ("PrepareScript", "PrepareScripts"),
    ("PostinstallScript", "PostInstallationScript", "PostInstallationScripts"),
    ("FinalizeScript", "FinalizeScripts"),
    ("PackageManagerTrees", "SandboxTrees"),
    ("ToolsTreePackageManagerTrees", "ToolsTreeSandboxTrees"),
    ("Profile", "Profiles"),
    ("Devicetree", "Devicetrees"),
    ("KernelModulesInclude", "KernelModules"),
    ("QemuSmp", "CPUs"),
    ("QemuMem", "RAM"),
    ("QemuKvm", "KVM"),
    ("QemuCdrom", "CDROM"),
    ("QemuDrives", "Drives"),
    ("QemuFirmware", "Firmware"),
    ("QemuFirmwareVariables", "FirmwareVariables"),
    ("QemuKernel", "Linux"),
    ("QemuSwtpm", "TPM"),
    ("QemuVsock", "VSock"),
    ("QemuVsockConnectionId", "VSockCID"),
)
OTHER_NAMES = {name: group for group in _NAMES for name in group}

# Without effect on the image, or taken care of by the module: left out with a warning.
DROPPED = {
    "Force": "the module decides when to build again",
    "NoChown": "mkosi no longer changes the owner of its output",
    "Minimize": "images are as small as they can be unless a repart definition says otherwise",
    "BootProtocols": "a bootable image has an EFI boot loader; BiosBootloader= adds another",
    "CacheInitrd": "the initial RAM disk is kept with the incremental cache",
    "HostonlyInitrd": "mkosi makes the initial RAM disk itself",
    "TarStripSELinuxContext": "archives carry no SELinux labels",
    "SourceResolveSymlinks": "build sources are mounted, not copied",
    "SourceResolveSymlinksFinal": "build sources are mounted, not copied",
    "CacheDirectory": "nothing is built incrementally with it",
    "NspawnKeepUnit": "it only concerned mkosi boot",
    "QemuHeadless": "it only concerned mkosi qemu",
    "QemuBoot": "it only concerned mkosi qemu",
    "Netdev": "it only concerned mkosi boot",
    "SshAgent": "it only concerned mkosi ssh",
    "SshPort": "it only concerned mkosi ssh",
    "SshTimeout": "it only concerned mkosi ssh",
}

# Gone, and the image would be another one without it: what to do instead.
INSTEAD = {
    "BMap": "make the block map from the image with bmaptool",
    "CompressFs": "set Compression= in a repart definition",
    "Encrypt": "set Encrypt= in a repart definition",
    "UsrOnly": "write repart definitions with a usr partition",
    "GPTFirstLBA": "leave it out",
    "SwapSize": "write a repart definition for the swap partition",
    "ESPSize": "write a repart definition for the ESP",
    "XbootldrSize": "write a repart definition for the XBOOTLDR partition",
    "BiosSize": "set BiosBootloader=grub",
    "HomeSize": "write a repart definition for the home partition",
    "SrvSize": "write a repart definition for the srv partition",
    "VarSize": "write a repart definition for the var partition",
    "TmpSize": "write a repart definition for the tmp partition",
    "BaseImage": "use BaseTrees=",
    "UseHostRepositories": "give the host's repository files as sandbox_files",
    "RepositoryDirectory": "give the repository files as sandbox_files",
    "SourceFileTransfer": "copy the sources in a build script",
    "SourceFileTransferFinal": "copy the sources in a finalize script",
    "SkipFinalPhase": "leave it out",
    "SandboxTrees": "name the mirror with Mirror=",
    "PackageManagerTrees": "name the mirror with Mirror=",
    "RepartDirectories": "choose the file system with Format=gpt_ext4, gpt_xfs or gpt_btrfs",
}

# The formats of mkosi 14 and older, and the file system of the root partition of each.
OLD_DISKS = {
    "raw_gpt": "ext4",
    "raw_ext4": "ext4",
    "raw_xfs": "xfs",
    "raw_btrfs": "btrfs",
    "raw_squashfs": "squashfs",
    "gpt_ext4": "ext4",
    "gpt_xfs": "xfs",
    "gpt_btrfs": "btrfs",
    "gpt_squashfs": "squashfs",
}
OLD_FORMATS = frozenset({*OLD_DISKS, "subvolume", "plain_squashfs"})
COMMON_FORMATS = frozenset({"directory", "tar", "cpio"})
NEW_FORMATS = frozenset(
    "confext disk esp none portable sysext uki oci addon".split()
)  # beside the common ones

PACKAGE_LISTS = frozenset(
    (
        "Packages BuildPackages RemovePackages VolatilePackages InitrdPackages ToolsTreePackages"
    ).split()
)
# Lists that mkosi 5 split at whitespace, later ones only at commas.
OLD_WORD_LISTS = frozenset("ExtraTrees SkeletonTrees Repositories ExtraSearchPaths".split())

# What mkosi 14 and older installed without being asked; newer ones install what they are told to.
_DEBIAN_BASE = tuple(
    "systemd systemd-sysv systemd-resolved dbus libpam-systemd apt passwd login".split()
)
BASE_PACKAGES = {
    "debian": _DEBIAN_BASE,
    "ubuntu": _DEBIAN_BASE,
    "fedora": ("systemd", "util-linux", "dnf"),
    "centos": ("systemd", "util-linux", "dnf"),
    "alma": ("systemd", "util-linux", "dnf"),
    "rocky": ("systemd", "util-linux", "dnf"),
    "opensuse": ("systemd", "glibc-locale-base", "zypper", "patterns-base-minimal_base"),
    "arch": ("base",),
}
# systemd-resolved was a part of systemd itself.
RESOLVED_INSIDE = frozenset("stretch buster bullseye focal jammy".split())
BOOT_PACKAGES = {
    "debian": ("linux-image-{debian}", "systemd-boot", "systemd-boot-efi", "udev"),
    "ubuntu": ("linux-generic", "systemd-boot", "udev"),
    "fedora": ("kernel-core", "systemd-boot", "systemd-udev"),
    "centos": ("kernel-core", "systemd-boot", "systemd-udev"),
    "alma": ("kernel-core", "systemd-boot", "systemd-udev"),
    "rocky": ("kernel-core", "systemd-boot", "systemd-udev"),
    "opensuse": ("kernel-default", "systemd-boot", "udev"),
    "arch": ("linux",),
}
DEBIAN_ARCHITECTURES = {"x86-64": "amd64", "x86_64": "amd64", "arm64": "arm64", "aarch64": "arm64"}

# The order in which a configuration is written.
SECTION_ORDER = (
    "Match",
    "TriggerMatch",
    "Include",
    "Config",
    "Preset",
    "Distribution",
    "Output",
    "Content",
    "Partitions",
    "Validation",
    "Build",
    "Runtime",
    "Host",
)
