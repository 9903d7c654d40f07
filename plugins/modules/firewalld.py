# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewalld
short_description: Zones and policies of firewalld, all in one call
version_added: 0.1.0
description:
  - Makes, changes and removes zones and policies of firewalld. Everything is looked at once, and
    changed together, in the permanent configuration and in the running firewall.
  - firewalld is reloaded only where nothing less serves, and then once - for new and removed
    zones and policies, and for changes of targets and priorities. What others have set in the
    running firewall only, interfaces, rules, addresses in sets, is put back after a reload.
    What was set with a timeout is put back without it.
  - While firewalld is stopped the files of its permanent configuration are changed instead, and
    checked with C(firewall-offline-cmd --check-config).
  - All input is checked before anything is changed.
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
      - Needs root of the host. Trusts firewalld and the host's own files, and no machine.
options:
  zones:
    description:
      - Zones, each with what it shall be.
      - A property that is omitted is left as it is, or in a new zone as firewalld's own new zones
        have it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The zone's name, with at most 17 characters before firewalld 2.4.
          - V(DEFAULT) means the host's default zone.
        type: str
        required: true
      state:
        description:
          - Whether the zone is to be there.
          - A zone is not removed while it is the default zone, while a policy uses it that this
            call does not remove or change, or while somebody else has bound interfaces to it in
            the running firewall. Those that come with firewalld cannot be removed.
        type: str
        choices: [present, absent]
        default: present
      exclusive:
        description:
          - Whether the lists given for this zone are exactly that, for this zone only.
          - O(exclusive) if omitted.
        type: bool
      short:
        description:
          - The zone's short title.
        type: str
      description:
        description:
          - The zone's description.
        type: str
      target:
        description:
          - What happens to packets that no rule of the zone names.
          - Changing it takes a reload.
        type: str
        choices: [default, ACCEPT, DROP, REJECT]
      masquerade:
        description:
          - Whether traffic that leaves through the zone is masqueraded, whoever it is from.
        type: bool
      forward:
        description:
          - Whether interfaces and sources of the zone may reach each other.
          - New zones have it off.
        type: bool
      icmp_block_inversion:
        description:
          - Whether O(zones[].icmp_blocks) are those that pass.
        type: bool
      ingress_priority:
        description:
          - The lower, the earlier the zone is looked at for incoming traffic.
          - Needs firewalld 2.0. Changing it takes a reload.
        type: int
      egress_priority:
        description:
          - The same for outgoing traffic.
          - Needs firewalld 2.0. Changing it takes a reload.
        type: int
      interfaces:
        description:
          - Interfaces. The wildcard is a V(+) at the end, such as V(ve-+). An interface that is
            in another zone is moved.
        type: list
        elements: str
      sources:
        description:
          - Addresses, networks, hardware addresses or V(ipset:NAME). A source that is in another
            zone is moved.
        type: list
        elements: str
      services:
        description:
          - Services, by the names of C(firewall-cmd --get-services).
        type: list
        elements: str
      ports:
        description:
          - Ports as V(PORT/PROTOCOL) or V(FIRST-LAST/PROTOCOL).
        type: list
        elements: str
      protocols:
        description:
          - Protocols as in C(/etc/protocols), such as V(icmp) or V(gre).
        type: list
        elements: str
      source_ports:
        description:
          - Source ports, written like O(zones[].ports).
        type: list
        elements: str
      icmp_blocks:
        description:
          - ICMP types, by the names of C(firewall-cmd --get-icmptypes).
        type: list
        elements: str
      rich_rules:
        description:
          - Rules in the language of C(firewalld.richlanguage(5)).
        type: list
        elements: str
      forward_ports:
        description:
          - Ports that are forwarded elsewhere.
        type: list
        elements: dict
        suboptions:
          port:
            description:
              - The port, or V(FIRST-LAST), at which packets arrive.
            type: str
            required: true
          protocol:
            description:
              - The protocol of the port.
            type: str
            default: tcp
            choices: [tcp, udp, sctp, dccp]
          to_port:
            description:
              - The port to forward to. The same port if omitted.
            type: str
            default: ''
          to_addr:
            description:
              - The address to forward to. This host if omitted.
            type: str
            default: ''
      remove:
        description:
          - Elements of lists that must not be in the zone, whether O(zones[].exclusive) or not.
        type: dict
        suboptions:
          interfaces:
            description:
              - Interfaces. The wildcard is a V(+) at the end, such as V(ve-+). An interface that
                is in another zone is moved.
            type: list
            elements: str
          sources:
            description:
              - Addresses, networks, hardware addresses or V(ipset:NAME). A source that is in
                another zone is moved.
            type: list
            elements: str
          services:
            description:
              - Services, by the names of C(firewall-cmd --get-services).
            type: list
            elements: str
          ports:
            description:
              - Ports as V(PORT/PROTOCOL) or V(FIRST-LAST/PROTOCOL).
            type: list
            elements: str
          protocols:
            description:
              - Protocols as in C(/etc/protocols), such as V(icmp) or V(gre).
            type: list
            elements: str
          source_ports:
            description:
              - Source ports, written like O(zones[].ports).
            type: list
            elements: str
          icmp_blocks:
            description:
              - ICMP types, by the names of C(firewall-cmd --get-icmptypes).
            type: list
            elements: str
          rich_rules:
            description:
              - Rules in the language of C(firewalld.richlanguage(5)).
            type: list
            elements: str
          forward_ports:
            description:
              - Ports that are not to be forwarded any more.
            type: list
            elements: dict
            suboptions:
              port:
                description:
                  - The port, or V(FIRST-LAST), at which packets arrive.
                type: str
                required: true
              protocol:
                description:
                  - The protocol of the port.
                type: str
                default: tcp
                choices: [tcp, udp, sctp, dccp]
              to_port:
                description:
                  - The port to forward to. The same port if omitted.
                type: str
                default: ''
              to_addr:
                description:
                  - The address to forward to. This host if omitted.
                type: str
                default: ''
  policies:
    description:
      - Policies, each with what it shall be.
      - A property that is omitted is left as it is, or in a new policy as firewalld's own new
        policies have it.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The policy's name, with at most 18 characters before firewalld 2.4.
          - A zone and a policy cannot share a name.
        type: str
        required: true
      state:
        description:
          - Whether the policy is to be there.
          - Policies that come with firewalld cannot be removed.
        type: str
        choices: [present, absent]
        default: present
      exclusive:
        description:
          - Whether the lists given for this policy are exactly that, for this policy only.
          - O(exclusive) if omitted.
        type: bool
      short:
        description:
          - The policy's short title.
        type: str
      description:
        description:
          - The policy's description.
        type: str
      target:
        description:
          - What happens to packets that no rule of the policy names.
          - Changing it takes a reload.
        type: str
        choices: [CONTINUE, ACCEPT, DROP, REJECT]
      priority:
        description:
          - The lower, the earlier the policy is looked at; negative ones come before the zones'
            own rules. 0 is reserved.
          - Changing it takes a reload.
        type: int
      disable:
        description:
          - Whether the policy does nothing.
          - Needs firewalld 2.4.
        type: bool
      masquerade:
        description:
          - Whether the policy's traffic is masqueraded.
        type: bool
      ingress_zones:
        description:
          - Zones from which the traffic comes, or V(ANY), or V(HOST). V(DEFAULT) means the host's
            default zone.
        type: list
        elements: str
      egress_zones:
        description:
          - Zones to which the traffic goes, or V(ANY), or V(HOST). V(DEFAULT) means the host's
            default zone.
        type: list
        elements: str
      services:
        description:
          - Services, by the names of C(firewall-cmd --get-services).
        type: list
        elements: str
      ports:
        description:
          - Ports as V(PORT/PROTOCOL) or V(FIRST-LAST/PROTOCOL).
        type: list
        elements: str
      protocols:
        description:
          - Protocols as in C(/etc/protocols), such as V(icmp) or V(gre).
        type: list
        elements: str
      source_ports:
        description:
          - Source ports, written like O(policies[].ports).
        type: list
        elements: str
      icmp_blocks:
        description:
          - ICMP types, by the names of C(firewall-cmd --get-icmptypes).
        type: list
        elements: str
      rich_rules:
        description:
          - Rules in the language of C(firewalld.richlanguage(5)).
        type: list
        elements: str
      forward_ports:
        description:
          - Ports that are forwarded elsewhere.
        type: list
        elements: dict
        suboptions:
          port:
            description:
              - The port, or V(FIRST-LAST), at which packets arrive.
            type: str
            required: true
          protocol:
            description:
              - The protocol of the port.
            type: str
            default: tcp
            choices: [tcp, udp, sctp, dccp]
          to_port:
            description:
              - The port to forward to. The same port if omitted.
            type: str
            default: ''
          to_addr:
            description:
              - The address to forward to. This host if omitted.
            type: str
            default: ''
      remove:
        description:
          - Elements of lists that must not be in the policy, whether O(policies[].exclusive) or
            not.
        type: dict
        suboptions:
          ingress_zones:
            description:
              - Zones from which the traffic comes, or V(ANY), or V(HOST). V(DEFAULT) means the
                host's default zone.
            type: list
            elements: str
          egress_zones:
            description:
              - Zones to which the traffic goes, or V(ANY), or V(HOST). V(DEFAULT) means the
                host's default zone.
            type: list
            elements: str
          services:
            description:
              - Services, by the names of C(firewall-cmd --get-services).
            type: list
            elements: str
          ports:
            description:
              - Ports as V(PORT/PROTOCOL) or V(FIRST-LAST/PROTOCOL).
            type: list
            elements: str
          protocols:
            description:
              - Protocols as in C(/etc/protocols), such as V(icmp) or V(gre).
            type: list
            elements: str
          source_ports:
            description:
              - Source ports, written like O(policies[].ports).
            type: list
            elements: str
          icmp_blocks:
            description:
              - ICMP types, by the names of C(firewall-cmd --get-icmptypes).
            type: list
            elements: str
          rich_rules:
            description:
              - Rules in the language of C(firewalld.richlanguage(5)).
            type: list
            elements: str
          forward_ports:
            description:
              - Ports that are not to be forwarded any more.
            type: list
            elements: dict
            suboptions:
              port:
                description:
                  - The port, or V(FIRST-LAST), at which packets arrive.
                type: str
                required: true
              protocol:
                description:
                  - The protocol of the port.
                type: str
                default: tcp
                choices: [tcp, udp, sctp, dccp]
              to_port:
                description:
                  - The port to forward to. The same port if omitted.
                type: str
                default: ''
              to_addr:
                description:
                  - The address to forward to. This host if omitted.
                type: str
                default: ''
  connections:
    description:
      - Connections of NetworkManager by their names, each with the zone that it belongs to. An
        empty zone stands for the host's default zone.
      - An interface that NetworkManager manages is put into a zone by its connection, and by
        nothing else.
      - A zone must be there or be given in the same call. What a connection is given is in force
        at once, also where it is up. A warning tells of an interface that a zone claims by its name
        and a connection puts into another one.
      - With O(record) those that a later call does not name any more get back the zones that they
        had.
    type: dict
    default: {}
  exclusive:
    description:
      - Whether lists that are given are exactly that. Otherwise their elements are added to what
        is there. Lists that are not given stay as they are in both cases.
      - To take out single elements use O(zones[].remove) and O(policies[].remove).
    type: bool
    default: false
  bind_uplinks:
    description:
      - Before 2.0 firewalld does not apply a policy from or to the default zone as long as no
        interface is bound to that zone by name. With V(true), where a policy of this call needs
        it, the interfaces that packets leave by, which are those with a route, are bound to the
        default zone, to which they belong anyway. With firewalld 2.0 and later it does nothing.
    type: bool
    default: false
  record:
    description:
      - A name under which the module remembers on the host what it has changed, and how that was
        before.
      - What an earlier call with the same O(record) changed and this call does not want any more
        is taken back. A call without zones, policies and connections so takes back everything,
        down to the files, and leaves what others have added since.
      - Zones and policies with O(zones[].state=absent) are not remembered.
    type: str
