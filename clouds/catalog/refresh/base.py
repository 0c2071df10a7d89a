"""What a refresher is: which pages to ask for, what an answer says, and what each machine costs.

A provider is one class in one file, named by an entry point of the group ``stix.refreshers``.
Asking, trying again, keeping pages, checking and writing are the runner's work, the same for all.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

from stix.clouds.catalog.refresh.answers import Answer
from stix.clouds.catalog.refresh.errors import ChangedSchema
from stix.clouds.catalog.rows import LISTED, MACHINE, Kind, Row
from stix.spec.words import accelerators

MIB = 2**20
Item = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """One request.

    Attributes:
        key: Names it among the pages of its cloud, the same in every run.
        path: Below the base URL; or a link of the provider, which has to lead to the same host.
        query: Parameters, before they are encoded.
        json: Body of a POST; None asks by GET.
        form: Body of a POST as a form; likewise.
        host: Which of the refresher's hosts; empty for ``url``.
        about: What the refresher wants to know again when it reads the answer: a region, a zone.
    """

    key: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    host: str = ""
    about: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; holds no credentials: those are added when it is asked."""
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """What one answer says.

    Attributes:
        items: The parts that matter, JSON-safe; what ``quotes`` gets, of all pages together.
        more: The pages that it leads to.
    """

    items: list[Item]
    more: list[Page] = field(default_factory=list)


class Quote(NamedTuple):
    """What a machine costs in one place.

    Attributes:
        kind: The machine.
        region: Region; ``*`` where the price holds in all of them.
        zone: Zone, or None where the price holds in all of the region.
        on_demand: Per hour, in ``currency``; None where it is not sold so.
        spot: Likewise.
        currency: ISO 4217.
        confidence: Where it is not the refresher's.
        spot_confidence: Likewise.
    """

    kind: Kind
    region: str
    zone: str | None = None
    on_demand: float | None = None
    spot: float | None = None
    currency: str = "USD"
    confidence: str | None = None
    spot_confidence: str | None = None


@dataclass(frozen=True)
class Known:
    """What the catalog in use has of the cloud.

    Attributes:
        rows: Its rows.
        regions: Its regions.
    """

    rows: Sequence[Row] = ()
    regions: Sequence[str] = ()

    def kinds(self) -> dict[str, Kind]:
        """Machines by name; of one to which accelerators can be attached the one without."""
        found: dict[str, Kind] = {}
        for row in self.rows:
            kind = row.kind
            if kind.scope != MACHINE:
                continue
            other = found.get(kind.instance_type)
            if other is None or kind.accelerator_count < other.accelerator_count:
                found[kind.instance_type] = kind
        return found


class Refresher(ABC):
    """The price list of one cloud. Makes no request itself and keeps nothing between pages.

    Attributes:
        cloud: Its name in the catalog.
        url: Where its API is; a setting can say otherwise.
        hosts: Further hosts by name; ``{about}`` stands for the page's ``about``.
        source: Names the list in every row.
        confidence: Of its prices.
        secrets: Environment variables that it needs.
        optional: Environment variables that it uses where they are set.
        page_bytes: An answer that is larger is refused.
        countries: The country (ISO 3166) of regions that the catalog does not have yet.
    """

    cloud: ClassVar[str]
    url: ClassVar[str]
    hosts: ClassVar[Mapping[str, str]] = {}
    source: ClassVar[str]
    confidence: ClassVar[str] = LISTED
    secrets: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    page_bytes: ClassVar[int] = 64 * MIB

    def __init__(self, known: Known, secrets: Mapping[str, str]) -> None:
        self.known = known
        self.secret = secrets
        self.countries: dict[str, str] = {}
        self.left_out: dict[str, int] = {}

    @property
    def tells_spot(self) -> bool:
        """Whether the list says anything about spot; if not, the spot prices of before stay."""
        return True

    def login(self) -> Page | None:
        """What to ask first, once a run; its answer goes to ``logged_in``. Never kept."""
        return None

    def logged_in(self, answer: Answer) -> None:  # noqa: B027
        """Take the token out of the answer to ``login``; nothing to do where there is none."""

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        """Headers of a request, credentials among them."""
        return {}

    @abstractmethod
    def first(self) -> list[Page]:
        """The pages to begin with."""

    @abstractmethod
    def read(self, page: Page, answer: Answer) -> Found:
        """What an answer says.

        Raises:
            BadAnswer: it is no JSON (or CSV).
            ChangedSchema: a field is missing, or of another type.
        """

    @abstractmethod
    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        """What each machine costs, from the items of all pages."""

    def keeps(self, row: Row) -> bool:
        """Whether a row of the catalog in use stays although this list does not have it."""
        return False

    def leave_out(self, why: str) -> None:
        """Count something that the list has and the catalog will not."""
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def machine(self, name: str, cpus: float, memory_gib: float, **more: Any) -> Kind:
        """A machine of this cloud; ``more`` are further fields of ``Kind``."""
        usual = {
            "arch": "x86_64",
            "accelerator": "",
            "accelerator_count": 0.0,
            "accelerator_memory_gib": 0.0,
            "local_disk_gib": None,
            "network": "",
            "scope": MACHINE,
        }
        fields = {**usual, **more}
        return Kind(
            cloud=self.cloud,
            instance_type=name,
            cpus=float(cpus),
            memory_gib=round(float(memory_gib), 3),
            **fields,
        )


def gpu(name: str, count: float, memory_gib: float | None = None) -> dict[str, Any]:
    """The fields of ``Kind`` about accelerators; empty where there are none.

    Args:
        name: As the provider spells it.
        count: How many.
        memory_gib: Of each, as the provider says; tells forms of one name apart.
    """
    if not count:
        return {}
    plain = name.strip()
    words = [_MEMORY.sub(r"\1GB", word) for word in re.split(r"[-_ ]+", plain)]
    bare = " ".join(word for word in words if not word.upper().startswith(_FORMS))
    tries = [plain, bare]
    if memory_gib:
        tries = [f"{plain} {memory_gib:g}GB", f"{bare} {memory_gib:g}GB", *tries]
    found = next((c for t in tries if (c := accelerators.canonical(t))), plain.replace(" ", "-"))
    usual = accelerators.memory_gib(found) or 0.0
    if not memory_gib or (usual and abs(memory_gib - usual) <= usual / 4):
        memory_gib = usual
    return {
        "accelerator": found,
        "accelerator_count": float(count),
        "accelerator_memory_gib": float(memory_gib),
    }


_FORMS = ("SXM", "PCIE", "NVLINK")
_MEMORY = re.compile(r"^(\d+)[gG]$")


def page_of(data: Mapping[str, Any]) -> Page:
    """The opposite of ``Page.to_dict``."""
    try:
        return Page(**data)
    except TypeError as error:
        raise ChangedSchema(f"a kept page is of another release: {error}") from None
