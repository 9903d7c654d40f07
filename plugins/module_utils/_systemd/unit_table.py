# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The sections and keys of units that matter for machines, up to systemd 262.

Private to the collection. The facts are those of systemd's C(load-fragment-gperf.gperf.in) at
252, 257 and 262, and of its manual pages, for the version that knew a newer key first.
"""

from __future__ import annotations

import typing as t

OLDEST = 252
NEWEST = 262

Keys = t.Mapping[str, int]
"""The first version that knew a key; the oldest supported one stands for all before it too."""


def _keys(words: str, newer: t.Mapping[int, str]) -> Keys:
    found = dict.fromkeys(words.split(), OLDEST)
    for version, later in newer.items():
        found.update(dict.fromkeys(later.split(), version))
    return found


_UNIT = _keys(
    """
    After AllowIsolate AssertACPower AssertArchitecture AssertCPUFeature AssertCPUPressure
    AssertCPUs AssertCapability AssertControlGroupController AssertCredential
    AssertDirectoryNotEmpty AssertEnvironment AssertFileIsExecutable AssertFileNotEmpty
    AssertFirstBoot AssertGroup AssertHost AssertIOPressure AssertKernelCommandLine
    AssertKernelVersion AssertMemory AssertMemoryPressure AssertNeedsUpdate AssertOSRelease
    AssertPathExists AssertPathExistsGlob AssertPathIsDirectory AssertPathIsEncrypted
    AssertPathIsMountPoint AssertPathIsReadWrite AssertPathIsSymbolicLink AssertSecurity
    AssertUser AssertVirtualization Before BindTo BindsTo CollectMode ConditionACPower
    ConditionArchitecture ConditionCPUFeature ConditionCPUPressure ConditionCPUs
    ConditionCapability ConditionControlGroupController ConditionCredential
    ConditionDirectoryNotEmpty ConditionEnvironment ConditionFileIsExecutable
    ConditionFileNotEmpty ConditionFirmware ConditionFirstBoot ConditionGroup ConditionHost
    ConditionIOPressure ConditionKernelCommandLine ConditionKernelVersion ConditionMemory
    ConditionMemoryPressure ConditionNeedsUpdate ConditionOSRelease ConditionPathExists
    ConditionPathExistsGlob ConditionPathIsDirectory ConditionPathIsEncrypted
    ConditionPathIsMountPoint ConditionPathIsReadWrite ConditionPathIsSymbolicLink
    ConditionSecurity ConditionUser ConditionVirtualization Conflicts DefaultDependencies
    Description Documentation FailureAction FailureActionExitStatus IgnoreOnIsolate
    IgnoreOnSnapshot JobRunningTimeoutSec JobTimeoutAction JobTimeoutRebootArgument
    JobTimeoutSec JoinsNamespaceOf OnFailure OnFailureIsolate OnFailureJobMode OnSuccess
    OnSuccessJobMode PartOf PropagateReloadFrom PropagateReloadTo PropagatesReloadTo
    PropagatesStopTo RebootArgument RefuseManualStart RefuseManualStop ReloadPropagatedFrom
    Requires RequiresMountsFor RequiresOverridable Requisite RequisiteOverridable SourcePath
    StartLimitAction StartLimitBurst StartLimitInterval StartLimitIntervalSec StopPropagatedFrom
    StopWhenUnneeded SuccessAction SuccessActionExitStatus Upholds Wants
    """,
    {
        255: "SurviveFinalKillSignal",
        256: "WantsMountsFor",
        258: """
            AssertKernelModuleLoaded AssertVersion ConditionKernelModuleLoaded ConditionVersion
        """,
        260: "AssertPathIsSocket ConditionPathIsSocket",
        261: "AssertFraction AssertMachineTag ConditionFraction ConditionMachineTag",
    },
)

_INSTALL = _keys(
    """
    Alias Also DefaultInstance RequiredBy WantedBy
    """,
    {
        254: "UpheldBy",
    },
)

# systemd.resource-control(5): of services and slices alike.
_RESOURCES = _keys(
    """
    AllowedCPUs AllowedMemoryNodes BPFProgram BlockIOAccounting BlockIODeviceWeight
    BlockIOReadBandwidth BlockIOWeight BlockIOWriteBandwidth CPUAccounting CPUQuota
    CPUQuotaPeriodSec CPUShares CPUWeight DefaultMemoryLow DefaultMemoryMin Delegate DeviceAllow
    DevicePolicy DisableControllers IOAccounting IODeviceLatencyTargetSec IODeviceWeight
    IOReadBandwidthMax IOReadIOPSMax IOWeight IOWriteBandwidthMax IOWriteIOPSMax IPAccounting
    IPAddressAllow IPAddressDeny IPEgressFilterPath IPIngressFilterPath ManagedOOMMemoryPressure
    ManagedOOMMemoryPressureLimit ManagedOOMPreference ManagedOOMSwap MemoryAccounting
    MemoryHigh MemoryLimit MemoryLow MemoryMax MemoryMin MemorySwapMax NetClass
    RestrictNetworkInterfaces Slice SocketBindAllow SocketBindDeny StartupAllowedCPUs
    StartupAllowedMemoryNodes StartupBlockIOWeight StartupCPUShares StartupCPUWeight
    StartupIOWeight TasksAccounting TasksMax
    """,
    {
        253: """
            DefaultStartupMemoryLow MemoryZSwapMax StartupMemoryHigh StartupMemoryLow
            StartupMemoryMax StartupMemorySwapMax StartupMemoryZSwapMax
        """,
        254: "DelegateSubgroup MemoryPressureThresholdSec MemoryPressureWatch",
        255: "CoredumpReceive NFTSet",
        256: "MemoryZSwapWriteback",
        257: "ManagedOOMMemoryPressureDurationSec",
        260: "BindNetworkInterface",
        261: """
            CPUPressureThresholdSec CPUPressureWatch CPUSetPartition IOPressureThresholdSec
            IOPressureWatch OOMRules
        """,
    },
)

# systemd.service(5), systemd.exec(5) and systemd.kill(5).
_SERVICE = _keys(
    """
    AmbientCapabilities AppArmorProfile BindPaths BindReadOnlyPaths BusName BusPolicy
    CPUAffinity CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork
    CacheDirectory CacheDirectoryMode Capabilities CapabilityBoundingSet ConfigurationDirectory
    ConfigurationDirectoryMode CoredumpFilter DynamicUser Environment EnvironmentFile
    ExecCondition ExecPaths ExecReload ExecSearchPath ExecStart ExecStartPost ExecStartPre
    ExecStop ExecStopPost ExitType ExtensionDirectories ExtensionImages FailureAction
    FileDescriptorStoreMax FinalKillSignal Group GuessMainPID IOSchedulingClass
    IOSchedulingPriority IPCNamespacePath IgnoreSIGPIPE InaccessibleDirectories
    InaccessiblePaths KeyringMode KillMode KillSignal LimitAS LimitCORE LimitCPU LimitDATA
    LimitFSIZE LimitLOCKS LimitMEMLOCK LimitMSGQUEUE LimitNICE LimitNOFILE LimitNPROC LimitRSS
    LimitRTPRIO LimitRTTIME LimitSIGPENDING LimitSTACK LoadCredential LoadCredentialEncrypted
    LockPersonality LogExtraFields LogLevelMax LogNamespace LogRateLimitBurst
    LogRateLimitIntervalSec LogsDirectory LogsDirectoryMode MemoryDenyWriteExecute MountAPIVFS
    MountFlags MountImages NUMAMask NUMAPolicy NetworkNamespacePath Nice NoExecPaths
    NoNewPrivileges NonBlocking NotifyAccess OOMPolicy OOMScoreAdjust PAMName PIDFile
    PassEnvironment PermissionsStartOnly Personality PrivateDevices PrivateIPC PrivateMounts
    PrivateNetwork PrivateTmp PrivateUsers ProcSubset ProtectClock ProtectControlGroups
    ProtectHome ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables
    ProtectProc ProtectSystem ReadOnlyDirectories ReadOnlyPaths ReadWriteDirectories
    ReadWritePaths RebootArgument RemainAfterExit RemoveIPC Restart RestartForceExitStatus
    RestartKillSignal RestartPreventExitStatus RestartSec RestrictAddressFamilies
    RestrictFileSystems RestrictNamespaces RestrictRealtime RestrictSUIDSGID RootDirectory
    RootDirectoryStartOnly RootHash RootHashSignature RootImage RootImageOptions RootVerity
    RuntimeDirectory RuntimeDirectoryMode RuntimeDirectoryPreserve RuntimeMaxSec
    RuntimeRandomizedExtraSec SELinuxContext SecureBits SendSIGHUP SendSIGKILL SetCredential
    SetCredentialEncrypted SmackProcessLabel Sockets StandardError StandardInput
    StandardInputData StandardInputText StandardOutput StartLimitAction StartLimitBurst
    StartLimitInterval StateDirectory StateDirectoryMode SuccessExitStatus SupplementaryGroups
    SysVStartPriority SyslogFacility SyslogIdentifier SyslogLevel SyslogLevelPrefix
    SystemCallArchitectures SystemCallErrorNumber SystemCallFilter SystemCallLog TTYColumns
    TTYPath TTYReset TTYRows TTYVHangup TTYVTDisallocate TemporaryFileSystem TimeoutAbortSec
    TimeoutCleanSec TimeoutSec TimeoutStartFailureMode TimeoutStartSec TimeoutStopFailureMode
    TimeoutStopSec TimerSlackNSec Type UMask USBFunctionDescriptors USBFunctionStrings
    UnsetEnvironment User UtmpIdentifier UtmpMode WatchdogSec WatchdogSignal WorkingDirectory
    """,
    {
        253: "LogFilterPatterns OpenFile ReloadSignal",
        254: """
            ExtensionImagePolicy FileDescriptorStorePreserve ImportCredential MemoryKSM
            MountImagePolicy RestartMaxDelaySec RestartMode RestartSteps RootEphemeral
            RootImagePolicy
        """,
        255: "SetLoginEnvironment",
        257: "BindLogSockets PrivatePIDs",
        258: """
            BPFDelegateAttachments BPFDelegateCommands BPFDelegateMaps BPFDelegatePrograms
            CacheDirectoryAccounting CacheDirectoryQuota DelegateNamespaces
            LogsDirectoryAccounting LogsDirectoryQuota PrivateBPF StateDirectoryAccounting
            StateDirectoryQuota
        """,
        259: "ExecReloadPost UserNamespacePath",
        260: "MemoryTHP RefreshOnReload RootMStack",
        262: "LUOSession RestartRandomizedDelaySec",
    },
)

_SLICE = _keys(
    """

    """,
    {
        258: "ConcurrencyHardMax ConcurrencySoftMax",
        262: "ActivatingConcurrencyMax",
    },
)

# A drop-in may hold these sections, and the one named after the unit's kind.
TABLE: t.Mapping[str, Keys] = {
    "Unit": _UNIT,
    "Service": {**_SERVICE, **_RESOURCES},
    "Slice": {**_SLICE, **_RESOURCES},
    "Install": _INSTALL,
}
