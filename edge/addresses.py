"""Where a request comes from: from its peer, or from where the trusted proxies in front say. Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

FORWARDED = "forwarded"
"""RFC 7239: ``for=192.0.2.1;proto=https, for="[2001:db8::1]:4711"``. X-Forwarded-For holds the addresses alone."""

_FOR = re.compile(r'(?:^|;)\s*for=("?)([^";]*)\1\s*(?:;|$)', re.IGNORECASE)
_IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies between viewers and this edge, each of which appends to one header where its request came from."""

    hops: int
    """How many there are; with 0 the header is the viewer's own and proves nothing."""
    header: str
    """Name of the header, in small letters. Not both: a proxy passes the one that it does not write on as it came."""

    def viewer(self, said: str | None) -> str:
        """The address that the header gives; its lines must have been joined by commas, in their order.

        Empty when it is where the connection comes from: no proxy is trusted, or none says an address. Read from the
        right: what stands left of the trusted proxies' entries was written by the client itself.
        """
        if not self.hops or not said:
            return ""
        # No entry of a proxy holds a comma; what a client has quoted may.
        entries = said.split(",")
        entry = entries[-min(self.hops, len(entries))].strip()
        if self.header == FORWARDED:
            found = _FOR.search(entry)
            entry = found[2] if found else ""
        return _without_port(entry)


def _without_port(node: str) -> str:
    if node.startswith("["):
        node = node[1:].partition("]")[0]
    elif node.count(":") == 1:
        node = node.partition(":")[0]
    address = _parsed(node)
    return "" if address is None else str(address)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Whose address this is, as far as that can be told: an IPv6 host has a /64 to itself, and may change within it."""
    match _parsed(address):
        case IPv6Address(ipv4_mapped=None) as ip:
            return str(ip_network((ip.packed, _IPV6_PREFIX), strict=False))
        case IPv6Address(ipv4_mapped=mapped):
            return str(mapped)
        case IPv4Address() as ip:
            return str(ip)
        case None:
            return address


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
