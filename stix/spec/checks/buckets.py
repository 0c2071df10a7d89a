"""Addresses and names of buckets, of every store that SkyPilot knows.

The rules of names are those of the stores:
S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html (R2, Nebius,
CoreWeave and VAST Data follow it);
GCS: https://cloud.google.com/storage/docs/buckets#naming;
Azure: https://learn.microsoft.com/en-us/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata;
IBM: https://cloud.ibm.com/docs/cloud-object-storage?topic=cloud-object-storage-faq-bucket;
OCI: https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/managingbuckets.htm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stix.spec.problems import nearest

SCHEMES = {
    "s3": "S3",
    "gs": "GCS",
    "https": "AZURE",
    "r2": "R2",
    "cos": "IBM",
    "oci": "OCI",
    "nebius": "NEBIUS",
    "cw": "COREWEAVE",
    "vastdata": "VASTDATA",
    "hf": "HF",
}
"""Scheme of a URL to the store of its bucket."""
_OTHER = {
    **dict.fromkeys(("gcs", "google", "gcp"), "gs"),
    **dict.fromkeys(("s3a", "s3n", "aws"), "s3"),
    **dict.fromkeys(("ibm", "ibmcos"), "cos"),
    **dict.fromkeys(("huggingface", "hub"), "hf"),
    **dict.fromkeys(("cloudflare",), "r2"),
    **dict.fromkeys(("coreweave",), "cw"),
    **dict.fromkeys(("vast",), "vastdata"),
    **dict.fromkeys(("az", "azure", "abfs", "abfss", "wasb", "wasbs", "adl"), "https"),
}
"""Names that people give to schemes."""
_AZURE = re.compile(r"https://([a-z0-9]{3,24})\.blob\.core\.windows\.net/([^/]+)(?:/(.*))?\Z")
_AZURE_FORM = "https://ACCOUNT.blob.core.windows.net/CONTAINER"
_COS = re.compile(r"cos://([-\w]+)/([-\w.]+)(?:/(.*))?\Z", re.ASCII)
_HF = re.compile(
    r"hf://(?:(buckets|datasets|spaces)/)?([^/@]+/[^/@]+)(?:@([^/]*))?(?:/(.*))?\Z", re.DOTALL
)
_OCI = re.compile(r"([A-Za-z0-9-._]+)@\w{2}-\w+-\d\Z", re.ASCII)
_IP = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}\Z", re.ASCII)
_SEGMENT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,95}\Z")


@dataclass(frozen=True)
class Address:
    """The parts of a bucket's URL.

    Attributes:
        store: Kind of the bucket.
        name: Name of the bucket.
        path: What lies in it; empty for all of it.
    """

    store: str
    name: str
    path: str = ""


class NoAddress(ValueError):
    """A URL is no bucket's; ``fix`` says what to write."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def address(url: str) -> Address:
    """The parts of a URL.

    Raises:
        NoAddress: it has no known scheme, or not the form of its scheme.
    """
    scheme, _, rest = url.partition("://")
    store = SCHEMES.get(scheme.lower())
    if store is None:
        raise NoAddress(f"there is no store with URLs of {scheme}://", _scheme_fix(scheme))
    special = {"AZURE": _azure, "IBM": _cos, "HF": _hf}.get(store)
    if special is not None:
        return special(url)
    name, _, path = rest.partition("/")
    if store == "OCI" and "@" in name:
        found = _OCI.match(name)
        if found is None:
            raise NoAddress(f"{url} names no region behind @", "write oci://BUCKET@REGION")
        name = found[1]
    return Address(store, name, path)


def _scheme_fix(scheme: str) -> str:
    word = scheme.lower()
    if word in ("http", "ftp", "git", "ssh"):
        return "fetch it in setup, with curl or git"
    close = _OTHER.get(word) or nearest(word, SCHEMES)
    if close == "https":
        return f"write {_AZURE_FORM}"
    if close is not None:
        return f"did you mean {close}://?"
    return "use one of: " + ", ".join(f"{name}://" for name in SCHEMES)


