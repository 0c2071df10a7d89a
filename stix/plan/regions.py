"""Places, and the continent each lies on: prices of movement hang on it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from stix.plan.offers import Offer

CONTINENTS = ("NA", "SA", "EU", "AS", "OC", "AF", "ME")
"""North America, South America, Europe, Asia, Oceania, Africa, the Middle East.

The Middle East stands alone, since every price list has it apart.
"""
ANY = ("*", "-")
"""Regions of an offer that holds wherever one likes."""


class Place(NamedTuple):
    """Where data lies or a stage runs.

    Attributes:
        cloud: Name of the cloud.
        region: Region; ``*`` or ``-`` where any will do, None where it is not known.
        zone: Zone; None for the region as a whole, such as a bucket or a free choice.
    """

    cloud: str
    region: str | None = None
    zone: str | None = None

    def __str__(self) -> str:
        shown = [self.cloud, self.region or "?", self.zone or ""]
        return "/".join(part for part in shown if part and part not in ANY)

    @classmethod
    def of(cls, offer: Offer) -> Place:
        return cls(offer.cloud, offer.region, offer.zone)

    @classmethod
    def parse(cls, text: str) -> Place:
        """From ``cloud/region/zone``, of which the cloud alone is needed."""
        cloud, region, zone = (*text.split("/"), "", "")[:3]
        return cls(cloud, region or None, zone or None)


_COUNTRIES = {
    "NA": "CA CR CU DO GT HN JM MX NI PA PR SV US",
    "SA": "AR BO BR CL CO EC PE PY UY VE",
    "EU": "AL AT BA BE BG BY CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LT LU LV MD ME MK MT "
    "NL NO PL PT RO RS RU SE SI SK UA UK XK",
    "AS": "AM AZ BD BN CN GE HK ID IN JP KG KH KR KZ LA LK MM MN MO MY NP PH PK SG TH TW UZ VN",
    "OC": "AU FJ NC NZ PG",
    "AF": "AO BW CI CM DZ EG ET GH KE MA MU MZ NA NG RW SN TN TZ UG ZA ZM ZW",
    "ME": "AE BH IL IQ IR JO KW LB OM QA SA TR YE",
}
_BY_COUNTRY = {code: name for name, codes in _COUNTRIES.items() for code in codes.split()}

# Tried in this order: the first part of a region's name that is found counts.
_WORDS = (
    ("OC", r"australia|newzealand|(?:^|-)(?:au|nz)(?:-|$)|ap-southeast-(?:2|4|6)$|syd\d*"),
    ("SA", r"southamerica|brazil|chile|(?:^|-)(?:sa|br)(?:-|$)|saopaulo|vinhedo"),
    ("AF", r"africa|(?:^|-)(?:af|za)(?:-|$)|johannesburg|capetown"),
    ("ME", r"israel|qatar|uae|saudi|^(?:me|il)-|dubai|abudhabi|jeddah|riyadh|jerusalem"),
    ("AS", r"asia|japan|india|korea|indonesia|malaysia|singapore|taiwan|^(?:ap|cn|jp|in|sg|kr)-"),
    ("AS", r"tokyo|osaka|seoul|mumbai|hyderabad|bangalore|^(?:sgp|sin|blr|in)\d*(?:-|$)"),
    ("EU", r"europe|france|german|italy|norway|poland|spain|swed|switzerland|austria|belgium"),
    ("EU", r"denmark|finland|^uk|^(?:eu|fr|de|dk|fi|nl|pl|it|ch|bg|no|se|es|gb|fin)-"),
    ("EU", r"^(?:gra|sbg|rbx|waw|lon|fra|ams|fsn|nbg|hel|par|eri|mil|mad|de)\d*(?:-|$)"),
    ("NA", r"northamerica|canada|mexico|^(?:us|ca|mx)(?:-|$)|us\d?(?:euap|stg)?$|coast|^na-"),
    ("NA", r"^(?:nyc|sfo|tor|atl|bhs|vin|hil|ash|sea|dfw|ord|iad|lax|mia|phx)\d*(?:-|$)"),
)
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _WORDS)


@lru_cache(maxsize=4096)
def continent(region: str | None) -> str:
    """Where a region lies, read from its name or country code; empty where that does not say.

    A region is taken for a country only where its name is a code of two capitals (``FR``), as a
    marketplace has it.
    """
    if not region or region in ANY:
        return ""
    if len(region) == 2 and region in _BY_COUNTRY:
        return _BY_COUNTRY[region]
    word = region.lower().replace("_", "-")
    return next((name for name, pattern in _PATTERNS if pattern.search(word)), "")


def of_country(code: str) -> str:
    """The continent of a country (ISO 3166); empty where it is not known."""
    return _BY_COUNTRY.get(code.upper(), "")
