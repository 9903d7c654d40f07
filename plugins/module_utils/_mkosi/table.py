# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Which setting mkosi has, in which section, from which version to which.

Private to the collection. Only facts; what to do with them stands in C(_mkosi.translate).
"""

from __future__ import annotations

import typing as t

from .._core.lines import lines_of

OLDEST = 14
"""The oldest mkosi that the collection can drive: Debian 12's."""

FIRST_MODERN = 19
"""The next that it can drive: from here on the scripts and the summary are as they are today."""

LEAVES_PACKAGES = 26
"""From here on mkosi does not remove the packages that it has downloaded."""

NEWEST = 27
"""The newest mkosi that the table was read from. A newer one may know more than the table."""

Range = tuple[str, int, t.Optional[int]]
"""A section, the first version that reads the setting there, and the last (none: it still does)."""

# mkosi 14 does not look at the section at all; its names are those of its manual page.
_TABLE = """
Acl Host 15-24
Architecture Distribution 14-
Autologin Content 14-
BaseImage Partitions 14-14
BasePackages Content 14-14
BaseTrees Content 15-
BindUser Runtime 26-
BiosBootloader Content 16-
BiosSize Partitions 14-14
BMap Validation 14-14
Bootable Output 14-14, Content 15-
Bootloader Content 16-
BootProtocols Output 14-14
BuildDirectory Content 14-14, Output 15-24, Build 25-
BuildKey Build 26-
BuildPackages Content 14-
BuildScript Content 14-17
BuildScripts Content 18-
BuildSources Content 14-24, Build 25-
BuildSourcesEphemeral Content 19-24, Build 25-
Cache Content 14-14
CacheDirectory Output 15-24, Build 25-
CacheInitrd Output 14-14
CacheKey Build 26-
CacheOnly Distribution 15-24, Build 25-
CDROM Runtime 25-25
Checksum Validation 15-
CheckSum Validation 14-14
CleanPackageMetadata Content 14-
CleanScripts Output 23-
Compress Output 14-14
CompressFs Output 14-14
CompressLevel Output 21-
CompressOutput Output 14-
ConfigureScripts Config 23-
Console Runtime 25-
CPUs Runtime 25-
Credentials Host 15-24, Runtime 25-
CXL Runtime 26-
Dependencies Preset 15-18, Config 19-
Devicetree Content 25-25
Devicetrees Content 26-
DiskType Runtime 27-
Distribution Distribution 14-
Drives Runtime 25-
ElTorito Output 27-
ElToritoPublisher Output 27-
ElToritoSystem Output 27-
ElToritoVolume Output 27-
Encrypt Output 14-14
Environment Content 14-24, Build 25-
EnvironmentFiles Content 20-24, Build 25-
Ephemeral Host 14-24, Runtime 25-
ESPSize Partitions 14-14
ExtraSearchPaths Host 14-24, Build 25-
ExtraTrees Content 14-
FinalizeScript Content 14-17
FinalizeScripts Content 18-
Firmware Runtime 25-
FirmwareExclude Content 26-
FirmwareFiles Content 26-
FirmwareInclude Content 26-
FirmwareVariables Runtime 25-
Force Output 14-14
ForeignUIDRange Build 27-
Format Output 14-
ForwardJournal Host 23-24, Runtime 25-
GPTFirstLBA Output 14-14
History Build 25-
HomeSize Partitions 14-14
Hostname Output 14-14, Content 15-
HostonlyInitrd Output 14-14
ImageId Output 14-
Images Config 19-23
ImageVersion Output 14-
Include Config 18-24, Include 25-
IncludeDirectory Content 14-14
Incremental Output 14-14, Host 15-24, Build 25-
InitrdInclude Config 20-24
InitrdPackages Content 18-
InitrdProfiles Content 26-
Initrds Content 15-
InitrdVolatilePackages Content 23-
InstallDirectory Content 14-14
KernelCommandLine Output 14-14, Content 15-
KernelCommandLineExtra Host 15-24, Runtime 25-
KernelInitrdModules Content 26-
KernelModules Content 26-
KernelModulesExclude Content 15-
KernelModulesInclude Content 15-
KernelModulesIncludeHost Content 20-
KernelModulesInitrd Content 15-
KernelModulesInitrdExclude Content 15-
KernelModulesInitrdInclude Content 15-
KernelModulesInitrdIncludeHost Content 20-
Key Validation 14-
Keymap Content 15-
KVM Runtime 25-
Linux Runtime 25-
Locale Content 15-
LocaleMessages Content 15-
LocalMirror Distribution 14-
Machine Host 23-24, Runtime 25-
MachineId Content 25-
MachineID Output 14-14
MakeInitrd Content 15-
MakeScriptsExecutable Build 27-
ManifestFormat Output 14-
MaxMem Runtime 26-
MicrocodeHost Content 21-
Minimize Output 14-14
MinimumVersion Config 20-
Mirror Distribution 14-
Mksquashfs Output 14-14
Netdev Host 14-14
NoChown Output 14-14
NspawnKeepUnit Host 14-14
NSpawnSettings Content 14-14, Host 15-24, Runtime 25-
OciAnnotations Output 27-
OciLabels Output 27-
OpenPGPTool Validation 25-
Output Output 14-
OutputDirectory Output 14-
OutputExtension Output 26-
OutputMode Output 25-
OutputSize Output 27-
OutputSplitRoot Output 14-14
Overlay Output 15-
PackageCacheDirectory Output 21-24, Build 25-
PackageDirectories Content 21-
PackageManagerTrees Content 15-18, Distribution 19-24
Packages Content 14-
PassEnvironment Config 24-
Passphrase Validation 15-
Password Content 14-14
PasswordIsHashed Content 14-14
PostInstallationScript Content 14-17
PostInstallationScripts Content 18-
PostOutputScripts Content 24-
PrepareScript Content 14-17
PrepareScripts Content 18-
Presets Preset 17-18
Profile Config 19-24
Profiles Config 25-
ProxyClientCertificate Host 23-24, Build 25-
ProxyClientKey Host 23-24, Build 25-
ProxyExclude Host 23-24, Build 25-
ProxyPeerCertificate Host 23-24, Build 25-
ProxyUrl Host 23-24, Build 25-
QCow2 Output 14-14
QemuArgs Host 14-24, Runtime 25-
QemuBoot Host 14-14
QemuCdrom Host 16-24
QemuDrives Host 19-24
QemuFirmware Host 16-24
QemuFirmwareVariables Host 20-24
QemuGui Host 15-24
QemuHeadless Host 14-14
QemuKernel Host 16-24
QemuKvm Host 14-24
QemuMem Host 14-24
QemuSmp Host 14-24
QemuSwtpm Host 15-24
QemuVsock Host 15-24
QemuVsockConnectionId Host 20-24
RAM Runtime 25-
ReadOnly Output 14-14
Register Runtime 25-
Release Distribution 14-
Removable Runtime 25-
RemoveFiles Content 14-
RemovePackages Content 14-
RepartDirectories Output 15-
RepartOffline Output 20-24, Build 25-
Repositories Distribution 14-
RepositoryDirectory Distribution 14-14
RepositoryKeyCheck Distribution 14-
RepositoryKeyFetch Distribution 25-
RootPassword Content 15-
RootShell Content 15-
RootSize Partitions 14-14
RuntimeBuildSources Host 23-24, Runtime 25-
RuntimeHome Runtime 25-25
RuntimeNetwork Host 21-24, Runtime 25-
RuntimeScratch Host 20-24, Runtime 25-25
RuntimeSize Host 18-24, Runtime 25-
RuntimeTrees Host 18-24, Runtime 25-
SandboxTrees Build 25-
SectorSize Output 16-
SecureBoot Output 14-14, Validation 15-
SecureBootAutoEnroll Validation 20-
SecureBootCertificate Output 14-14, Validation 15-
SecureBootCertificateSource Validation 25-
SecureBootCommonName Output 14-14
SecureBootKey Output 14-14, Validation 15-
SecureBootKeySource Validation 21-
SecureBootSignTool Validation 15-
SecureBootValidDays Output 14-14
Seed Output 16-
SELinuxRelabel Content 20-
ShimBootloader Content 20-
Sign Validation 14-
SignExpectedPcr Validation 15-
SignExpectedPCR Output 14-14
SignExpectedPcrCertificate Validation 25-
SignExpectedPcrCertificateSource Validation 25-
SignExpectedPcrKey Validation 25-
SignExpectedPcrKeySource Validation 25-
SkeletonTrees Content 14-
SkipFinalPhase Content 14-14
Snapshot Distribution 26-
SourceDateEpoch Content 16-
SourceFileTransfer Content 14-14
SourceFileTransferFinal Content 14-14
SourceResolveSymlinks Content 14-14
SourceResolveSymlinksFinal Content 14-14
Splash Content 26-
SplitArtifacts Output 14-
SrvSize Partitions 14-14
Ssh Host 14-14, Content 15-
SshAgent Host 14-14
SshCertificate Host 20-24, Runtime 25-
SshKey Host 14-14, Host 20-24, Runtime 25-
SshPort Host 14-14
SshTimeout Host 14-14
StorageTargetMode Runtime 26-
SwapSize Partitions 14-14
SyncScripts Content 21-
SysupdateDirectory Runtime 25-
TarStripSELinuxContext Output 14-14
Timezone Content 15-
TmpSize Partitions 14-14
ToolsTree Host 15-24, Build 25-
ToolsTreeCertificates Host 23-24, Build 25-
ToolsTreeDistribution Host 16-24, Build 25-
ToolsTreeMirror Host 19-24, Build 25-
ToolsTreePackageDirectories Build 25-
ToolsTreePackageManagerTrees Host 21-24
ToolsTreePackages Host 17-24, Build 25-
ToolsTreeProfiles Build 26-
ToolsTreeRelease Host 16-24, Build 25-
ToolsTreeRepositories Host 21-24, Build 25-
ToolsTreeSandboxTrees Build 25-
TPM Runtime 25-
UnifiedKernelImageFormat Content 24-
UnifiedKernelImageProfiles Content 25-
UnifiedKernelImages Content 22-
UnitProperties Host 24-24, Runtime 25-26
UseHostRepositories Distribution 14-14
UseSubvolumes Output 15-24, Build 25-
UsrOnly Output 14-14
VarSize Partitions 14-14
Verity Output 14-14, Validation 25-
VerityCertificate Validation 15-
VerityCertificateSource Validation 25-
VerityKey Validation 15-
VerityKeySource Validation 21-
VirtualMachineMonitor Host 23-24, Runtime 25-
VolatilePackageDirectories Content 24-
VolatilePackages Content 23-
VSock Runtime 25-
VSockCID Runtime 25-
WithDocs Content 14-
WithNetwork Content 14-24, Build 25-
WithRecommends Content 19-
WithTests Content 14-24, Build 25-
WithUnifiedKernelImages Output 14-14
WorkspaceDirectory Output 14-24, Build 25-
XbootldrSize Partitions 14-14
XZ Output 14-14
"""


