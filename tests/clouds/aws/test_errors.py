"""What botocore raises without an answer of AWS. Its refusals: ``error_strings/aws.txt``."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from botocore import exceptions as aws

from stix.clouds.aws.errors import typed
from stix.clouds.errors import AuthError, CloudError, InvalidRequest, TransientError


def fail(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aws.NoCredentialsError(), AuthError),
        (aws.ProfileNotFound(profile="x"), AuthError),
        (aws.EndpointConnectionError(endpoint_url="http://x"), TransientError),
        (aws.ReadTimeoutError(endpoint_url="http://x"), TransientError),
        (aws.ConnectionClosedError(endpoint_url="http://x"), TransientError),
        (aws.ParamValidationError(report="x"), InvalidRequest),
        (aws.InvalidRegionError(region_name="x y"), InvalidRequest),
        (aws.DataNotFoundError(data_path="x"), CloudError),
        (KeyError("Reservations"), TransientError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.__name__,
)
def test_what_botocore_raises(error: BaseException, kind: type[CloudError]) -> None:
    with pytest.raises(CloudError) as raised:
        typed(partial(fail, error))
    assert type(raised.value) is kind
