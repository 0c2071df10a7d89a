"""Ports of a request as numbers, for providers that map single ones."""

from __future__ import annotations

from collections.abc import Sequence

from stix.clouds.errors import InvalidRequest


def single_ports(wanted: Sequence[str], most: int, cloud: str) -> list[int]:
    """``8080`` and ``10000-10010`` as single numbers, each once, without that of SSH.

    Raises:
        InvalidRequest: they are more than ``most``.
    """
    ports: list[int] = []
    for each in wanted:
        first, _, last = each.partition("-")
        ports += range(int(first), int(last or first) + 1)
    ports = [port for port in dict.fromkeys(ports) if port != 22]
    if len(ports) > most:
        raise InvalidRequest(
            f"{cloud}: {len(ports)} ports, and a machine maps {most}", fix="ask for fewer `ports`"
        )
    return ports