def _read(table: str) -> dict[str, tuple[Range, ...]]:
    settings = {}
    for line in lines_of(table.strip()):
        name, _space, places = line.partition(" ")
        settings[name] = tuple(_range(place) for place in places.split(", "))
    return settings


def _range(place: str) -> Range:
    section, versions = place.split(" ")
    first, _dash, last = versions.partition("-")
    return section, int(first), int(last) if last else None


SETTINGS: t.Mapping[str, tuple[Range, ...]] = _read(_TABLE)

CONDITIONAL_SECTIONS = frozenset({"Match", "TriggerMatch"})
"""Their keys are conditions, not settings."""


def sections(name: str, version: int) -> tuple[str, ...]:
    """The sections in which this version reads the setting; none when it does not know it."""
    known = min(version, NEWEST)
    places = SETTINGS.get(name, ())
    return tuple(
        section
        for section, first, last in places
        if first <= known <= (NEWEST if last is None else last)
    )


def known_settings(version: int) -> frozenset[str]:
    return frozenset(name for name in SETTINGS if sections(name, version))


def known_sections(version: int) -> frozenset[str]:
    found = {section for name in SETTINGS for section in sections(name, version)}
    return frozenset(found | (CONDITIONAL_SECTIONS if version > OLDEST else set()))
