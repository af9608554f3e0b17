"""Which addresses may be called, whoever names them; held against the address that is really connected to."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

ALLOW, DENY = "--allow-destination", "--deny-destination"
"""The flags that say otherwise."""

REFUSED: Final[tuple[Network, ...]] = tuple(
    ip_network(each)
    for each in (
        "169.254.0.0/16",  # link-local; metadata of AWS, Azure, Google, Oracle, OpenStack and others
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # AWS: metadata (::254) and Pod Identity (::23)
        "fd20:ce::254",  # Google: metadata
        "fd00:42::42",  # Scaleway: metadata
        "100.100.100.200",  # Alibaba Cloud: metadata
        "168.63.129.16",  # Azure: the host's own services
        "192.0.0.192",  # Oracle Cloud Classic: metadata
    )
)
"""Where a machine is told who it is, and by which credentials it acts: no webhook or query is meant for it."""

_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052)."""

_IN_IPV6: Final = 96
"""Bits before those of IPv4 where it is written as IPv6."""


class DeniedError(OSError):
    """An address that may not be called; its text can follow a colon."""


def network(text: str) -> Network:
    """Read a network, such as 10.0.0.0/8, or one address.

    Raises:
        ValueError: it is none.
    """
    return ip_network(text.strip())


@dataclass(frozen=True, slots=True)
class Destinations:
    """What may be called: of the networks that hold an address the narrowest decides; where none does, it may.

    Args:
        allowed: networks that may be called, also where they are refused by default.
        denied: networks that may not; of the same network this counts before `allowed`.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()

    def check(self, address: str) -> None:
        """Refuse an address that may not be called.

        Args:
            address: an IP address, as a socket is connected to it; what is none is left to others.

        Raises:
            DeniedError: it may not.
        """
        try:
            forms = _forms(address)
        except ValueError:
            return
        by_default = [each for each in REFUSED if each not in self.allowed]
        if _narrowest(forms, (*self.denied, *by_default)) >= max(_narrowest(forms, self.allowed), 0):
            flag = f"{ALLOW}={forms[-1]}"
            raise DeniedError(
                errno.EACCES,
                f"{address} is an address that must not be called; to allow it, give the controller {flag}",
            )


def _narrowest(forms: Iterable[Address], networks: Collection[Network]) -> int:
    """How many bits tell the narrowest network that holds an address, in IPv6; -1 where none does."""
    bits = {4: _IN_IPV6, 6: 0}
    held = (each.prefixlen + bits[each.version] for each in networks for form in forms if form in each)
    return max(held, default=-1)


def _forms(address: str) -> tuple[Address, ...]:
    """The address, and the one that is reached by it.

    Raises:
        ValueError: it is no address.
    """
    found = ip_address(address.partition("%")[0])
    if found.is_unspecified:
        # A connection to no address in particular goes to this machine.
        return found, ip_address("127.0.0.1" if found.version == 4 else "::1")
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found, found.ipv4_mapped
    if found in _TRANSLATED:
        return found, IPv4Address(int(found) & 0xFFFFFFFF)
    return (found,)
