"""boto3 in threads, and what the errors of AWS mean.

Codes: docs.aws.amazon.com, EC2 API reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    NodeGone,
    QuotaError,
    Throttled,
    TransientError,
    UnsupportedFeature,
)
from stix.clouds.rented.failures import ErrorTable, Exists, Failure, NotThere, Rule
from stix.clouds.settings import Setting

T = TypeVar("T")
THREADS = 16
CONNECT_S = 10.0
FIRST_REGION = "us-east-1"

SETTINGS = (
    Setting("regions", "texts", default=(), doc="regions to use; all that the account has"),
    Setting("profile", doc="of ~/.aws/config"),
    Setting("endpoint_url", doc="in place of those of AWS"),
    Setting("timeout", "number", default=60.0, least=0.01, doc="seconds without an answer"),
    Setting("vpc", "any", doc="id of a VPC, or a map from regions to ids; else the default one"),
    Setting("use_internal_ips", "flag", default=False, doc="log in at private addresses"),
    Setting("image", default="", doc="an AMI, or an SSM parameter that names one"),
    Setting("user", default="", doc="whom to log in as"),
    Setting("ssh_from", default="0.0.0.0/0", doc="addresses that may log in, such as 10.0.0.0/8"),
    Setting("disk_gib", "count", default=64, least=1, doc="GiB of a boot disk"),
    Setting("instance_profile", default="", doc="an IAM role that machines have"),
    Setting("placement_groups", "flag", default=True, doc="put gangs with EFA side by side"),
)

ERRORS = ErrorTable(
    "aws",
    (
        Rule(
            CapacityError,
            "Insufficient(Instance|Host|ReservedInstance|Volume|Address)Capacity|Unsupported"
            "|InsufficientFreeAddressesInSubnet|SpotMaxPriceTooLow",
            scope="zone",
        ),
        Rule(
            Throttled,
            "RequestLimitExceeded|BandwidthLimitExceeded|(EC2)?Throttl(ing|ed)(Exception)?"
            "|RequestThrottled(Exception)?|TooManyRequests(Exception)?",
        ),
        Rule(
            QuotaError,
            "MaxSpotInstanceCountExceeded|[A-Za-z]*LimitExceeded",
            scope="region",
            fix="ask AWS for more in Service Quotas, or allow other regions",
        ),
        Rule(CapacityError, "InvalidInstanceType", scope="region"),
        Rule(
            CapacityError,
            "InvalidParameterValue",
            text="value .* for instance ?type",
            scope="region",
        ),
        Rule(
            CapacityError,
            "OptInRequired",
            scope="region",
            fix="enable the region in the account, or leave it out of `aws.regions`",
        ),
        Rule(
            AuthError,
            "AuthFailure|InvalidClientTokenId|UnrecognizedClientException|ExpiredToken(Exception)?"
            "|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature"
            "|MissingAuthenticationToken(Exception)?|InvalidAccessKeyId",
            fix="see `aws sts get-caller-identity`, and `stix check aws`",
        ),
        Rule(AuthError, "RequestExpired", fix="set the clock of this computer"),
        Rule(AuthError, "PendingVerification|Blocked", fix="AWS holds the account back: ask it"),
        Rule(
            AuthError,
            "UnauthorizedOperation|AccessDenied(Exception)?",
            fix="allow the action that the message names to this user or role",
        ),
        Rule(NodeGone, "IdempotentInstanceTerminated"),
        # An earlier call of this token had an effect that no listing shows yet.
        Rule(TransientError, "IdempotentParameterMismatch"),
        Rule(
            TransientError,
            # Of the first of these a listing may know more a second later: reads lag writes.
            r"InvalidInstanceID\.NotFound|InvalidGroup\.NotFound|InvalidPlacementGroup\.InUse"
            r"|DependencyViolation|VolumeInUse|IncorrectInstanceState|IncorrectState"
            r"|ServerInternal|ServiceUnavailable|InternalError|InternalFailure|Unavailable"
            r"|RequestTimeout(Exception)?",
        ),
        Rule(Exists, r"Invalid[A-Za-z]+\.Duplicate"),
        Rule(
            InvalidRequest,
            "VPCIdNotSpecified|MissingInput",
            fix="the region has no default VPC: name one in `aws.vpc`",
        ),
        Rule(InvalidRequest, r"InvalidAMIID\..*", fix="see `image`: AMIs differ by region"),
        Rule(InvalidRequest, r"InvalidSubnetID\.NotFound|InvalidVpcID\.NotFound"),
        Rule(NotThere, r".*\.(NotFound|Unknown)|ParameterNotFound|NoSuchResourceException"),
        Rule(UnsupportedFeature, "UnsupportedOperation"),
        Rule(InvalidRequest, "(Invalid|Missing|Unknown|Malformed).*"),
    ),
)


def failure_of(error: Any) -> Failure:
    """A ``ClientError`` in our words."""
    response = error.response
    inner = response.get("Error", {})
    meta = response.get("ResponseMetadata", {})
    return Failure(
        meta.get("HTTPStatusCode", 0), str(inner.get("Code", "")), str(inner.get("Message", ""))
    )


def code_of(error: Any) -> str:
    return failure_of(error).code


class Session:
    """The clients of one adapter.

    Args:
        settings: Values of ``SETTINGS``. Without ``endpoint_url`` botocore heeds
            ``AWS_ENDPOINT_URL_EC2`` and its kin.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._clients: dict[tuple[str, str], Any] = {}
        self._turn = threading.Lock()
        self._session: Any = None
        self._pool: ThreadPoolExecutor | None = None
        self._regions: frozenset[str] = frozenset()

    def client(self, service: str, region: str) -> Any:
        """A client; for use in a thread of ``do``."""
        with self._turn:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._made(service, region)
            return self._clients[service, region]

    def pages(self, service: str, region: str, call: str, key: str, **asked: Any) -> list[Any]:
        """All items of a listing; for use in a thread of ``do``."""
        pages = self.client(service, region).get_paginator(call).paginate(**asked)
        return [item for page in pages for item in page[key]]

    def regions(self) -> frozenset[str]:
        """The regions that are enabled in the account; for use in a thread of ``do``."""
        if not self._regions:
            found = self.client("ec2", self.first_region).describe_regions()["Regions"]
            usable = [r for r in found if r.get("OptInStatus") != "not-opted-in"]
            self._regions = frozenset(region["RegionName"] for region in usable)
        return self._regions

    async def do(self, act: Callable[[], T]) -> T:
        """Do blocking calls in a thread, with errors in our words.

        Raises:
            CloudError: as ``ERRORS`` says.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="stix-aws")
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: typed(act))

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)
        with self._turn:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()

    @property
    def first_region(self) -> str:
        """Where to ask what is the same everywhere."""
        regions = self._settings["regions"]
        return str(next(iter(regions), os.environ.get("AWS_DEFAULT_REGION") or FIRST_REGION))

    def _made(self, service: str, region: str) -> Any:
        import boto3
        from botocore.config import Config

        if self._session is None:
            self._session = boto3.Session(profile_name=self._settings["profile"])
        # One attempt: whoever calls the adapter decides what to repeat.
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=min(CONNECT_S, self._settings["timeout"]),
            read_timeout=self._settings["timeout"],
            max_pool_connections=THREADS,
        )
        endpoint = self._settings["endpoint_url"]
        return self._session.client(
            service, region_name=region, endpoint_url=endpoint, config=config
        )


def typed(act: Callable[[], T]) -> T:
    """``act``, with the errors of botocore as ours."""
    from botocore import exceptions as aws
    from botocore.parsers import ResponseParserError

    unproven = (
        aws.NoCredentialsError,
        aws.PartialCredentialsError,
        aws.CredentialRetrievalError,
        aws.ProfileNotFound,
        aws.TokenRetrievalError,
        aws.SSOError,
    )
    unheard = (aws.HTTPClientError, aws.ConnectionError, ResponseParserError)
    wrong = (aws.ParamValidationError, aws.InvalidRegionError, aws.NoRegionError)
    try:
        return act()
    except aws.ClientError as error:
        raise ERRORS.classify(failure_of(error)) from error
    except unproven as error:
        fix = "set $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, or run `aws configure`"
        raise AuthError(f"aws: {error}", fix=fix) from error
    except unheard as error:
        raise TransientError(f"aws: no answer: {error}") from error
    except KeyError as error:
        raise TransientError(f"aws: an answer lacks {error}") from error
    except wrong as error:
        raise InvalidRequest(f"aws: {error}") from error
    except aws.BotoCoreError as error:
        raise CloudError(f"aws: {error}") from error


def credentials(profile: str | None) -> str:
    """Where botocore would find credentials, in its order; without the metadata service."""
    if profile:
        return f"the profile {profile} (aws.profile)"
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    for name in names:
        if os.environ.get(name):
            return f"${name}"
    files = (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config"))
    for name, usual in files:
        path = Path(os.environ.get(name) or f"~/.aws/{usual}")
        if path.expanduser().is_file():
            return str(path)
    return ""