requirements:
  - firewalld 1.0 or later
"""

EXAMPLES = r"""
- name: A zone for machines, and a way out for them
  nspawn.machined.firewalld:
    zones:
      - name: machined
        services: [dhcp, dhcpv6-client]
        interfaces: [ve-+, vz-+]
    policies:
      - name: machined-policy
        ingress_zones: [machined]
        egress_zones: [DEFAULT]
        target: ACCEPT
        masquerade: true

- name: Exactly these services, and no telnet in the other zone
  nspawn.machined.firewalld:
    zones:
      - name: public
        services: [ssh, https]
        exclusive: true
      - name: internal
        remove:
          services: [telnet]

- name: A change that can be taken back
  nspawn.machined.firewalld:
    record: web
    zones:
      - name: public
        services: [http, https]
        forward_ports:
          - port: '8080'
            to_port: '80'

- name: Take it back
  nspawn.machined.firewalld:
    record: web

- name: Trust what is behind a VPN
  nspawn.machined.firewalld:
    connections:
      office: work
"""

RETURN = r"""
plan:
  description: What was done, or in check mode what would be done, in this order.
  type: list
  elements: str
  returned: always
  sample: [create zone machined, create policy machined-policy, reload firewalld]
version:
  description: The version of firewalld. Empty where it is not installed, and nothing is wanted.
  type: str
  returned: success
  sample: 2.3.1
running:
  description: Whether firewalld runs. If not, only its permanent configuration was changed.
  type: bool
  returned: success
  sample: true
default_zone:
  description: The host's default zone.
  type: str
  returned: success
  sample: public
zones:
  description:
    - The permanent settings of the zones that the call names, after the change, by name. In
      check mode as they are.
  type: dict
  returned: success
  sample:
    machined:
      interfaces: [ve-+, vz-+]
      services: [dhcp, dhcpv6-client]
policies:
  description:
    - The same of the policies.
  type: dict
  returned: success
  sample:
    machined-policy:
      egress_zones: [public]
      ingress_zones: [machined]
"""

import typing as t

from ..module_utils._firewalld import face


def main() -> t.NoReturn:
    module = face.Module(
        argument_spec={
            "zones": face.ZONES,
            "policies": face.POLICIES,
            "connections": {"type": "dict", "default": {}},
            "exclusive": {"type": "bool", "default": False},
            "bind_uplinks": {"type": "bool", "default": False},
            "record": {"type": "str", "no_log": False},
        },
        supports_check_mode=True,
    )
    face.converge(module)


if __name__ == "__main__":
    main()
