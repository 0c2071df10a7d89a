"""Spot prices of EC2: ``DescribeSpotPriceHistory`` of the query API, signed by botocore.

Used by ``aws``; not a refresher of its own, since both make one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from xml.etree import ElementTree

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page
from stix.clouds.catalog.refresh.errors import BadAnswer

HOST, URL = "ec2", "https://ec2.{about}.amazonaws.com"
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
FIELDS = {"instanceType": "name", "spotPrice": "price", "availabilityZone": "zone"}


def usable(secrets: Mapping[str, str]) -> bool:
    """Whether there are credentials."""
    return all(name in secrets for name in SECRETS[:2])


def page(region: str, token: str = "") -> Page:
    """What each machine costs since the day began (its last price before that included)."""
    form = {
        "Action": "DescribeSpotPriceHistory",
        "Version": "2016-11-15",
        "ProductDescription.1": "Linux/UNIX",
        "StartTime": datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z"),
        "MaxResults": "1000",
    }
    more = {"NextToken": token} if token else {}
    key = f"{region} spot {token}".strip()
    return Page(key, "/", form={**form, **more}, host=HOST, about=region)


def signed(secrets: Mapping[str, str], region: str, url: str, content: bytes) -> dict[str, str]:
    """The headers of a request: Signature Version 4."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(
        method="POST",
        url=url,
        data=content,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    SigV4Auth(Credentials(*(secrets.get(name) for name in SECRETS)), "ec2", region).add_auth(
        request
    )
    return dict(request.headers.items())


def read(page_: Page, answer: Answer) -> Found:
    """The prices of one page, and the next page."""
    try:
        root = ElementTree.fromstring(answer.file.read_bytes())
    except ElementTree.ParseError as error:
        raise BadAnswer(f"{answer.name}: the answer is not XML: {error}") from None
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    body = Record({e.tag.removeprefix(space): e for e in root}, answer.name)
    body.field("spotPriceHistorySet")
    items = []
    for number, entry in enumerate(body.data["spotPriceHistorySet"]):
        where = f"{answer.name}: price {number}"
        record = Record({e.tag.removeprefix(space): e.text or "" for e in entry}, where)
        item: Item = {ours: record.text(theirs) for theirs, ours in FIELDS.items()}
        items.append({**item, "price": record.number("spotPrice"), "region": page_.about})
    token = body.data["nextToken"].text if "nextToken" in body else ""
    return Found(items, [page(page_.about, token)] if token else [])


def cheapest(items: Iterable[Item]) -> dict[tuple[str, str], float]:
    """By machine and region: the last price of each zone, of which the least."""
    last: dict[tuple[str, str, str], float] = {}
    for item in items:  # the newest comes first
        last.setdefault((item["name"], item["region"], item["zone"]), item["price"])
    found: dict[tuple[str, str], float] = {}
    for (name, region, _), price in last.items():
        found[name, region] = min(price, found.get((name, region), price))
    return found
