"""What the errors of AWS mean.

Codes: docs.aws.amazon.com, EC2 API reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Callable
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

T = TypeVar("T")

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
