"""The words between ``RentedCloud`` and an adapter: what is ordered, and what there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stix.clouds.base import NodeState
from stix.clouds.rented.tags import TagRule
from stix.clouds.volumes import Attachment
from stix.plan.offers import Offer


@dataclass(frozen=True)
class Traits:
    """What is special about a provider, in numbers.

    Attributes:
        user: Whom to log in as.
        tags: What its tags may hold; None where machines carry nothing but a name.
        user_data_bytes: Longest script at first boot; 0 where there is none.
        at_once: How many machines of a wish are ordered side by side.
        lag_s: Seconds in which a listing may not show a machine that was just made.
        poll_s: Seconds between two looks at a machine that boots.
        boot_s: Seconds after which a machine that still boots is given up.
        multi_node: Whether machines of one wish reach each other by their addresses.
    """

    user: str = "root"
    tags: TagRule | None = field(default_factory=TagRule)
    user_data_bytes: int = 16_384
    at_once: int = 8
    lag_s: float = 0.0
    poll_s: float = 2.0
    boot_s: float = 900.0
    multi_node: bool = True


@dataclass(frozen=True)
class Order:
    """One machine of a wish, in words that the provider takes.

    Attributes:
        name: Its name; the same each time this machine of this wish is asked for.
        wish: Names the wish, as the tag ``stix-wish`` does; 16 hexadecimal digits.
        idempotency: A key for providers that take one; of this wish and rank alone.
        rank: From 0.
        count: Machines of the whole wish.
        tags: Legal at the provider; to be attached as they are.
        public_key: One line of OpenSSH; to be authorised for ``Traits.user``.
        user_data: For cloud-init, with the key in it; empty where ``user_data_bytes`` is 0.
        disk_gib: Size of the boot disk, GiB; None for the usual one.
        image: Empty for the usual one.
        ports: To be open to the world besides SSH, such as ``8080`` and ``10000-10010``.
        volumes: To be attached, for clouds that do it with the order.
    """

    name: str
    wish: str
    idempotency: str
    rank: int
    count: int
    offer: Offer
    tags: Mapping[str, str]
    public_key: str
    user_data: str
    disk_gib: int | None = None
    image: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Machine:
    """A machine as the provider reports it.

    Attributes:
        id: How to name it to the provider, in its region.
        tags: As the provider has them, ours and others.
        public_ip: Empty while there is none.
        private_ip: Likewise; where there is none at all the public one serves.
        port: Of SSH, at ``public_ip``.
        user: Whom to log in as; empty for the adapter's usual one.
        created: Unix time in seconds; None where the provider does not say.
        billed: Whether it costs money in this state.
        reason: The provider's words for its state.
    """

    id: str
    name: str
    state: NodeState
    region: str = "-"
    zone: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    public_ip: str = ""
    private_ip: str = ""
    port: int = 22
    user: str = ""
    created: float | None = None
    spot: bool = False
    billed: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Search:
    """Which machines to list. All that are ours where nothing is said.

    An adapter may give more than was asked for: ``RentedCloud`` looks at each. It must not give
    fewer. ``region``, where given, is the only one to ask in.
    """

    home: str
    region: str | None = None
    wish: str | None = None