def _azure(url: str) -> Address:
    found = _AZURE.match(url)
    if found is None:
        fix = f"fetch it in setup with curl, or write {_AZURE_FORM}"
        raise NoAddress("an https source must be a container of Azure", fix)
    return Address("AZURE", found[2], found[3] or "")


def _cos(url: str) -> Address:
    found = _COS.match(url)
    if found is None:
        raise NoAddress(f"{url} names no region and bucket", "write cos://REGION/BUCKET")
    return Address("IBM", found[2], found[3] or "")


def _hf(url: str) -> Address:
    found = _HF.match(url)
    if found is None:
        fix = "write hf://buckets/OWNER/BUCKET, hf://OWNER/MODEL or hf://datasets/OWNER/DATASET"
        raise NoAddress(f"{url} names no owner and repository", fix)
    return Address("HF", found[2], found[4] or "")


def name_problem(store: str | None, name: str) -> str | None:
    """What is wrong with the name of a bucket; None if nothing.

    Args:
        store: Its store; None where any may be taken, so that one that takes the name is enough.
        name: The name.
    """
    if store is not None:
        return next(_RULES.get(store, _s3)(name), None)
    said = [next(rule(name), None) for rule in (_s3, *_RULES.values())]
    return said[0] if None not in said else None


def _length(name: str, least: int, most: int) -> Iterator[str]:
    if not least <= len(name) <= most:
        yield f"has {len(name)} characters; {least} to {most} are allowed"


def _letters(name: str, inner: str, words: str) -> Iterator[str]:
    if not re.fullmatch(f"[a-z0-9](?:[a-z0-9{inner}]*[a-z0-9])?", name):
        yield f"may hold only {words}, and begins and ends with a letter or digit"


def _without(name: str, *parts: str) -> Iterator[str]:
    for part in parts:
        if part in name:
            yield f"must not hold {part!r}"


def _no_ip(name: str) -> Iterator[str]:
    if _IP.match(name):
        yield "must not be an IP address"


_LOWER = "lower-case letters, digits"


def _s3(name: str) -> Iterator[str]:
    yield from _length(name, 3, 63)
    yield from _letters(name, ".-", f"{_LOWER}, '.' and '-'")
    yield from _without(name, "..")
    yield from _no_ip(name)
    if name.startswith("xn--"):
        yield "must not begin with 'xn--'"
    for end in ("-s3alias", "--ol-s3"):
        if name.endswith(end):
            yield f"must not end with {end!r}"


def _gcs(name: str) -> Iterator[str]:
    yield from _length(name, 3, 222)
    yield from _letters(name, "._-", f"{_LOWER}, '.', '_' and '-'")
    if name.startswith("goog"):
        yield "must not begin with 'goog'"
    yield from _without(name, "google", "g00gle", "go0gle", "g0ogle")
    if any(len(part) > 63 for part in name.split(".")):
        yield "has more than 63 characters between two dots"
    yield from _without(name, "..", ".-", "-.")
    yield from _no_ip(name)


def _azure_name(name: str) -> Iterator[str]:
    yield from _length(name, 3, 63)
    yield from _letters(name, "-", f"{_LOWER} and '-'")
    yield from _without(name, "--")


def _ibm(name: str) -> Iterator[str]:
    yield from _length(name, 3, 63)
    yield from _letters(name, ".-", f"{_LOWER}, '.' and '-'")
    yield from _without(name, "..", "--", ".-", "-.")
    yield from _no_ip(name)


def _oci(name: str) -> Iterator[str]:
    yield from _length(name, 1, 256)
    if not re.fullmatch("[A-Za-z0-9._-]+", name):
        yield "may hold only letters, digits, '.', '_' and '-'"


def _hf_name(name: str) -> Iterator[str]:
    parts = name.split("/")
    if len(parts) != 2:
        yield "must be OWNER/NAME"
    elif not all(map(_SEGMENT.match, parts)):
        yield "may hold only letters, digits, '.', '_' and '-' on both sides of '/'"


_RULES: dict[str, Callable[[str], Iterator[str]]] = {
    "GCS": _gcs,
    "AZURE": _azure_name,
    "IBM": _ibm,
    "OCI": _oci,
    "HF": _hf_name,
}
